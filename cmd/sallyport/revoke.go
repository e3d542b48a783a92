package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/edge/admin"
	"github.com/sallyport/sallyport/edge/truststore"
)

func revokeCommand() *cobra.Command {
	var edge remote
	var store, certFile, serial, issuerFile, why string
	cmd := &cobra.Command{
		Use:   "revoke --trust-store NAME (--cert FILE | --serial HEX --issuer FILE)",
		Short: "Revoke a certificate at once, whatever the CRLs say",
		Long: "Revoke a certificate by hand: nobody comes in with it from the next handshake on, resumed ones too, and\n" +
			"its open connections end within a second. It holds over restarts, until it is undone by unrevoke.",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			what := admin.RevokeRequest{Serial: serial, Why: why}
			var err error
			if what.Certificate, err = readText(certFile); err != nil {
				return err
			}
			if what.Issuer, err = readText(issuerFile); err != nil {
				return err
			}
			if (certFile != "") == (serial != "" && issuerFile != "") || certFile != "" && serial+issuerFile != "" {
				return usageError{errors.New("want either --cert, or --serial and --issuer")}
			}
			body, err := json.Marshal(what)
			if err != nil {
				return err
			}
			var made struct {
				truststore.Revocation
				Warning string `json:"warning"`
			}
			if err := onStore(&edge, store, http.MethodPost, "/revocations", bytes.NewReader(body), &made); err != nil {
				return err
			}
			if made.Warning != "" {
				fmt.Fprintf(cmd.ErrOrStderr(), "warning: %s\n", made.Warning)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "revoked as %s: serial %s of %s\n", made.ID, made.Serial, made.Issuer)
			return nil
		},
	}
	edge.flags(cmd)
	f := cmd.Flags()
	f.StringVar(&store, "trust-store", "", "`name` of the trust store")
	f.StringVar(&certFile, "cert", "", "PEM `file` of the certificate")
	f.StringVar(&serial, "serial", "", "serial number in `hex`")
	f.StringVar(&issuerFile, "issuer", "", "PEM `file` of the CA that issued it")
	f.StringVar(&why, "why", "", "reason, for the record")
	return cmd
}

func unrevokeCommand() *cobra.Command {
	var edge remote
	var store, why string
	cmd := &cobra.Command{
		Use:   "unrevoke --trust-store NAME --why TEXT ID",
		Short: "Undo a revocation made by hand",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError{errors.New("want the id of one revocation: sallyport revocations lists them")}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if why == "" {
				return usageError{errors.New("--why is needed")}
			}
			path := "/revocations/" + url.PathEscape(args[0]) + "?why=" + url.QueryEscape(why)
			if err := onStore(&edge, store, http.MethodDelete, path, nil, nil); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "undone: %s\n", args[0])
			return nil
		},
	}
	edge.flags(cmd)
	cmd.Flags().StringVar(&store, "trust-store", "", "`name` of the trust store")
	cmd.Flags().StringVar(&why, "why", "", "reason, for the record")
	return cmd
}

func revocationsCommand() *cobra.Command {
	var edge remote
	var store string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "revocations --trust-store NAME",
		Short: "List the revocations made by hand, those undone too",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var list []truststore.Revocation
			if err := onStore(&edge, store, http.MethodGet, "/revocations", nil, &list); err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), list)
			}
			return printRevocations(cmd.OutOrStdout(), list)
		},
	}
	edge.flags(cmd)
	cmd.Flags().StringVar(&store, "trust-store", "", "`name` of the trust store")
	jsonFlag(cmd, &asJSON)
	return cmd
}

func printRevocations(w io.Writer, list []truststore.Revocation) error {
	var rows [][]string
	for _, r := range list {
		state := "in force"
		if r.UndoneAt != nil {
			state = "undone " + stamp(*r.UndoneAt) + ": " + r.UndoneWhy
		}
		rows = append(rows, []string{r.ID, stamp(r.At), r.Serial, r.Issuer, r.Why, state})
	}
	return table(w, "ID AT SERIAL ISSUER WHY STATE", rows)
}

// onStore calls the edge about one of its trust stores.
func onStore(edge *remote, store, method, path string, body io.Reader, v any) error {
	if store == "" {
		return usageError{errors.New("--trust-store is needed")}
	}
	client, err := edge.client()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return client.Do(ctx, method, "/truststores/"+url.PathEscape(store)+path, body, v)
}

// readText reads a file, if one is named.
func readText(name string) (string, error) {
	if name == "" {
		return "", nil
	}
	data, err := os.ReadFile(name)
	return string(data), err
}
