package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/edge/plugintest"
)

func pluginDescribeCommand() *cobra.Command {
	var t trial
	cmd := &cobra.Command{
		Use:   "describe PROGRAM",
		Short: "Show what a plugin says of itself",
		Long:  "Start a plugin in its sandbox, without a configuration, and show what it says of itself: what it\nis asked, which fields it is told, which headers nobody else may set.",
		Args:  t.args(0, 0, ""),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.try(args, cmd.ErrOrStderr(), func(ctx context.Context, p *plugintest.Program, _ []string) error {
				d, err := p.Describe(ctx)
				if err != nil {
					return err
				}
				if t.json {
					return printJSON(cmd.OutOrStdout(), d)
				}
				printDescription(cmd.OutOrStdout(), d)
				return nil
			})
		},
	}
	t.flags(cmd)
	return cmd
}

func printDescription(w io.Writer, d *plugintest.Description) {
	fmt.Fprintln(w, strings.TrimSpace("plugin "+d.Name+" "+d.Version))
	none := func(list []string) string {
		if len(list) == 0 {
			return "none"
		}
		return strings.Join(list, ", ")
	}
	fmt.Fprintf(w, "  hooks: %s\n  is told, at most: %s\n  owns: %s\n", none(d.Hooks), none(d.Needs), none(d.Owns))
	order := "one after the other, in order"
	if d.Concurrency > 1 {
		order = fmt.Sprintf("up to %d at once", d.Concurrency)
	}
	fmt.Fprintf(w, "  calls: %s\n  longest frame: %d bytes\n", order, d.MaxFrame)
}
