package main

import (
	"context"
	"fmt"
	"os"
)

// asChild is the first argument of this program when it is a child of itself.
// No user has a reason to give it, so it is not among the flags.
const asChild = "-as-child"

func isChild(args []string) bool { return len(args) > 2 && args[1] == asChild }

// runChild is the program as a child: "backend ADDRESS" or "peer ADDRESS BACKEND
// PKI-DIRECTORY". It returns on an error only; a signal ends it.
func runChild(args []string) error {
	switch {
	case len(args) == 2 && args[0] == "backend":
		return runBackend(args[1])
	case len(args) == 4 && args[0] == "peer":
		return runPeer(args[1], args[2], files{dir: args[3]})
	}
	return fmt.Errorf("child's arguments %q: want backend ADDRESS, or peer ADDRESS BACKEND PKI-DIRECTORY", args)
}

// startSelf starts this program as a child in a role, on a core and an address of
// its own, which the first result is.
func (b *bench) startSelf(ctx context.Context, role string, core *int, args ...string) (string, *process, error) {
	self, err := os.Executable()
	if err != nil {
		return "", nil, err
	}
	address, err := freeAddress()
	if err != nil {
		return "", nil, err
	}
	p, err := startProcess(b.dir, b.cores, core, role, append([]string{self, asChild, role, address}, args...)...)
	if err != nil {
		return "", nil, err
	}
	if err := p.awaitListening(ctx, address); err != nil {
		p.stop()
		return "", nil, err
	}
	return address, p, nil
}
