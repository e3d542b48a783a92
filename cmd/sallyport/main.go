// Command sallyport is a TLS edge that lets in only the clients whose
// certificate its trust stores vouch for. See "sallyport help".
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// Exit codes, for scripts.
const (
	exitDone    = 0
	exitRefused = 1 // refused, failed, or found what it looked for
	exitUsage   = 2
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// errRefused ends a command with exitRefused when everything has been said
// already.
var errRefused = errors.New("refused")

// usageError is the user's mistake on the command line.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }

// run is the program without its process.
func run(args []string, stdout, stderr io.Writer) int {
	root := &cobra.Command{
		Use:           "sallyport",
		Short:         "A TLS edge that authenticates clients by certificate",
		Long:          "Sallyport is a TLS edge: it authenticates clients by certificate (mutual TLS), checks revocation,\nand proxies HTTP to targets, telling them who the client is.",
		Version:       version(),
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(runCommand(), checkCommand(), explainCommand(), demoCommand(),
		statusCommand(), connectionsCommand(), failuresCommand(), truststoresCommand(), truststoreCommand(),
		pluginsCommand(), pluginCommand(), pluginRunCommand(), revokeCommand(), unrevokeCommand(), revocationsCommand(), bansCommand(), banCommand(), unbanCommand(), crlCommand(), certificatesCommand(),
		reloadCommand(), upgradeCommand(), drainCommand())

	ran := false
	root.PersistentPreRun = func(*cobra.Command, []string) { ran = true }
	err := root.Execute()
	var usage usageError
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, errRefused):
		return exitRefused
	case errors.As(err, &usage), !ran: // cobra's own complaints come before a command runs
		fmt.Fprintf(stderr, "sallyport: %v\nTry \"sallyport help\".\n", err)
		return exitUsage
	}
	fmt.Fprintf(stderr, "sallyport: %v\n", err)
	return exitRefused
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
