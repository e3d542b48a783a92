package main

import (
	"context"
	"log/slog"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/cmd/sallyport/demo"
)

func demoCommand() *cobra.Command {
	o := demo.Options{Version: version()}
	var verbose bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run an edge to try: a throwaway PKI, an echo target, a page that hands out client certificates",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Out = cmd.OutOrStdout()
			o.Log = slog.New(slog.DiscardHandler)
			if verbose {
				o.Log = slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil))
			}
			if o.Once {
				anyPort(cmd, "verify-addr", &o.VerifyAddr)
				anyPort(cmd, "passthrough-addr", &o.PassthroughAddr)
				anyPort(cmd, "page-addr", &o.PageAddr)
			}
			ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			return demo.Run(ctx, o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Dir, "dir", "", "directory for its files, kept (default: a temporary one, removed)")
	f.StringVar(&o.VerifyAddr, "verify-addr", "127.0.0.1:8443", "address of the verify listener")
	f.StringVar(&o.PassthroughAddr, "passthrough-addr", "127.0.0.1:9443", "address of the passthrough listener")
	f.StringVar(&o.PageAddr, "page-addr", "127.0.0.1:8080", "address of the page")
	f.BoolVar(&o.Once, "once", false, "try every kind of client, say what was expected and what happened, and end; on free ports unless told otherwise")
	f.BoolVar(&verbose, "verbose", false, "print the edge's own log to standard error")
	return cmd
}

// anyPort makes an address that nobody chose one on a free port, so that a demo
// that only proves itself is in nobody's way.
func anyPort(cmd *cobra.Command, flag string, address *string) {
	if !cmd.Flags().Changed(flag) {
		*address = "127.0.0.1:0"
	}
}
