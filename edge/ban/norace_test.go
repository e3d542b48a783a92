//go:build !race

package ban

const (
	// million is how many bans a Keeper must be at ease with.
	million = 1_000_000
	// slack is how many times longer things may take than they should, on a
	// machine that is busy.
	slack = 5
)
