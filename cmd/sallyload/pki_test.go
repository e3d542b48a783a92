package main

import (
	"bytes"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/loadtest/pki"
)

func parse(t *testing.T, file string) *x509.Certificate {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(data)
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func TestPKIHoldsTogether(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "pki")
	var out, progress bytes.Buffer
	args := []string{"pki", dir, "--leaves", "4", "--revoked", "3", "--crl-entries", "70000", "--key", "rsa2048"}
	if code := run(args, &out, &progress); code != exitDone {
		t.Fatalf("exit %d: %s", code, progress.String())
	}
	root, issuing := parse(t, filepath.Join(dir, "ca.pem")), parse(t, filepath.Join(dir, "intermediate.pem"))
	roots := x509.NewCertPool()
	roots.AddCert(root)

	data, err := os.ReadFile(filepath.Join(dir, "crl.pem"))
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	for _, want := range []struct {
		issuer  *x509.Certificate
		entries int
	}{{root, 0}, {issuing, 70_000}} {
		block, rest := pem.Decode(data)
		if block == nil || block.Type != "X509 CRL" {
			t.Fatalf("no CRL at %.80q", data)
		}
		data = rest
		crl, err := x509.ParseRevocationList(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		if err := crl.CheckSignatureFrom(want.issuer); err != nil {
			t.Error(err)
		}
		for _, e := range crl.RevokedCertificateEntries {
			listed[e.SerialNumber.String()] = true
		}
		if len(crl.RevokedCertificateEntries) != want.entries || len(listed) != want.entries {
			t.Errorf("%d entries of %s, %d of them different: want %d", len(crl.RevokedCertificateEntries), want.issuer.Subject, len(listed), want.entries)
		}
	}
	if len(data) > 0 {
		t.Errorf("%d bytes after the CRLs", len(data))
	}

	for name, n := range map[string]int{"clients/client": 4, "revoked/revoked": 3} {
		for i := range n {
			file := filepath.Join(dir, fmt.Sprintf("%s-%06d", name, i+1))
			pair, err := tls.LoadX509KeyPair(file+".crt", file+".key")
			if err != nil {
				t.Fatal(err)
			}
			if _, is := pair.PrivateKey.(*rsa.PrivateKey); !is {
				t.Errorf("%s has a %T", file, pair.PrivateKey)
			}
			intermediates := x509.NewCertPool()
			for _, der := range pair.Certificate[1:] {
				cert, err := x509.ParseCertificate(der)
				if err != nil {
					t.Fatal(err)
				}
				intermediates.AddCert(cert)
			}
			if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: intermediates, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
				t.Errorf("%s: %v", file, err)
			}
			if revoked := strings.HasPrefix(name, "revoked"); listed[pair.Leaf.SerialNumber.String()] != revoked {
				t.Errorf("%s: on the CRL %v, want %v", file, !revoked, revoked)
			}
		}
	}
	servers := x509.NewCertPool()
	servers.AddCert(parse(t, filepath.Join(dir, "server-ca.pem")))
	if _, err := parse(t, filepath.Join(dir, "server.crt")).Verify(x509.VerifyOptions{Roots: servers, DNSName: "localhost"}); err != nil {
		t.Error(err)
	}
}

func TestPEMWriterWritesWhatPEMDoes(t *testing.T) {
	for _, n := range []int{0, 1, 47, 48, 49, 95, 96, 97, 100_000} {
		der := bytes.Repeat([]byte{0xa5}, n)
		var got bytes.Buffer
		w := newPEMWriter(&got, "X509 CRL")
		for rest := der; len(rest) > 0; {
			k := min(len(rest), 7)
			if _, err := w.Write(rest[:k]); err != nil {
				t.Fatal(err)
			}
			rest = rest[k:]
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if want := pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der}); !bytes.Equal(got.Bytes(), want) {
			t.Errorf("%d bytes: %.200q, want %.200q", n, got.String(), want)
		}
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func TestPEMWriterTellsOfAFullDisk(t *testing.T) {
	w := newPEMWriter(full{}, "X509 CRL")
	_, err := w.Write(make([]byte, 1<<20))
	if err = errors.Join(err, w.Close()); err == nil || !strings.Contains(err.Error(), "disk full") {
		t.Errorf("got %v", err)
	}
}

func TestInParallelStopsAtAnError(t *testing.T) {
	broken := errors.New("broken")
	err := inParallel(1000, func(i int) error {
		if i == 17 {
			return broken
		}
		return nil
	})
	if !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

// BenchmarkCRLOfAMillion is the whole of sallyload pki --crl-entries 1000000, but
// for its clients.
func BenchmarkCRLOfAMillion(b *testing.B) {
	for b.Loop() {
		w := writtenPKI{dir: b.TempDir(), strangers: 1_000_000, meter: meter{discard{}}, key: pki.P256}
		if err := w.make(); err != nil {
			b.Fatal(err)
		}
	}
}
