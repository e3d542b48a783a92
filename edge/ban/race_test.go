//go:build race

package ban

const (
	fewer = 50_000 // the race detector makes minutes of seconds
	slack = 30
)
