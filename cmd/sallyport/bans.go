package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
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
	var asJSON, watch bool
	cmd := &cobra.Command{
		Use: "bans", Short: "Show who is banned, why, until when, and what was dropped of them", Args: noArgs,
		Long: "Show who is banned, why, until when, and what was dropped of them.\n\n" +
			"With --watch, show packets that XDP drops from now on, until interrupted: of each ban at most one a\n" +
			"second, of SYNs over the limit one in 1024, and 256 a second of each core.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := edge.client()
			if err != nil {
				return err
			}
			if watch {
				return watchPackets(client, asJSON, cmd.OutOrStdout())
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
	cmd.Flags().BoolVar(&watch, "watch", false, "show dropped packets as they come in")
	return cmd
}

// watchPackets prints dropped packets until a signal ends it, or the edge does.
func watchPackets(client *admin.Client, asJSON bool, w io.Writer) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	read, write := io.Pipe()
	go func() { write.CloseWithError(client.Download(ctx, "/bans/packets", write)) }()
	defer read.Close()
	err := admin.ReadPackets(read, func(p admin.DroppedPacket) error {
		if asJSON {
			return json.NewEncoder(w).Encode(p)
		}
		_, err := fmt.Fprintf(w, "%s  %s > %s  %s  %d bytes  %s  %s\n",
			p.Time.UTC().Format(time.RFC3339Nano), p.From, p.To, p.Interface, p.Bytes, p.Verdict, p.Reason)
		return err
	})
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// printBans prints the bans as they come in.
func printBans(ctx context.Context, client *admin.Client, w io.Writer) error {
	read, write := io.Pipe()
	go func() { write.CloseWithError(client.Download(ctx, "/bans", write)) }()
	defer read.Close()
	out := bufio.NewWriter(w) // tabwriter writes every cell on its own
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	head := sync.OnceFunc(func() {
		fmt.Fprintln(t, strings.Join([]string{"ADDRESS", "REASON", "SINCE", "UNTIL", "BY", "PACKETS", "BYTES", "WHY"}, "\t"))
	})
	n := 0
	err := admin.ReadBans(read, func(b admin.Ban) error {
		head()
		_, err := fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%d\t%d\t%s\n", b.Prefix, banReason(b), stamp(b.Since), banEnd(b), b.By, b.Packets, b.Bytes, b.Why)
		if n++; n%1000 == 0 && err == nil {
			err = t.Flush() // so that a million lines are not held back
		}
		return err
	})
	if err == nil {
		head() // an empty table says that nobody is banned, which is known only now
	}
	return errors.Join(err, t.Flush(), out.Flush())
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
	length := banLength(0)
	cmd := &cobra.Command{
		Use:   "ban ADDRESS[/BITS]",
		Short: "Ban an address or a network",
		Long: "Ban an address or a network: its connections are ended, and new ones refused until the time is over, or\n" +
			"until unban if that is forever. An IPv6 address stands for its network of ban.ipv6_prefix bits only\n" +
			"where that is written out.",
		Args: arguments("ADDRESS"),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if request.Prefix, err = parseNetwork(args[0]); err != nil {
				return usageError{err}
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
	cmd.Flags().Var(&length, "for", "how `long`, such as 10m; forever is until it is lifted")
	cmd.Flags().StringVar(&request.Why, "why", "", "`text` for whoever asks later")
	cmd.Flags().BoolVar(&request.Force, "force", false, "ban even a network larger than an IPv4 /8 or an IPv6 /16")
	return cmd
}

// banLength is how long a ban lasts, 0 for until it is lifted. That is written as
// a word: who computes a time and arrives at 0 does not mean it.
type banLength time.Duration

const forever = "forever"

func (l *banLength) Set(text string) error {
	if text == forever {
		*l = 0
		return nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return fmt.Errorf("want a time of more than 0s, such as 10m, or %s", forever)
	}
	*l = banLength(d)
	return nil
}

func (l *banLength) String() string {
	if *l == 0 {
		return forever
	}
	return time.Duration(*l).String()
}

func (*banLength) Type() string { return "duration" }

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
	return prefix, admin.CheckNetwork(prefix)
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
		if i.Problem != "" {
			fmt.Fprintf(w, "  %s: DEGRADED, without XDP, bans are in user space: %s\n", i.Name, i.Problem)
			continue
		}
		fmt.Fprintf(w, "  %s: XDP %s, program %d, since %s", i.Name, i.Mode, i.Program, stamp(i.Since))
		if i.NotNative != "" {
			fmt.Fprintf(w, " (%s)", i.NotNative)
		}
		fmt.Fprintln(w)
	}
}
