//go:build race

package ban

const (
	// million is fewer here: the race detector makes minutes of seconds.
	million = 50_000
	slack   = 30
)
