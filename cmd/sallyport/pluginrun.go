package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/edge/pluginhost/launch"
)

// pluginRunCommand is what the edge starts plugins with. It is hidden, since it
// does nothing for people.
func pluginRunCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "plugin-run",
		Short:  "Start one plugin's program in its sandbox (for the edge to call)",
		Hidden: true,
		Long: "Start one plugin's program, as the edge orders: in a process group of its own, with a clean\n" +
			"environment and without the rights that it does not need. It ends when the program or the edge\n" +
			"does, and leaves no process of the plugin behind. The edge calls it by way of go-plugin, with\n" +
			"sockets that people do not have; called by hand it exits with 2.",
		Args: cobra.ArbitraryArgs,
		RunE: func(_ *cobra.Command, args []string) error {
			err := launch.Run(args)
			switch {
			case errors.Is(err, launch.ErrByHand):
				return usageError{err}
			case err != nil:
				return errRefused // the edge has been told
			}
			return nil
		},
	}
}
