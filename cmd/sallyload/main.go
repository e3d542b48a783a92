// Command sallyload loads servers that want client certificates, and says
// honestly what they took. See "sallyload help".
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/loadtest/peers"
)

// Exit codes, for scripts.
const (
	exitDone  = 0
	exitFound = 1 // it failed, or not all went as it was to
	exitUsage = 2
)

func main() {
	beChild()
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// beChild is the process's whole life where sallyload peers has started it.
func beChild() {
	if ran, err := peers.Child(os.Args[1:]); ran {
		fmt.Fprintf(os.Stderr, "sallyload: %v\n", err)
		os.Exit(exitFound)
	}
}

// errFound ends a command with exitFound when everything has been said already.
var errFound = errors.New("found something")

// usageError is the user's mistake on the command line.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }

// run is the program without its process.
func run(args []string, stdout, stderr io.Writer) int {
	root := &cobra.Command{
		Use:   "sallyload",
		Short: "Load generator for mutual TLS",
		Long: "Sallyload is a load generator for servers that authenticate clients by certificate. Units of load are due\n" +
			"at the rate that was asked for, whatever became of those before, and latency counts from then.",
		Version:       version(),
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(runCommand(), reportCommand(), peersCommand(), pkiCommand())

	ran := false
	root.PersistentPreRun = func(*cobra.Command, []string) { ran = true }
	err := root.Execute()
	var usage usageError
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, errFound):
		return exitFound
	case errors.As(err, &usage), !ran: // cobra's own complaints come before a command runs
		fmt.Fprintf(stderr, "sallyload: %v\nTry \"sallyload help\".\n", err)
		return exitUsage
	}
	fmt.Fprintf(stderr, "sallyload: %v\n", err)
	return exitFound
}

// noArgs refuses arguments by quoting the first.
func noArgs(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("unexpected argument %q", args[0])}
	}
	return nil
}

// version is the module's, or the commit a build came from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return "devel-" + s.Value[:12]
		}
	}
	return "devel"
}
