//go:build race

package launch

// raced says that the detector takes memory of its own at any time, also where a
// limit on it is about to be handed to a program.
const raced = true
