package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/loadtest/peers"
)

func peersCommand() *cobra.Command {
	var o peers.Options
	var markdownFile, jsonFile string
	cmd := &cobra.Command{
		Use:   "peers",
		Short: "Measure Sallyport beside nginx, HAProxy and Caddy on this machine",
		Long: "Measure what a unit of work costs Sallyport and the servers that it can be measured beside, all set up\n" +
			"from one description, in turn, on a core of their own. A server that is not installed is left out, unless\n" +
			"--peers names it.\n\n" +
			"Peers:     " + strings.Join(peers.Peers(), ", ") + "\n" +
			"Scenarios: " + strings.Join(peers.Scenarios(), "\n           "),
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := known("--peers", o.Peers, append(peers.Peers(), peers.NoPeers)); err != nil {
				return err
			}
			if err := known("--scenario", o.Scenarios, peers.Scenarios()); err != nil {
				return err
			}
			if o.Rounds < 0 {
				return usageError{fmt.Errorf("--rounds %d: want 1 or more", o.Rounds)}
			}
			o.Log = cmd.ErrOrStderr()
			ctx, stop := untilInterrupted()
			defer stop()
			found, err := peers.Run(ctx, o)
			if err != nil {
				return err
			}
			if err := found.Table(cmd.OutOrStdout()); err != nil {
				return err
			}
			return writePeers(found, markdownFile, jsonFile)
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&o.Sallyport, "sallyport", "out/sallyport", "`binary` to measure")
	f.StringVar(&o.Caddy, "caddy", "", "Caddy's `binary` (default: built from source, once, which takes minutes)")
	f.StringSliceVar(&o.Peers, "peers", nil, "`names` of the servers beside it or none (default all that are installed)")
	f.StringArrayVar(&o.Scenarios, "scenario", nil, "`name` of what to measure, may be repeated (default all)")
	f.IntVar(&o.Rounds, "rounds", 0, "how often to measure each (default 5, with --quick 2)")
	f.BoolVar(&o.Quick, "quick", false, "for an order of magnitude, in two minutes")
	f.StringVar(&o.Profiles, "profiles", "", "`folder` for CPU profiles of Sallyport, one by scenario")
	f.StringVar(&o.Dir, "dir", "out/peers", "`folder` for what is kept for the next time")
	f.StringVar(&markdownFile, "markdown", "", "write the table to `file` too, in Markdown")
	f.StringVarP(&jsonFile, "json", "o", "", "write the comparisons to `file`, as JSON")
	return cmd
}

// known refuses names that are none of all, in any case.
func known(flag string, names, all []string) error {
	for _, name := range names {
		if !slices.ContainsFunc(all, func(one string) bool { return strings.EqualFold(one, name) }) {
			return usageError{fmt.Errorf("%s %q: want one of %q", flag, name, all)}
		}
	}
	return nil
}

func writePeers(found *peers.Report, markdownFile, jsonFile string) error {
	if markdownFile != "" {
		f, err := os.Create(markdownFile)
		if err != nil {
			return err
		}
		if err := found.Markdown(f); err != nil {
			f.Close()
			return fmt.Errorf("write %s: %w", markdownFile, err)
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	if jsonFile == "" {
		return nil
	}
	return found.WriteBench(jsonFile)
}
