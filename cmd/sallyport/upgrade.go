package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/edge"
	"github.com/sallyport/sallyport/edge/admin"
	"github.com/sallyport/sallyport/edge/config"
)

func upgradeCommand() *cobra.Command {
	var remote remote
	var request admin.UpgradeRequest
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "upgrade",
		Short: "Make the edge hand over to a new process, with no connection lost",
		Long: "Make the edge start its program anew, from the same path, and hand over to that process: listening\n" +
			"sockets with the connections that wait on them, TLS sessions, bans, the admin socket. The new process\n" +
			"reads the configuration as at a start, and so applies what applies at start only. The old one lets\n" +
			"its connections come to their end, within timeouts.drain. If the new one is not ready in time, or\n" +
			"fails in any way, the old one goes on.",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := remote.client()
			if err != nil {
				return err
			}
			if request.Program != "" {
				if request.Program, err = filepath.Abs(request.Program); err != nil {
					return err
				}
			}
			request.Timeout = config.Duration(timeout)
			body, err := json.Marshal(request)
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(context.Background(), timeout+time.Minute)
			defer cancel()
			var done admin.Upgraded
			if err := client.Do(ctx, http.MethodPost, "/upgrade", bytes.NewReader(body), &done); err != nil {
				return upgradeError(cmd.ErrOrStderr(), err)
			}
			if done.Reloaded {
				fmt.Fprintln(cmd.OutOrStdout(), "reloaded: the program is the one that runs")
				return nil
			}
			fmt.Fprintf(cmd.OutOrStdout(), "upgraded: pid %d, version %s\n", done.PID, done.Program)
			return nil
		},
	}
	remote.flags(cmd)
	cmd.Flags().StringVar(&request.Program, "binary", "", "`path` of the new program (default: that of the one that runs)")
	cmd.Flags().BoolVar(&request.IfNew, "if-new", false, "reload instead if the program is the one that runs")
	cmd.Flags().DurationVar(&timeout, "timeout", edge.DefaultUpgradeTimeout, "how long the new process may take to be ready")
	return cmd
}

// upgradeError tells why an upgrade failed: in the edge's own words, which say which
// process serves, or that nobody said.
func upgradeError(stderr io.Writer, err error) error {
	var answer *admin.AnswerError
	switch {
	case errors.As(err, &answer):
		fmt.Fprintln(stderr, answer.Text)
		return errRefused
	case errors.Is(err, admin.ErrUnreachable):
		return err
	}
	return fmt.Errorf("no answer, so it is not known which process serves (sallyport status tells): %w", err)
}

// successor returns how to start this program again, with the same arguments. The
// path is that of the file, not of what runs: a package may have put another one
// there.
func successor() (func(program string) (*exec.Cmd, error), error) {
	own, err := exec.LookPath(os.Args[0]) // a symbolic link stays one, to be followed anew
	if err == nil {
		own, err = filepath.Abs(own)
	} else {
		own, err = os.Executable()
	}
	if err != nil {
		return nil, fmt.Errorf("find the program's own file, for upgrades: %w", err)
	}
	return func(program string) (*exec.Cmd, error) {
		if program == "" {
			program = own
		}
		info, err := os.Stat(program)
		if err != nil {
			return nil, err
		}
		if info.IsDir() || info.Mode()&0o111 == 0 {
			return nil, fmt.Errorf("%s is no program", program)
		}
		return &exec.Cmd{
			Path:   program,
			Args:   os.Args,
			Env:    successorEnv(os.Environ()),
			Stdin:  os.Stdin,
			Stdout: os.Stdout,
			Stderr: os.Stderr,
		}, nil
	}, nil
}

// successorEnv leaves out what a service manager has said to this process alone.
func successorEnv(env []string) []string {
	var list []string
	for _, entry := range env {
		switch name, _, _ := strings.Cut(entry, "="); name {
		case "WATCHDOG_PID", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES":
		default:
			list = append(list, entry)
		}
	}
	return list
}
