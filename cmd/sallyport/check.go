package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/edge"
	"github.com/sallyport/sallyport/edge/config"
)

func checkCommand() *cobra.Command {
	var file string
	var asJSON, plugins bool
	cmd := &cobra.Command{
		Use:   "check -c sallyport.yaml",
		Short: "Say everything that is wrong with a configuration",
		Long: "Check a configuration, and the files that it names, as a start or a reload would, without opening\n" +
			"sockets. Every error is printed as FILE:LINE:COLUMN. Exits with 0 if there is none; warnings do not count.\n\n" +
			"With --plugins the programs of plugins are started as well, in their sandboxes, and take their\n" +
			"configurations: so that what they refuse, and headers that two of them own, are found here.",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, problems := config.Load(file)
			if cfg != nil {
				problems = problems.With(edge.Check(cfg))
			}
			if cfg != nil && plugins && problems.Err() == nil {
				ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
				defer stop()
				problems = problems.With(edge.CheckPlugins(ctx, cfg))
			}
			out := cmd.OutOrStdout()
			if asJSON {
				problems.Sort()
				if err := printJSON(out, problems); err != nil {
					return err
				}
			} else {
				printProblems(out, problems)
			}
			if problems.Err() != nil {
				return errRefused
			}
			if !asJSON {
				fmt.Fprintf(out, "%s: ok\n", file)
			}
			return nil
		},
	}
	configFlag(cmd, &file)
	cmd.Flags().BoolVar(&plugins, "plugins", false, "start the plugins as well, and have them check their configurations")
	jsonFlag(cmd, &asJSON)
	return cmd
}
