package main

import (
	"context"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/edge/identity"
	"github.com/sallyport/sallyport/revocation"
)

func crlCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "crl", Short: "Look at certificate revocation lists", Args: noArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		return cmd.Help()
	}}
	cmd.AddCommand(crlInspectCommand(), crlDiffCommand())
	return cmd
}

// inspection is what is asked of a CRL file.
type inspection struct {
	file, cas, cert string
	json            bool
}

func crlInspectCommand() *cobra.Command {
	var ask inspection
	cmd := &cobra.Command{
		Use:   "inspect FILE|URL",
		Short: "Read a CRL as the edge would, and tell what is in it",
		Long: "Read a CRL, PEM or DER, from a file or from an http or https URL, as the edge would, and tell what\n" +
			"is in it. With --ca (or --ca-bundle) the signatures are verified and it is said what an edge with\n" +
			"these CAs would make of it; with --cert too a certificate is looked up. Exits with 1 when the CRL is\n" +
			"refused, a signature does not verify or the certificate is not good; by an expired CRL none is.",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError{fmt.Errorf("%d arguments: want FILE or URL", len(args))}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			ask.file = args[0]
			if ask.cert != "" && ask.cas == "" {
				return usageError{errors.New("--cert without --ca: the issuer is needed too")}
			}
			return ask.run(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	cmd.Flags().StringVar(&ask.cas, "ca", "", "PEM `file` of the CAs whose lists these should be")
	cmd.Flags().StringVar(&ask.cas, "ca-bundle", "", "the same as --ca")
	cmd.Flags().StringVar(&ask.cert, "cert", "", "PEM `file` of a certificate to look up")
	jsonFlag(cmd, &ask.json)
	return cmd
}

// crlReport is what inspect tells.
type crlReport struct {
	File        string         `json:"file"`
	Bytes       int64          `json:"bytes"`
	Seconds     float64        `json:"seconds"`         // that reading took
	Guard       string         `json:"guard,omitempty"` // why an edge refuses the URL's address by default
	Lists       []listReport   `json:"lists"`
	Edge        string         `json:"edge"` // what one would make of the lists
	Certificate *verdictReport `json:"certificate,omitempty"`
}

type listReport struct {
	Issuer      string    `json:"issuer"`
	Scope       string    `json:"scope"`
	Number      string    `json:"number,omitempty"`
	BaseNumber  string    `json:"base_number,omitempty"` // of a delta
	ThisUpdate  time.Time `json:"this_update"`
	NextUpdate  time.Time `json:"next_update,omitzero"`
	Expired     bool      `json:"expired"`
	Entries     int       `json:"entries"`
	Algorithm   string    `json:"signature_algorithm"`
	Signature   string    `json:"signature"` // verified, unverified, or what is wrong
	Unusable    string    `json:"unusable,omitempty"`
	SHA256      string    `json:"sha256"` // of the DER
	MemoryBytes int64     `json:"memory_bytes"`
}

type verdictReport struct {
	Subject   string    `json:"subject"`
	Status    string    `json:"status"` // good, revoked or unknown
	Reason    string    `json:"reason,omitempty"`
	RevokedAt time.Time `json:"revoked_at,omitzero"`
	Why       string    `json:"why,omitempty"`
}

func (ask *inspection) run(ctx context.Context, out, progress io.Writer) error {
	var cas []*x509.Certificate
	var err error
	if ask.cas != "" {
		if cas, err = readCertificates(ask.cas); err != nil {
			return err
		}
	}
	report := crlReport{File: ask.file}
	bar := newProgressBar(progress, ask.file)
	began := time.Now()
	path := ask.file
	if isURL(ask.file) {
		var remove func()
		path, remove, err = download(ctx, ask.file, &report, bar.set)
		defer remove()
	}
	var lists []*revocation.List
	if err == nil {
		lists, err = revocation.ReadFile(ctx, path, revocation.Options{Progress: func(p revocation.Progress) {
			report.Bytes = p.Bytes
			bar.set(p)
		}})
	}
	bar.end()
	if err != nil {
		return fmt.Errorf("read CRL %s: %w", ask.file, err)
	}
	report.Seconds = time.Since(began).Seconds()
	sound := true
	for _, l := range lists {
		r := reportList(l, cas, began)
		report.Lists = append(report.Lists, r)
		sound = sound && (r.Signature == "verified" || cas == nil)
	}
	report.Edge = edgeSays(lists, cas, isURL(ask.file), began)
	if ask.cert != "" {
		if report.Certificate, err = lookUp(ask.cert, cas, lists, began); err != nil {
			return err
		}
		sound = sound && report.Certificate.Status == revocation.Good.String()
	}
	if ask.json {
		err = printJSON(out, report)
	} else {
		err = report.print(out)
	}
	if err == nil && !sound {
		return errRefused
	}
	return err
}

func reportList(l *revocation.List, cas []*x509.Certificate, now time.Time) listReport {
	digest := l.Digest()
	r := listReport{
		Issuer:      identity.Issuer(&x509.Certificate{RawIssuer: l.Issuer()}),
		Scope:       l.Scope(),
		ThisUpdate:  l.ThisUpdate(),
		NextUpdate:  l.NextUpdate(),
		Expired:     now.After(l.NextUpdate()),
		Entries:     l.Entries(),
		Algorithm:   l.SignatureAlgorithm().String(),
		Signature:   "unverified",
		SHA256:      hex.EncodeToString(digest[:]),
		MemoryBytes: l.MemoryBytes(),
	}
	if n := l.Number(); n != nil {
		r.Number = n.String()
	}
	if n := l.BaseNumber(); n != nil {
		r.BaseNumber = n.String()
	}
	if err := l.Unusable(); err != nil {
		r.Unusable = err.Error()
	}
	if cas != nil {
		switch known, err := l.CheckIssuer(cas); {
		case err != nil:
			r.Signature = err.Error()
		case known:
			r.Signature = "verified"
		default:
			r.Signature = "its CA is not in the bundle"
		}
	}
	return r
}

// lookUp asks the lists about the first certificate in a file.
func lookUp(file string, cas []*x509.Certificate, lists []*revocation.List, now time.Time) (*verdictReport, error) {
	certs, err := readCertificates(file)
	if err != nil {
		return nil, err
	}
	cert := certs[0]
	for _, ca := range cas {
		if cert.CheckSignatureFrom(ca) != nil {
			continue
		}
		v := revocation.NewIndex(lists).Check(revocation.Prepare(cert, ca), now)
		r := &verdictReport{Subject: identity.Subject(cert), Status: v.Status.String(), Why: v.Why}
		switch {
		case v.Status == revocation.Revoked:
			r.Reason, r.RevokedAt = v.Reason.String(), v.RevokedAt
		case v.Status == revocation.Good && v.NextUpdate.IsZero():
			r.Status, r.Why = revocation.Unknown.String(), "not named in the CRL, but that has no nextUpdate, and so counts as expired"
		case v.Status == revocation.Good && now.After(v.NextUpdate):
			// An edge refuses it, unless its configuration says otherwise.
			r.Status, r.Why = revocation.Unknown.String(), "not named in the CRL, but that expired at "+stamp(v.NextUpdate)
		}
		return r, nil
	}
	return nil, fmt.Errorf("look up %s: its issuer %s is not in the CA bundle", file, identity.Issuer(cert))
}

// readCertificates reads the certificates of a PEM file; none is an error.
func readCertificates(file string) ([]*x509.Certificate, error) {
	chain, err := readChain(file)
	if err != nil {
		return nil, err
	}
	certs := make([]*x509.Certificate, len(chain))
	for i, der := range chain {
		if certs[i], err = x509.ParseCertificate(der); err != nil {
			return nil, fmt.Errorf("parse certificate %d of %s: %w", i+1, file, err)
		}
	}
	return certs, nil
}
