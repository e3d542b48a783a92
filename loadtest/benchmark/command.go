package benchmark

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// AsChild is the first argument of a program that runs as a child of itself; its
// role and that role's arguments follow. No user has a reason to give it, so it
// is not among the flags.
const AsChild = "-as-child"

// RunChild runs child with role and arguments if args, of a program or of its
// tests, are those of one, and exits. Otherwise it returns.
func RunChild(args []string, child func(role string, args []string) error) {
	if len(args) < 3 || args[1] != AsChild {
		return
	}
	if err := child(args[2], args[3:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// Main is the main function of a program with such children: it parses the
// command line and runs until an end or a signal. It exits with 2 where parse has
// an error, and with 1 where run has.
func Main[O any](name string, child func(role string, args []string) error, parse func(args []string) (O, error), run func(context.Context, O) error) {
	RunChild(os.Args, child)
	o, err := parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(2)
	}
	// A second signal changes nothing: what is under way is the cleaning up,
	// which is bounded.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if err := run(ctx, o); err != nil {
		if ctx.Err() != nil {
			err = errors.New("interrupted")
		}
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(1)
	}
}
