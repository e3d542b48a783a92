package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/edge/admin"
	"github.com/sallyport/sallyport/edge/connlog"
	"github.com/sallyport/sallyport/edge/reason"
)

// failureFlags are what failures is asked with.
type failureFlags struct {
	query                 admin.FailureQuery
	reasons               []string
	address, since, until string
	count                 int
	follow, json, details bool
}

func failuresCommand() *cobra.Command {
	var edge remote
	var ask failureFlags
	cmd := &cobra.Command{
		Use:   "failures",
		Short: "Show the last connections that were turned away, newest first",
		Long: "Show the last connections that were turned away, newest first: why, what they presented, and with\n" +
			"--details what would have to change. What a client presented proves nothing: anybody can present\n" +
			"somebody else's certificate. The edge keeps the last 1000; --follow shows new ones as they happen,\n" +
			"oldest first, until it is interrupted. Filters given together must all hold.",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := ask.parse(time.Now()); err != nil {
				return usageError{err}
			}
			client, err := edge.client()
			if err != nil {
				return err
			}
			if ask.follow {
				return ask.stream(client, cmd.OutOrStdout(), cmd.ErrOrStderr())
			}
			return ask.list(client, cmd.OutOrStdout())
		},
	}
	edge.flags(cmd)
	flags := cmd.Flags()
	jsonFlag(cmd, &ask.json)
	flags.StringSliceVar(&ask.reasons, "reason", nil, "only those with one of these `CODES`")
	flags.StringVar(&ask.address, "address", "", "only those from `ADDRESS[/BITS]`")
	flags.StringVar(&ask.query.Listener, "listener", "", "only those on the listener of that `name`")
	flags.StringVar(&ask.query.Issuer, "issuer", "", "only those that presented a certificate whose issuer has this `text` in it")
	flags.StringVar(&ask.query.Subject, "subject", "", "only those that presented a certificate whose subject has this `text` in it")
	flags.StringVar(&ask.query.Serial, "serial", "", "only those that presented a certificate with this serial number, in `hex`")
	flags.StringVar(&ask.since, "since", "", "only those since then: a `time` (2006-01-02T15:04:05Z) or how long ago (15m)")
	flags.StringVar(&ask.until, "until", "", "only those before then, a `time` likewise")
	flags.IntVarP(&ask.count, "number", "n", 100, "at most so many")
	flags.BoolVar(&ask.details, "details", false, "several lines for each: fingerprint, server name, what would have to change")
	flags.BoolVarP(&ask.follow, "follow", "f", false, "show those that happen from now on")
	return cmd
}

// parse makes the query of the flags.
func (ask *failureFlags) parse(now time.Time) (err error) {
	q := &ask.query
	for _, text := range ask.reasons {
		var code reason.Code
		if err := code.UnmarshalText([]byte(text)); err != nil {
			return fmt.Errorf("--reason: %w", err)
		}
		q.Codes = append(q.Codes, code)
	}
	if ask.address != "" {
		if q.Network, err = admin.ParseNetwork(ask.address); err != nil {
			return fmt.Errorf("--address: %w", err)
		}
	}
	if q.Serial != "" && strings.Trim(q.Serial, "0123456789abcdefABCDEF:") != "" {
		return fmt.Errorf("--serial %q: want hexadecimal digits", q.Serial)
	}
	if ask.count < 1 {
		return fmt.Errorf("--number %d: want a number from 1", ask.count)
	}
	for _, t := range []struct {
		flag, text string
		to         *time.Time
	}{{"since", ask.since, &q.Since}, {"until", ask.until, &q.Until}} {
		if t.text == "" {
			continue
		}
		if ago, err := time.ParseDuration(t.text); err == nil && ago >= 0 {
			*t.to = now.Add(-ago)
		} else if *t.to, err = time.Parse(time.RFC3339, t.text); err != nil {
			return fmt.Errorf("--%s %q: want a time like 2006-01-02T15:04:05Z, or how long ago, like 15m", t.flag, t.text)
		}
	}
	return nil
}

// failure is a refused connection as the edge tells of it.
type failure struct {
	connlog.Record
	advice string
}

func (f *failure) UnmarshalJSON(text []byte) error {
	if err := json.Unmarshal(text, &f.Record); err != nil {
		return err
	}
	var more struct{ Advice string }
	err := json.Unmarshal(text, &more)
	f.advice = more.Advice
	return err
}

func (ask *failureFlags) list(client *admin.Client, out io.Writer) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	values := ask.query.Values()
	values.Set("n", strconv.Itoa(ask.count))
	var raw json.RawMessage
	if err := client.Get(ctx, "/failures?"+values.Encode(), &raw); err != nil {
		return err
	}
	if ask.json {
		return printJSON(out, raw)
	}
	var list []failure
	if err := json.Unmarshal(raw, &list); err != nil {
		return fmt.Errorf("decode answer of /failures: %w", err)
	}
	if ask.details {
		for _, f := range list {
			f.print(out)
		}
		return nil
	}
	var rows [][]string
	for _, f := range list {
		rows = append(rows, []string{stamp(f.Time), f.Listener, f.Client.String(), f.Status.String(), f.LeafSubject, f.Cause})
	}
	return table(out, "TIME LISTENER CLIENT CODE PRESENTED CAUSE", rows)
}

// print tells everything of one failure.
func (f *failure) print(w io.Writer) {
	fmt.Fprintf(w, "%s %s %s\n", stamp(f.Time), f.Client, f.Status)
	for _, row := range [][2]string{
		{"cause", f.Cause}, {"to change", f.advice}, {"listener", f.Listener}, {"server name", f.ServerName}, {"JA4", f.JA4},
		{"presented", f.LeafSubject}, {"issuer", f.LeafIssuer}, {"serial", f.LeafSerial}, {"validity", f.LeafValidity},
		{"trust store", f.TrustStore}, {"plugin", f.Plugin}, {"connection", f.TraceID},
	} {
		if row[1] != "" {
			fmt.Fprintf(w, "  %-12s %s\n", row[0], row[1])
		}
	}
}

// stream shows failures until it is interrupted or the edge ends.
func (ask *failureFlags) stream(client *admin.Client, out, progress io.Writer) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	events := &eventReader{event: func(name, data string) error {
		switch {
		case name == "missed":
			fmt.Fprintf(progress, "%s failures were not shown: there were too many at once\n", data)
			return nil
		case ask.json:
			_, err := fmt.Fprintln(out, data)
			return err
		}
		var f failure
		if err := json.Unmarshal([]byte(data), &f); err != nil {
			return fmt.Errorf("decode failure: %w", err)
		}
		if ask.details {
			f.print(out)
			return nil
		}
		_, err := fmt.Fprintf(out, "%s %s %s %s %s: %s\n", stamp(f.Time), f.Listener, f.Client, f.Status, orDash(f.LeafSubject), f.Cause)
		return err
	}}
	err := client.Download(ctx, "/failures/stream?"+ask.query.Values().Encode(), events)
	if ctx.Err() != nil {
		return nil // as asked
	}
	return err
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// eventReader takes server-sent events apart as they are written to it.
type eventReader struct {
	event      func(name, data string) error
	rest       []byte
	name, data string
}

func (e *eventReader) Write(p []byte) (int, error) {
	e.rest = append(e.rest, p...)
	for {
		line, rest, whole := bytes.Cut(e.rest, []byte("\n"))
		if !whole {
			return len(p), nil
		}
		e.rest = rest
		text := string(line)
		switch {
		case text == "":
			if e.data != "" {
				if err := e.event(e.name, e.data); err != nil {
					return 0, err
				}
			}
			e.name, e.data = "", ""
		case strings.HasPrefix(text, "event: "):
			e.name = text[len("event: "):]
		case strings.HasPrefix(text, "data: "):
			e.data = text[len("data: "):]
		}
	}
}
