package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/edge/admin"
	"github.com/sallyport/sallyport/edge/config"
)

// uploadTime bounds a change of a trust store: a CRL may be large.
const uploadTime = 10 * time.Minute

func truststoreCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "truststore",
		Short: "Fill a trust store of the running edge, and go back to what it was filled with",
		Long: "Fill a trust store that the configuration declares with source: api. Every change makes a new version,\n" +
			"which is on disk and in force when the command returns. The last 100 are kept.",
		RunE: func(cmd *cobra.Command, args []string) error {
			var names []string
			for _, c := range cmd.Commands() {
				names = append(names, c.Name())
			}
			if len(args) == 0 {
				return usageError{fmt.Errorf("truststore: want %s", strings.Join(names, ", "))}
			}
			return usageError{fmt.Errorf("truststore: unknown command %q: want %s", args[0], strings.Join(names, ", "))}
		},
	}
	cmd.AddCommand(putCommand(), addCRLCommand(), removeCRLCommand(), historyCommand(), rollbackCommand(), getCommand())
	return cmd
}

func putCommand() *cobra.Command {
	var bundle string
	cmd := changing("put NAME --ca-bundle FILE", "Replace the CA bundle", "NAME", func(args []string) (change, error) {
		if bundle == "" {
			return change{}, usageError{fmt.Errorf("--ca-bundle is needed")}
		}
		data, err := readUpload(bundle, admin.MaxBundleSize)
		return change{http.MethodPut, "/ca-bundle", io.NopCloser(bytes.NewReader(data))}, err
	})
	cmd.Long = "Replace the CA bundle. The CRLs stay. A bundle that is refused changes nothing."
	cmd.Flags().StringVar(&bundle, "ca-bundle", "", "PEM `file` of CA certificates")
	return cmd
}

func addCRLCommand() *cobra.Command {
	cmd := changing("crl-add NAME FILE", "Add a CRL, PEM or DER", "NAME FILE", func(args []string) (change, error) {
		f, err := os.Open(args[1])
		return change{http.MethodPost, "/crls", f}, err
	})
	cmd.Long = "Add a CRL, PEM (any number of lists) or DER, under a new id. Whom it lists is refused from then on. A newer\n" +
		"list supersedes an older one by itself; one that is older than what is in force is refused."
	return cmd
}

func removeCRLCommand() *cobra.Command {
	cmd := changing("crl-remove NAME ID", "Remove a CRL", "NAME ID", func(args []string) (change, error) {
		id, err := count("ID", args[1])
		return change{http.MethodDelete, "/crls/" + id, http.NoBody}, err
	})
	cmd.Long = "Remove what was added under an id. An issuer of which no list remains needs none any more under crl: auto:\n" +
		"add the new list first, then remove the old."
	return cmd
}

func rollbackCommand() *cobra.Command {
	cmd := changing("rollback NAME VERSION", "Go back to the content of an old version", "NAME VERSION", func(args []string) (change, error) {
		version, err := count("VERSION", args[1])
		return change{http.MethodPost, "/rollback?version=" + version, http.NoBody}, err
	})
	cmd.Long = "Make a new version with the content of an old one, older CRLs included: whom only a newer list revokes is\n" +
		"let in again. The edge logs what that undoes."
	return cmd
}

// change is what a command asks of a trust store.
type change struct {
	method, path string
	body         io.ReadCloser
}

// changing makes a command that changes the trust store which its first argument
// names. names are those of its arguments.
func changing(use, short, names string, ask func(args []string) (change, error)) *cobra.Command {
	var edge remote
	var asJSON bool
	cmd := &cobra.Command{
		Use: use, Short: short, Args: arguments(names),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := ask(args)
			if err != nil {
				return err
			}
			defer c.body.Close()
			client, err := edge.client()
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(context.Background(), uploadTime)
			defer cancel()
			var v admin.TrustStoreVersion
			if err := client.Do(ctx, c.method, storePath(args[0], c.path), c.body, &v); err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), v)
			}
			for _, text := range v.Warnings {
				fmt.Fprintf(cmd.ErrOrStderr(), "warning: %s\n", text)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: version %d is in force: %s; %d CAs, CRLs %s\n",
				args[0], v.Version, described(v), v.CABundle.CAs, idList(v.CRLs))
			return err
		},
	}
	edge.flags(cmd)
	jsonFlag(cmd, &asJSON)
	return cmd
}

func historyCommand() *cobra.Command {
	var edge remote
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "history NAME",
		Short: "List the versions, newest first: the first is in force",
		Args:  arguments("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := edge.client()
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
			defer cancel()
			list := []admin.TrustStoreVersion{}
			if err := client.Get(ctx, storePath(args[0], "/history"), &list); err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), list)
			}
			var rows [][]string
			for _, v := range list {
				entries := 0
				for _, crl := range v.CRLs {
					entries += crl.Entries
				}
				rows = append(rows, []string{fmt.Sprint(v.Version), stamp(v.Time), described(v), fmt.Sprint(v.CABundle.CAs),
					v.CABundle.SHA256[:min(16, len(v.CABundle.SHA256))], idList(v.CRLs), fmt.Sprint(entries)})
			}
			return table(cmd.OutOrStdout(), "VERSION TIME ACTION CAS BUNDLE_SHA256 CRLS CRL_ENTRIES", rows)
		},
	}
	edge.flags(cmd)
	jsonFlag(cmd, &asJSON)
	return cmd
}

func getCommand() *cobra.Command {
	var edge remote
	var version, crl string
	cmd := &cobra.Command{
		Use:   "get NAME [--version N | --crl ID]",
		Short: "Print a CA bundle or a CRL as it was uploaded, byte for byte",
		Args:  arguments("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			path := "/ca-bundle"
			switch {
			case version != "" && crl != "":
				return usageError{fmt.Errorf("--version and --crl: want one of them: a CRL has one content, whatever the version")}
			case version != "":
				n, err := count("--version", version)
				if err != nil {
					return err
				}
				path += "?version=" + n
			case crl != "":
				id, err := count("--crl", crl)
				if err != nil {
					return err
				}
				path = "/crls/" + id
			}
			client, err := edge.client()
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(context.Background(), uploadTime)
			defer cancel()
			return client.Download(ctx, storePath(args[0], path), cmd.OutOrStdout())
		},
	}
	edge.flags(cmd)
	cmd.Flags().StringVar(&version, "version", "", "bundle of the version with this `number` (default: the one in force)")
	cmd.Flags().StringVar(&crl, "crl", "", "CRL with this `id` instead of the bundle")
	return cmd
}

func storePath(name, path string) string { return "/truststores/" + url.PathEscape(name) + path }

// arguments wants as many as there are words in names.
func arguments(names string) cobra.PositionalArgs {
	want := strings.Fields(names)
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < len(want):
			return usageError{fmt.Errorf("%s is missing: want %s", want[len(args)], names)}
		case len(args) > len(want):
			return usageError{fmt.Errorf("unexpected argument %q", args[len(want)])}
		}
		return nil
	}
}

// count checks a number of the command line, from 1.
func count(what, text string) (string, error) {
	if n, err := strconv.ParseUint(text, 10, 63); err != nil || n == 0 {
		return "", usageError{fmt.Errorf("%s %q: want a number from 1", what, text)}
	}
	return text, nil
}

// readUpload reads a file, unless the edge would not take that much.
func readUpload(name string, most config.Size) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, int64(most)+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > int64(most) {
		return nil, fmt.Errorf("%s has more than %v", name, most)
	}
	return data, nil
}

// described is what made a version.
func described(v admin.TrustStoreVersion) string {
	switch {
	case v.RevocationID != 0:
		return fmt.Sprintf("%s %d", v.Action, v.RevocationID)
	case v.RolledBackTo != 0:
		return fmt.Sprintf("%s to %d", v.Action, v.RolledBackTo)
	}
	return v.Action
}

func idList(crls []admin.TrustStoreCRL) string {
	var ids []string
	for _, crl := range crls {
		ids = append(ids, strconv.FormatInt(crl.ID, 10))
	}
	if len(ids) == 0 {
		return "none"
	}
	return strings.Join(ids, ",")
}
