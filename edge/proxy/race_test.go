//go:build race

package proxy

// raced says that sync.Pool forgets at random.
const raced = true
