//go:build !race

package ban

// slack is how many times longer things may take than they should, on a machine
// that is busy.
const slack = 5
