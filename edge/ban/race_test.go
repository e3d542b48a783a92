//go:build race

package ban

// slack is how many times longer things may take than they should: under the race
// detector, on a machine that is busy.
const slack = 30
