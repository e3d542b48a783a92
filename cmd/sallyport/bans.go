package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/edge/admin"
	"github.com/sallyport/sallyport/edge/config"
)

// listTime bounds a listing of bans: there may be a million.
const listTime = 5 * time.Minute

func bansCommand() *cobra.Command {
	var edge remote
	var asJSON bool
	cmd := &cobra.Command{
		Use: "bans", Short: "Show who is banned, why, until when, and what was dropped of them", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := edge.client()
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(context.Background(), listTime)
			defer cancel()
			if asJSON {
				return client.Download(ctx, "/bans", cmd.OutOrStdout())
			}
			return printBans(ctx, client, cmd.OutOrStdout())
		},
	}
	edge.flags(cmd)
	jsonFlag(cmd, &asJSON)
	return cmd
}

// printBans prints the bans as they come in.
func printBans(ctx context.Context, client *admin.Client, w io.Writer) error {
	read, write := io.Pipe()
	go func() { write.CloseWithError(client.Download(ctx, "/bans", write)) }()
	defer read.Close()
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, strings.Join([]string{"ADDRESS", "REASON", "SINCE", "UNTIL", "BY", "PACKETS", "BYTES", "WHY"}, "\t"))
	n := 0
	err := admin.ReadBans(read, func(b admin.Ban) error {
		_, err := fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%d\t%d\t%s\n", b.Prefix, banReason(b), stamp(b.Since), banEnd(b), b.By, b.Packets, b.Bytes, b.Why)
		if n++; n%1000 == 0 && err == nil {
			err = t.Flush() // so that a million lines are not held back
		}
		return err
	})
	return errors.Join(err, t.Flush())
}

func banReason(b admin.Ban) string {
	switch {
	case b.Reason == "":
		return "by hand"
	case b.DryRun:
		return b.Reason + " (dry run)"
	}
	return b.Reason
}

func banEnd(b admin.Ban) string {
	if b.Until.IsZero() {
		return "lifted"
	}
	return stamp(b.Until)
}

func banCommand() *cobra.Command {
	var edge remote
	var asJSON bool
	var request admin.BanRequest
	var length time.Duration
	cmd := &cobra.Command{
		Use:   "ban ADDRESS[/BITS]",
		Short: "Ban an address or a network",
		Long: "Ban an address or a network: its connections are ended, and new ones refused until the time is over, or\n" +
			"until unban if no time is given. An IPv6 address stands for its network of ban.ipv6_prefix bits only\n" +
			"where that is written out.",
		Args: arguments("ADDRESS"),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if request.Prefix, err = parseNetwork(args[0]); err != nil {
				return usageError{err}
			}
			if length < 0 {
				return usageError{fmt.Errorf("--for %s: want more than 0s, or nothing for until it is lifted", length)}
			}
			request.For = config.Duration(length)
			body, err := json.Marshal(request)
			if err != nil {
				return err
			}
			client, err := edge.client()
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
			defer cancel()
			var made admin.Ban
			if err := client.Do(ctx, http.MethodPost, "/bans", bytes.NewReader(body), &made); err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), made)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "banned %s until %s\n", made.Prefix, banEnd(made))
			return err
		},
	}
	edge.flags(cmd)
	jsonFlag(cmd, &asJSON)
	cmd.Flags().DurationVar(&length, "for", 0, "how `long`, such as 10m (default: until it is lifted)")
	cmd.Flags().StringVar(&request.Why, "why", "", "`text` for whoever asks later")
	return cmd
}

func unbanCommand() *cobra.Command {
	var edge remote
	cmd := &cobra.Command{
		Use:   "unban ADDRESS[/BITS]",
		Short: "Lift the bans of an address, or of a network and all within it",
		Long: "Lift the bans of an address, or of a network and all within it, and forget what led to them. A ban of a\n" +
			"larger network stays.",
		Args: arguments("ADDRESS"),
		RunE: func(cmd *cobra.Command, args []string) error {
			prefix, err := parseNetwork(args[0])
			if err != nil {
				return usageError{err}
			}
			client, err := edge.client()
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
			defer cancel()
			var done struct{ Lifted int }
			if err := client.Do(ctx, http.MethodDelete, "/bans?prefix="+url.QueryEscape(prefix.String()), http.NoBody, &done); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "lifted %d\n", done.Lifted)
			return err
		},
	}
	edge.flags(cmd)
	return cmd
}

// parseNetwork reads an address or a network.
func parseNetwork(text string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(text); err == nil && addr.Zone() == "" {
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	prefix, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%q: want an address or ADDRESS/BITS", text)
	}
	return prefix, nil
}

func printBanStatus(w io.Writer, b *admin.BanStatus) {
	if b == nil {
		return
	}
	fmt.Fprintf(w, "\nbans: %s, %d in force, in %s", b.Mode, b.InForce, b.Datapath)
	if b.Why != "" {
		fmt.Fprintf(w, " (%s)", b.Why)
	}
	if b.InKernel > 0 || b.Pending > 0 {
		fmt.Fprintf(w, ", %d in the kernel, %d on the way there", b.InKernel, b.Pending)
	}
	fmt.Fprintln(w)
	for _, i := range b.Interfaces {
		fmt.Fprintf(w, "  %s: XDP %s, program %d, since %s", i.Name, i.Mode, i.Program, stamp(i.Since))
		for _, text := range []string{i.NotNative, i.Problem} {
			if text != "" {
				fmt.Fprintf(w, " (%s)", text)
			}
		}
		fmt.Fprintln(w)
	}
}
