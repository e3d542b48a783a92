package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/edge"
	"github.com/sallyport/sallyport/edge/pluginhost/launch"
	"github.com/sallyport/sallyport/edge/plugintest"
)

func pluginCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "plugin", Short: "Write plugins, and try them out", Args: noArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		return cmd.Help()
	}}
	cmd.AddCommand(pluginNewCommand(), pluginTestCommand(), pluginDescribeCommand(), pluginBenchCommand())
	return cmd
}

// trial is the plugin that a command tries out.
type trial struct {
	attach  string
	verbose bool
	json    bool
}

func (t *trial) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&t.attach, "attach", "", "`socket` of a plugin that was started with -sallyport-listen, in a debugger say, in the place of PROGRAM")
	cmd.Flags().BoolVarP(&t.verbose, "verbose", "v", false, "show what the plugin and its host log")
	jsonFlag(cmd, &t.json)
}

// args checks that a command has PROGRAM, but with --attach, and so many more, of
// which some may be left out.
func (t *trial) args(least, most int, names string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if t.attach == "" {
			names = strings.TrimSpace("PROGRAM " + names)
			least, most = least+1, most+1
		}
		if len(args) < least || len(args) > most {
			return usageError{fmt.Errorf("%d arguments: want %s", len(args), names)}
		}
		return nil
	}
}

// try runs f with the plugin, and the arguments that follow it. An interrupt ends
// it, and leaves no process behind.
func (t *trial) try(args []string, stderr io.Writer, f func(context.Context, *plugintest.Program, []string) error) error {
	p := &plugintest.Program{}
	if t.verbose {
		p.Log = slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	var err error
	if t.attach != "" {
		if p.Attach, err = filepath.Abs(t.attach); err != nil {
			return fmt.Errorf("find %s: %w", t.attach, err)
		}
	} else {
		program, err := findProgram(args[0])
		if err != nil {
			return err
		}
		p.Command, args = []string{program}, args[1:]
		// Short, whatever TMPDIR says: the names of sockets have 107 bytes.
		dir, err := os.MkdirTemp(edge.RunDirPattern())
		if err != nil {
			return fmt.Errorf("make a directory for sockets: %w", err)
		}
		defer os.RemoveAll(dir)
		options := launch.Options{RunDir: dir, Log: p.Log}
		p.Start, p.Prepare = edge.PluginStarter(options), edge.PluginPreparer(options)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return f(ctx, p, args)
}

// findProgram gives the absolute name of a program: a file here, or one in PATH.
func findProgram(name string) (string, error) {
	if !strings.Contains(name, "/") {
		if _, err := os.Stat(name); err == nil {
			name = "./" + name
		}
	}
	path, err := exec.LookPath(name)
	if err != nil {
		var cause *exec.Error
		if errors.As(err, &cause) {
			err = cause.Err
		}
		return "", fmt.Errorf("find plugin %q: %w", name, err)
	}
	return filepath.Abs(path)
}
