package main

import (
	"fmt"
	"io"
	"math/big"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/sallyport/sallyport/loadtest/pki"
)

// writtenPKI is a PKI in files.
type writtenPKI struct {
	dir             string
	leaves, revoked int
	key             pki.KeyType
	strangers       int64 // entries of the CRL that are nobody's
	meter           meter

	root, issuing  *pki.CA
	revokedSerials []*big.Int
}

func (w *writtenPKI) make() error {
	var err error
	if w.root, err = pki.NewRoot(pki.CommonName("Load Test Root CA")); err != nil {
		return err
	}
	if w.issuing, err = w.root.NewIntermediate(pki.CommonName("Load Test Issuing CA"), pki.PathLen(0)); err != nil {
		return err
	}
	serverCA, err := pki.NewRoot(pki.CommonName("Load Test Server CA"))
	if err != nil {
		return err
	}
	server, err := serverCA.Issue(pki.CommonName("localhost"), pki.Server("localhost", "127.0.0.1", "::1"))
	if err != nil {
		return err
	}
	if err := server.WriteFiles(w.dir, "server"); err != nil {
		return err
	}
	for name, ca := range map[string]*pki.CA{"ca.pem": w.root, "intermediate.pem": w.issuing, "server-ca.pem": serverCA} {
		if err := os.WriteFile(filepath.Join(w.dir, name), ca.CertPEM(), 0o600); err != nil {
			return err
		}
	}
	if _, err := w.clients("clients", "client", w.leaves); err != nil {
		return err
	}
	if w.revokedSerials, err = w.clients("revoked", "revoked", w.revoked); err != nil {
		return err
	}
	return w.crls()
}

// clients makes n clients below the intermediate, in a folder of their own, and
// returns their serial numbers.
func (w *writtenPKI) clients(folder, name string, n int) ([]*big.Int, error) {
	serials := make([]*big.Int, n)
	dir := filepath.Join(w.dir, folder)
	err := w.meter.step(folder, int64(n), func(done func(int64)) error {
		return inParallel(n, func(i int) error {
			name := fmt.Sprintf("%s-%06d", name, i+1)
			leaf, err := w.issuing.Issue(pki.CommonName(name), pki.Key(w.key))
			if err != nil {
				return err
			}
			serials[i] = leaf.Serial()
			done(1)
			return leaf.WriteFiles(dir, name)
		})
	})
	return serials, err
}

// inParallel does something for each of n on all processors, and returns one of
// the errors.
func inParallel(n int, do func(i int) error) error {
	var next atomic.Int64
	var first error
	var once sync.Once
	var workers sync.WaitGroup
	for range min(n, runtime.GOMAXPROCS(0)) {
		workers.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				if err := do(i); err != nil {
					once.Do(func() { first = err })
					next.Store(int64(n))
				}
			}
		})
	}
	workers.Wait()
	return first
}

// describe says what there is.
func (w *writtenPKI) describe(out io.Writer) error {
	_, err := fmt.Fprintf(out, `%s holds a PKI for tests; its keys protect nothing.
  ca.pem                   the clients' root CA, a server's trust anchor; intermediate.pem is below it
  crl.pem                  CRLs of both, PEM; %d entries in the intermediate's
  server.crt, server.key   for localhost, 127.0.0.1 and ::1; clients trust server-ca.pem
  clients/                 %d clients
  revoked/                 %d that the CRL lists
`, w.dir, w.strangers+int64(w.revoked), w.leaves, w.revoked)
	return err
}
