//go:build !race

package pluginhost

// raceEnabled says that allocations mean nothing.
const raceEnabled = false
