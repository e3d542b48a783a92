package main

import (
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/edge/truststore"
)

func truststoresCommand() *cobra.Command {
	return listing("truststores", "Show the trust stores: CAs, CRLs, what is wrong with them", "/truststores", printTrustStores)
}

func printTrustStores(w io.Writer, stores []truststore.Status) error {
	for _, s := range stores {
		fmt.Fprintf(w, "trust store %s, generation %d, in force since %s", s.Name, s.Generation, stamp(s.Loaded))
		if s.Version > 0 {
			fmt.Fprintf(w, ", version %d", s.Version)
		}
		fmt.Fprintln(w)
		var rows [][]string
		for _, ca := range s.CAs {
			rows = append(rows, []string{"  " + stamp(ca.NotAfter), ca.Key, ca.SHA256[:min(16, len(ca.SHA256))], ca.Subject})
		}
		if err := table(w, "  CA_UNTIL KEY SHA256 SUBJECT", rows); err != nil {
			return err
		}
		rows = nil
		for _, crl := range s.CRLs {
			fresh := "fresh"
			if crl.Expired {
				fresh = "EXPIRED"
			}
			if !crl.Verified {
				fresh += ", CA not in bundle"
			}
			from := crl.File
			if crl.ID != 0 {
				from = fmt.Sprint("id ", crl.ID)
			}
			rows = append(rows, []string{"  " + from, fresh, stamp(crl.NextUpdate), crl.Number, fmt.Sprint(crl.Entries), sizeText(crl.DiskBytes), sizeText(crl.MemoryBytes), crl.Issuer})
		}
		if len(rows) > 0 {
			if err := table(w, "  CRL STATE NEXT_UPDATE NUMBER ENTRIES ON_DISK IN_MEMORY ISSUER", rows); err != nil {
				return err
			}
		}
		if l := s.Loading; l != nil {
			fmt.Fprintf(w, "  loading %s since %s: %s of %s, %d entries\n", l.File, stamp(l.Since), sizeText(l.Bytes), sizeText(l.Size), l.Entries)
		}
		for _, text := range s.Warnings {
			fmt.Fprintf(w, "  warning: %s\n", text)
		}
		for _, field := range slices.Sorted(maps.Keys(s.Errors)) {
			fmt.Fprintf(w, "  refused, its old content stays: %s: %s\n", field, s.Errors[field])
		}
		if s.ExpiredCRLAllowed > 0 {
			fmt.Fprintf(w, "  let in on an expired CRL, as configured: %d\n", s.ExpiredCRLAllowed)
		}
		fmt.Fprintln(w)
	}
	return nil
}
