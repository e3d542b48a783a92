package peers

import "fmt"

// asChild is the first argument of a program that Run starts as a child of
// itself. No user has a reason to give it.
const asChild = "run-as-child-of-peers"

// What such a child can be.
const (
	childTarget = "target" // and its ADDRESS
	childEdge   = "edge"   // and its configuration's FILE
)

// Child runs what Run starts as children of the calling program: the target, and
// the plain Go edge. A program that calls Run calls Child before all else, with
// os.Args[1:], and exits where it says that it ran: with 1, since only a signal
// ends a child in the right way.
func Child(args []string) (ran bool, err error) {
	if len(args) == 0 || args[0] != asChild {
		return false, nil
	}
	if len(args) == 3 {
		switch args[1] {
		case childTarget:
			return true, runTarget(args[2])
		case childEdge:
			return true, runEdge(args[2])
		}
	}
	return true, fmt.Errorf("child's arguments %q: want %s ADDRESS or %s FILE", args[1:], childTarget, childEdge)
}
