package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/sallyport/sallyport/loadtest/benchmark"
	"github.com/sallyport/sallyport/loadtest/pki"
)

// pkiFiles is the directory of what servers read.
type pkiFiles struct{ dir string }

// The names within it.
const (
	caFile         = "ca.pem"
	serverCertFile = "server.crt"
	serverKeyFile  = "server.key"
	serverBothFile = "server.pem" // certificate and key
)

func (f pkiFiles) path(name string) string { return filepath.Join(f.dir, name) }

// serverName is the name in the servers' certificate.
const serverName = "localhost"

// clients are who connects: one whom the rule admits, and one whom it does not.
type clients struct {
	roots       *x509.CertPool
	good, other tls.Certificate
}

// write makes a CA, and writes what servers read.
func (f pkiFiles) write() (*clients, error) {
	ca, err := pki.NewRoot(pki.CommonName("bench-plugins CA"))
	if err != nil {
		return nil, err
	}
	server, err := ca.Issue(pki.Server(serverName, "127.0.0.1"))
	if err != nil {
		return nil, err
	}
	key, err := server.KeyPEM()
	if err != nil {
		return nil, err
	}
	for name, data := range map[string][]byte{
		caFile: ca.CertPEM(), serverCertFile: server.ChainPEM(), serverKeyFile: key,
		serverBothFile: append(server.ChainPEM(), key...),
	} {
		if err := os.WriteFile(f.path(name), data, 0o600); err != nil {
			return nil, err
		}
	}
	c := &clients{roots: ca.Pool()}
	for unit, into := range map[string]*tls.Certificate{allowedUnit: &c.good, otherUnit: &c.other} {
		leaf, err := ca.Issue(pki.Subject(pkix.Name{CommonName: "client", OrganizationalUnit: []string{unit}}))
		if err != nil {
			return nil, err
		}
		*into = leaf.TLSCertificate()
	}
	return c, nil
}

// get asks for a path on a connection of its own, with a unit that is forged. It
// makes no load.
func (c *clients) get(ctx context.Context, cert tls.Certificate, address, path string) (status int, body string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*deadline)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+address+path, nil)
	if err != nil {
		return 0, "", err
	}
	request.Host = serverName
	request.Header.Set(unitHeader, "forged")
	transport := &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: c.roots, Certificates: []tls.Certificate{cert}, ServerName: serverName, MinVersion: tls.VersionTLS13},
		DisableKeepAlives: true,
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	return response.StatusCode, string(text), err
}

// awaitServer returns once a server has answered the good client.
func (b *bench) awaitServer(ctx context.Context, r *running) error {
	return await(ctx, r.Process, func(ctx context.Context) error {
		status, _, err := b.clients.get(ctx, b.clients.good, r.Address, plainPath)
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("it answers the good client with status %d", status)
		}
		return err
	})
}

// prove checks that a server that decides does so, and that one that does not
// serves everybody.
func (b *bench) prove(ctx context.Context, s *side, r *running) error {
	status, unit, err := b.clients.get(ctx, b.clients.good, r.Address, unitPath)
	if err != nil {
		return err
	}
	if s.base != "" && (status != http.StatusOK || unit != allowedUnit) {
		return fmt.Errorf("good client: status %d, target was told %q: want 200 and %q", status, unit, allowedUnit)
	}
	want := http.StatusOK
	if s.base != "" {
		want = http.StatusForbidden
	}
	if status, _, err = b.clients.get(ctx, b.clients.other, r.Address, unitPath); err == nil && status != want {
		err = fmt.Errorf("other client: status %d, want %d", status, want)
	}
	return err
}

// startTarget starts the target, on the server's core: the load alone has the
// other one, lest it be what everybody waits for. A server that waits pays more for
// a request than one that is busy, and what it costs to decide could not be told
// from that.
func (b *bench) startTarget(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if b.targetAddress, err = benchmark.FreeAddress("127.0.0.1"); err != nil {
		return err
	}
	dir := filepath.Join(b.dir, roleTarget)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	if b.target, err = b.startProcess(&b.cores.Server, dir, roleTarget, self, benchmark.AsChild, roleTarget, b.targetAddress); err != nil {
		return err
	}
	err = await(ctx, b.target, func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+b.targetAddress+plainPath, nil)
		if err != nil {
			return err
		}
		response, err := (&http.Client{Timeout: time.Second}).Do(request)
		if err != nil {
			return err
		}
		return response.Body.Close()
	})
	if err != nil {
		b.target.Stop()
	}
	return err
}
