//go:build race

package edge

// promptly is five times what happens within a second; the race detector makes it
// ten times slower.
const promptly = patience
