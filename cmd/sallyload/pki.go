package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/loadtest/pki"
)

// Bounds of a PKI to be made.
const (
	mostLeaves     = 1_000_000
	mostCRLEntries = 100_000_000
)

var keyTypes = map[string]pki.KeyType{
	"p256": pki.P256, "p384": pki.P384, "rsa2048": pki.RSA(2048), "rsa3072": pki.RSA(3072), "rsa4096": pki.RSA(4096),
}

func pkiCommand() *cobra.Command {
	var w writtenPKI
	var key string
	var entries int64
	cmd := &cobra.Command{
		Use:   "pki DIR",
		Short: "Make a throwaway PKI for load tests: CAs, a server, many clients, CRLs of any size",
		Long: "Make a throwaway PKI in a folder that is not there yet or empty: a root and an intermediate CA, clients of\n" +
			"the intermediate, a server certificate for localhost of a CA of its own, and both client CAs' CRLs. The\n" +
			"revoked clients are on the CRL; serial numbers that nobody has fill it up. Clients with RSA keys share one.",
		Example: "  sallyload pki test-pki --leaves 1000 --revoked 10 --crl-entries 1000000\n" +
			"  sallyload run --identity-files 'test-pki/clients/*.crt' --cacert test-pki/server-ca.pem https://localhost:8443/",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError{errors.New("want one folder")}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			var ok bool
			if w.key, ok = keyTypes[key]; !ok {
				return usageError{fmt.Errorf("--key %q: want one of %s", key, strings.Join(slices.Sorted(maps.Keys(keyTypes)), ", "))}
			}
			switch {
			case w.leaves < 0 || w.leaves > mostLeaves:
				return usageError{fmt.Errorf("--leaves %d: want 0 to %d", w.leaves, mostLeaves)}
			case w.revoked < 0 || w.revoked > mostLeaves:
				return usageError{fmt.Errorf("--revoked %d: want 0 to %d", w.revoked, mostLeaves)}
			case !cmd.Flags().Changed("crl-entries"):
				entries = int64(w.revoked)
			case entries < int64(w.revoked) || entries > mostCRLEntries:
				return usageError{fmt.Errorf("--crl-entries %d: want %d, the revoked clients, to %d", entries, w.revoked, mostCRLEntries)}
			}
			w.strangers = entries - int64(w.revoked)
			w.dir = args[0]
			if err := emptyDir(w.dir); err != nil {
				return err
			}
			w.meter = meter{cmd.ErrOrStderr()}
			if err := w.make(); err != nil {
				return err
			}
			return w.describe(cmd.OutOrStdout())
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.IntVar(&w.leaves, "leaves", 1, "how `many` good clients")
	f.IntVar(&w.revoked, "revoked", 1, "how `many` revoked ones")
	f.Int64Var(&entries, "crl-entries", 0, "how `many` entries the intermediate's CRL has (default: the revoked clients)")
	f.StringVar(&key, "key", "p256", "`type` of the clients' keys: "+strings.Join(slices.Sorted(maps.Keys(keyTypes)), ", "))
	return cmd
}

// emptyDir makes a folder, and refuses one that holds anything: keys of a
// throwaway PKI must not end up among others.
func emptyDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	held, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	if len(held) > 0 {
		return fmt.Errorf("%s is not empty: %s is in it: want a new folder", dir, held[0].Name())
	}
	return nil
}
