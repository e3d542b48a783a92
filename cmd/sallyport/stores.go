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
		rows = nil
		for _, from := range s.Sources {
			state := from.LastError
			if state == "" {
				state = "well"
			}
			rows = append(rows, []string{"  " + from.URL, stamp(from.LastSuccess), stamp(from.NextAttempt), fmt.Sprint(from.Failures), state})
		}
		if len(rows) > 0 {
			if err := table(w, "  SOURCE LAST_SUCCESS NEXT_TRY FAILURES STATE", rows); err != nil {
				return err
			}
		}
		if o := s.OCSP; o != nil {
			fmt.Fprintf(w, "  OCSP %s: %d staples taken, %d refused; let in without an answer, as configured: %d; unknown to their responder: %d\n",
				o.Mode, o.Staples, o.StaplesFailed, o.SoftFailed, o.Unknown)
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
