//go:build !race

package edge

import "time"

// promptly is five times what happens within a second, for machines that are
// overloaded.
const promptly = 5 * time.Second
