package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/edge/servercert"
)

// renewTime bounds the wait for all of an entry's certificates.
const renewTime = 15 * time.Minute

func certificatesCommand() *cobra.Command {
	cmd := listing("certificates", "Show the certificates that clients are shown: until when, from whom, what is wrong with them", "/certificates", printCertificates)
	cmd.AddCommand(renewCommand())
	return cmd
}

func printCertificates(w io.Writer, list []servercert.Status) error {
	var rows [][]string
	for _, s := range list {
		source := s.Source
		if s.OnDemand {
			source += ", on demand"
		}
		ocsp := ""
		if s.Staple != nil {
			ocsp = s.Staple.Status
			if strings.ContainsRune(ocsp, ' ') {
				ocsp = "failed"
			}
		}
		rows = append(rows, []string{s.Certificate, s.Host, source, stamp(s.NotAfter), s.Key, ocsp, stamp(s.NextTry), s.Issuer})
	}
	if err := table(w, "CERTIFICATE HOST SOURCE NOT_AFTER KEY OCSP NEXT_TRY ISSUER", rows); err != nil {
		return err
	}
	for _, s := range list {
		if s.LastError != "" {
			fmt.Fprintf(w, "\n%s, %s: failed at %s: %s\n", s.Certificate, s.Host, stamp(s.LastErrorAt), s.LastError)
		}
	}
	return nil
}

func renewCommand() *cobra.Command {
	var edge remote
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "renew NAME",
		Short: "Have an entry's certificates renewed now",
		Long: "Have the certificates of an entry renewed now, whatever the schedule says, and wait for them. The old\n" +
			"ones serve until there are new ones. Those of a file are read again.",
		Args: arguments("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := edge.client()
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(context.Background(), renewTime)
			defer cancel()
			var list []servercert.Status
			err = client.Do(ctx, http.MethodPost, "/certificates/"+args[0]+"/renew", nil, &list)
			if errors.Is(err, context.DeadlineExceeded) {
				return fmt.Errorf("renew certificate %s: not done within %s; it goes on: see sallyport certificates", args[0], renewTime)
			}
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), list)
			}
			return printCertificates(cmd.OutOrStdout(), list)
		},
	}
	edge.flags(cmd)
	jsonFlag(cmd, &asJSON)
	return cmd
}
