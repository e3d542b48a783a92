package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/edge/admin"
	"github.com/sallyport/sallyport/edge/config"
)

// remote is how a command finds the running edge.
type remote struct{ config, socket string }

func (r *remote) flags(cmd *cobra.Command) {
	configFlag(cmd, &r.config)
	cmd.Flags().StringVar(&r.socket, "socket", "", "admin `socket` of the running edge (default: the configuration's)")
}

// client returns a client of the edge that the flags name. A configuration that
// has become invalid since the edge started is no hindrance, as long as it is
// YAML.
func (r *remote) client() (*admin.Client, error) {
	if r.socket != "" {
		return admin.NewClient(r.socket), nil
	}
	cfg, problems := config.Load(r.config)
	if cfg == nil {
		return nil, fmt.Errorf("find the admin socket in the configuration (--socket names it without): %w", problems)
	}
	return admin.NewClient(cfg.ResolvePath(cfg.Admin.Socket)), nil
}

func jsonFlag(cmd *cobra.Command, asJSON *bool) {
	cmd.Flags().BoolVar(asJSON, "json", false, "print JSON, for programs")
}

func printJSON(w io.Writer, v any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(v)
}

// listing makes a command that gets a T from the edge and prints it.
func listing[T any](use, short, path string, print func(io.Writer, T) error) *cobra.Command {
	var edge remote
	var asJSON bool
	cmd := &cobra.Command{
		Use: use, Short: short, Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := edge.client()
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
			defer cancel()
			var raw json.RawMessage
			if err := client.Get(ctx, path, &raw); err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), raw)
			}
			var v T
			if err := json.Unmarshal(raw, &v); err != nil {
				return fmt.Errorf("decode answer of %s: %w", path, err)
			}
			return print(cmd.OutOrStdout(), v)
		},
	}
	edge.flags(cmd)
	jsonFlag(cmd, &asJSON)
	return cmd
}

// table prints rows in columns, under a head of words.
func table(w io.Writer, head string, rows [][]string) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	indent := head[:len(head)-len(strings.TrimLeft(head, " "))]
	fmt.Fprintln(t, indent+strings.Join(strings.Fields(head), "\t"))
	for _, row := range rows {
		for i, cell := range row {
			if cell == "" {
				row[i] = "-"
			}
		}
		fmt.Fprintln(t, strings.Join(row, "\t"))
	}
	return t.Flush()
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.RFC3339)
}

func connectionsCommand() *cobra.Command {
	return listing("connections", "List the open connections", "/connections", func(w io.Writer, list []admin.Connection) error {
		var rows [][]string
		for _, c := range list {
			rows = append(rows, []string{c.TraceID, stamp(c.Accepted), c.Listener, c.Client, c.State,
				fmt.Sprint(c.Requests), c.TLS, c.ServerName, c.Subject})
		}
		return table(w, "CONN_TRACE_ID ACCEPTED LISTENER CLIENT STATE REQUESTS TLS SERVER_NAME SUBJECT", rows)
	})
}

func statusCommand() *cobra.Command {
	var edge remote
	var asJSON bool
	var wait time.Duration
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Say whether the edge is ready, and what it runs",
		Long:  "Say whether the edge is ready, and what it runs. Exits with 0 only if it is ready to serve.",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := edge.client()
			if err != nil {
				return err
			}
			status, err := awaitReady(client, wait)
			if err != nil {
				return err
			}
			if asJSON {
				err = printJSON(cmd.OutOrStdout(), status)
			} else {
				err = printStatus(cmd.OutOrStdout(), status)
			}
			if err == nil && status.State != admin.Ready {
				return errRefused
			}
			return err
		},
	}
	edge.flags(cmd)
	jsonFlag(cmd, &asJSON)
	cmd.Flags().DurationVar(&wait, "wait", 0, "how long to wait for the edge to be ready")
	return cmd
}

// awaitReady asks until the edge is ready or the wait is over, and returns the
// last answer.
func awaitReady(client *admin.Client, wait time.Duration) (admin.Status, error) {
	ctx, cancel := context.WithTimeout(context.Background(), max(wait, 10*time.Second))
	defer cancel()
	over := time.After(wait)
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		var status admin.Status
		err := client.Get(ctx, "/status", &status)
		if err == nil && status.State == admin.Ready {
			return status, nil
		}
		if err != nil && !errors.Is(err, admin.ErrUnreachable) {
			return status, err
		}
		select {
		case <-over:
			return status, err
		case <-again.C:
		}
	}
}

// printRights says what the process may do. Root's capabilities, which are all or
// nearly all there are, are only counted.
func printRights(w io.Writer, r admin.Rights) {
	held := strings.Join(r.Capabilities, " ")
	switch n := len(r.Capabilities); {
	case r.Problem != "":
		held = "capabilities not known: " + r.Problem
	case n == 0:
		held = "no capabilities"
	case n > 5:
		held = fmt.Sprintf("%d capabilities", n)
	}
	if n := len(r.Beyond); n > 0 {
		held += fmt.Sprintf(", %d more than needed", n)
	}
	fmt.Fprintf(w, "runs as %s, with %s\n", r.User, held)
}

func printStatus(w io.Writer, s admin.Status) error {
	fmt.Fprintf(w, "%s: version %s, pid %d, since %s\n", s.State, s.Version, s.PID, stamp(s.Started))
	fmt.Fprintf(w, "configuration %s, generation %d, in force since %s\n", s.Configuration, s.Generation, stamp(s.LoadedAt))
	if limit := s.MemoryLimit; limit.Bytes > 0 {
		fmt.Fprintf(w, "memory limit %d MiB, of %s\n", limit.Bytes>>20, limit.Source)
	}
	printRights(w, s.Rights)
	if p := s.Predecessor; p != nil {
		fmt.Fprintf(w, "took over from pid %d, which drains %d connections\n", p.PID, p.Connections)
		for _, e := range p.Earlier {
			fmt.Fprintf(w, "before it pid %d, which drains %d connections\n", e.PID, e.Connections)
		}
	}
	fmt.Fprintln(w)
	var rows [][]string
	for _, l := range s.Listeners {
		rows = append(rows, []string{l.Name, l.Address, l.Protocol, l.Mode, l.TrustStore, fmt.Sprint(l.Connections)})
	}
	if err := table(w, "LISTENER ADDRESS PROTOCOL MODE TRUST_STORE CONNECTIONS", rows); err != nil {
		return err
	}
	if err := printTargets(w, s.Targets); err != nil {
		return err
	}
	if err := printSteering(w, s.Steering); err != nil {
		return err
	}
	printBanStatus(w, s.Bans)
	if s.ReloadError != "" {
		fmt.Fprintf(w, "\nlast reload refused; the old configuration stays:\n%s\n", s.ReloadError)
	}
	if len(s.Problems) > 0 {
		fmt.Fprintf(w, "\nto look at:\n  %s\n", strings.Join(s.Problems, "\n  "))
	}
	return nil
}
