package main

import (
	"encoding/pem"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/edge"
	"github.com/sallyport/sallyport/edge/config"
)

func explainCommand() *cobra.Command {
	var file, listener, serverName string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "explain -c sallyport.yaml --listener NAME cert.pem",
		Short: "Say step by step what a listener would make of a client certificate",
		Long: "Say step by step what a listener would make of a client that presents the certificates in the PEM file\n" +
			"(the client's own first) and holds the key, and what the target would be told. No edge need run;\n" +
			"what only a running one knows, that a CRL file has gone back to an older edition, is not seen.\n" +
			"Exits with 0 if the client would be let in.",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError{fmt.Errorf("%d files: want one PEM file", len(args))}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			chain, err := readChain(args[0])
			if err != nil {
				return err
			}
			cfg, problems := config.Load(file)
			if err := problems.Err(); err != nil {
				return err
			}
			if listener == "" {
				if len(cfg.Listeners) != 1 {
					return usageError{fmt.Errorf("--listener is needed: the configuration has %d", len(cfg.Listeners))}
				}
				for name := range cfg.Listeners {
					listener = name
				}
			}
			e, err := edge.Explain(cfg, listener, serverName, chain, time.Now())
			if err != nil {
				return err
			}
			if asJSON {
				err = printJSON(cmd.OutOrStdout(), e)
			} else {
				err = printExplanation(cmd.OutOrStdout(), e)
			}
			if err == nil && !e.Admitted {
				return errRefused
			}
			return err
		},
	}
	configFlag(cmd, &file)
	cmd.Flags().StringVar(&listener, "listener", "", "`name` of the listener (default: the only one)")
	cmd.Flags().StringVar(&serverName, "server-name", "", "server `name` that the client asks for (SNI)")
	jsonFlag(cmd, &asJSON)
	return cmd
}

// readChain reads the certificates of a PEM file, in order.
func readChain(name string) ([][]byte, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	var chain [][]byte
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			break
		}
		if block.Type == "CERTIFICATE" {
			chain = append(chain, block.Bytes)
		}
	}
	if len(chain) == 0 {
		return nil, fmt.Errorf("read %s: no CERTIFICATE block in it", name)
	}
	return chain, nil
}

func printExplanation(w io.Writer, e *edge.Explanation) error {
	fmt.Fprintf(w, "listener %s, mode %s", e.Listener, e.Mode)
	if e.TrustStore != "" {
		fmt.Fprintf(w, ", trust store %s", e.TrustStore)
	}
	fmt.Fprint(w, "\n\n")
	var rows [][]string
	for _, s := range e.Steps {
		rows = append(rows, []string{"  " + s.Name, s.Outcome})
	}
	if err := table(w, "  STEP OUTCOME", rows); err != nil {
		return err
	}
	if !e.Admitted {
		_, err := fmt.Fprintf(w, "\nrefused: %s: %s\n", e.Code, e.Cause)
		return err
	}
	fmt.Fprintf(w, "\nlet in, once it has proved that it holds the key\n")
	if len(e.Path) > 0 {
		slices.Reverse(e.Path)
		fmt.Fprintf(w, "path: %s\n", strings.Join(e.Path, " → "))
	}
	for _, h := range e.Headers {
		fmt.Fprintf(w, "%s: %s\n", h.Name, h.Value)
	}
	return nil
}
