//go:build !linux

package sdk

// awaitReadable does not wait: the edge runs on Linux, plugins are only built
// elsewhere.
func awaitReadable(uintptr) bool { return true }
