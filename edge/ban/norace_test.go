//go:build !race

package ban

const (
	// fewer is how many bans stand for a million where time is short.
	fewer = 100_000
	// slack is how many times longer things may take than they should, on a
	// machine that is busy.
	slack = 5
)
