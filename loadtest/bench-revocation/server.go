package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/sallyport/sallyport/loadtest/benchmark"
	"github.com/sallyport/sallyport/revocation"
)

// runServer serves with the library in as little else as makes a server: it
// verifies the chain and checks each link of it.
func runServer(address string, f pkiFiles, crl, dir string) error {
	ca, err := readCA(f.path(caFile))
	if err != nil {
		return err
	}
	ix, _, err := openIndex(crl, dir)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AddCert(ca)
	server := &http.Server{
		Addr:              address,
		Handler:           http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }),
		ReadHeaderTimeout: 10 * time.Second,
		TLSConfig: &tls.Config{
			ClientAuth:       tls.RequireAnyClientCert,
			VerifyConnection: func(s tls.ConnectionState) error { return admit(s.PeerCertificates, roots, ix) },
		},
	}
	return server.ListenAndServeTLS(f.path(serverCertFile), f.path(serverKeyFile))
}

// admit refuses a client unless on one of its paths no certificate is revoked,
// and of each it is known that it is not.
func admit(presented []*x509.Certificate, roots *x509.CertPool, ix *revocation.Index) error {
	intermediates := x509.NewCertPool()
	for _, cert := range presented[1:] {
		intermediates.AddCert(cert)
	}
	chains, err := presented[0].Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: intermediates, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return err
	}
	now := time.Now()
	for _, chain := range chains {
		if err = checkLinks(chain, ix, now); err == nil {
			return nil
		}
	}
	return err
}

func checkLinks(chain []*x509.Certificate, ix *revocation.Index, now time.Time) error {
	for i := range len(chain) - 1 {
		if v := ix.Check(revocation.Prepare(chain[i], chain[i+1]), now); v.Status != revocation.Good {
			return fmt.Errorf("certificate %x is %s %s", chain[i].SerialNumber, v.Status, v.Why)
		}
	}
	return nil
}

// startOurs starts Sallyport where its binary is given, else the bare server. It
// keeps its list in a directory below dir: a second start finds it there.
func (b *bench) startOurs(ctx context.Context, crl string) (*server, error) {
	if b.sallyport != "" {
		return b.startSallyport(ctx, crl)
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	address, err := benchmark.FreeAddress("127.0.0.1")
	if err != nil {
		return nil, err
	}
	p, err := startProcess(b.dir, "bare-server", self, benchmark.AsChild, roleServer, address, b.pki.dir, crl, filepath.Join(b.dir, "bare-server"))
	if err != nil {
		return nil, err
	}
	s := &server{name: "package revocation in a bare Go server", address: address, process: p}
	return s, b.awaitServer(ctx, s)
}

// awaitServer waits for the first answer of a server and proves it; a server that
// fails is stopped.
func (b *bench) awaitServer(ctx context.Context, s *server) error {
	err := s.await(ctx, b.clients)
	if err == nil {
		err = s.prove(ctx, b.clients)
	}
	if err != nil {
		s.process.Stop()
		return fmt.Errorf("start %s: %w%s", s.name, err, s.process.Said())
	}
	return nil
}
