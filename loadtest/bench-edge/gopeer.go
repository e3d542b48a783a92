package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"time"
)

// startGo starts the peer as a child.
func (b *bench) startGo(ctx context.Context) (*server, error) {
	address, p, err := b.startSelf(ctx, "peer", b.cores.server, b.address, b.files.dir)
	if err != nil {
		return nil, err
	}
	return &server{name: "Go net/http + ReverseProxy", address: address, process: p}, nil
}

// runPeer serves what a Go programmer would write with the standard library
// alone: crypto/tls verifies the chain at every handshake, a map holds the CRLs,
// ReverseProxy passes requests on and sets the identity headers of each.
func runPeer(address, backend string, f files) error {
	roots, err := os.ReadFile(f.path(rootFile))
	if err != nil {
		return err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(roots) {
		return fmt.Errorf("no certificate in %s", rootFile)
	}
	revoked, err := readCRLs(f)
	if err != nil {
		return err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	// The default of 2 would make it open a connection for most requests.
	transport.MaxIdleConnsPerHost = 256
	proxy := &httputil.ReverseProxy{
		Transport: transport,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: backend})
			r.Out.Host = r.In.Host
			r.SetXForwarded()
			setIdentity(r.Out.Header, r.In.TLS.PeerCertificates[0])
		},
	}
	server := &http.Server{
		Addr:              address,
		Handler:           proxy,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       60 * time.Second,
		TLSConfig: &tls.Config{
			ClientAuth:       tls.RequireAndVerifyClientCert,
			ClientCAs:        pool,
			VerifyConnection: func(s tls.ConnectionState) error { return revoked.check(s.VerifiedChains) },
		},
	}
	return server.ListenAndServeTLS(f.path(serverCertFile), f.path(serverKeyFile))
}

func setIdentity(h http.Header, leaf *x509.Certificate) {
	h.Set(identityName("Serial-Number"), leaf.SerialNumber.Text(16))
	h.Set(identityName("Issuer"), leaf.Issuer.String())
	h.Set(identityName("Subject"), leaf.Subject.String())
	h.Set(identityName("Validity"), "NotBefore="+leaf.NotBefore.Format(time.RFC3339)+";NotAfter="+leaf.NotAfter.Format(time.RFC3339))
	encoded := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf.Raw})
	h.Set(identityName("Leaf"), url.PathEscape(string(encoded)))
}

// listed is a revoked certificate.
type listed struct{ issuer, serial string }

type revokedSet map[listed]bool

// readCRLs reads both CRLs. It leaves their signatures unchecked: the files are
// this run's own, and reading them is not measured.
func readCRLs(f files) (revokedSet, error) {
	text, err := os.ReadFile(f.path(allCRLsFile))
	if err != nil {
		return nil, err
	}
	revoked := revokedSet{}
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			break
		}
		crl, err := x509.ParseRevocationList(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("parse %s: %w", allCRLsFile, err)
		}
		for _, entry := range crl.RevokedCertificateEntries {
			revoked[listed{string(crl.RawIssuer), entry.SerialNumber.String()}] = true
		}
	}
	if len(revoked) == 0 {
		return nil, fmt.Errorf("no entry in %s", allCRLsFile)
	}
	return revoked, nil
}

// check refuses chains of which any certificate but the root is listed.
func (r revokedSet) check(chains [][]*x509.Certificate) error {
	if len(chains) == 0 {
		return errors.New("no verified chain")
	}
	for _, chain := range chains {
		for _, cert := range chain[:len(chain)-1] {
			if r[listed{string(cert.RawIssuer), cert.SerialNumber.String()}] {
				return fmt.Errorf("certificate %x is revoked", cert.SerialNumber)
			}
		}
	}
	return nil
}
