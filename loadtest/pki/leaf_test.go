package pki

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWriteFiles(t *testing.T) {
	root := Must(NewRoot())
	mid := Must(root.NewIntermediate())
	last := Must(mid.NewIntermediate())
	dir := filepath.Join(t.TempDir(), "made")
	for _, key := range []KeyType{P224, P256, P384, P521, Ed25519, RSA(2048)} {
		leaf := Must(last.Issue(Key(key)))
		if err := leaf.WriteFiles(dir, "client"); err != nil {
			t.Fatal(err)
		}
		got, err := tls.LoadX509KeyPair(filepath.Join(dir, "client.crt"), filepath.Join(dir, "client.key"))
		if err != nil {
			t.Fatalf("%v: %v", key, err)
		}
		if diff := cmp.Diff([][]byte{leaf.DER, last.DER, mid.DER}, got.Certificate); diff != "" {
			t.Errorf("%v: client.crt (-want +got):\n%s", key, diff)
		}
		if diff := cmp.Diff(leaf.TLSCertificate().Certificate, got.Certificate); diff != "" {
			t.Errorf("%v: TLSCertificate (-want +got):\n%s", key, diff)
		}
	}
	if err := root.WriteFiles(dir, "root"); err != nil {
		t.Fatal(err)
	}
	if _, err := tls.LoadX509KeyPair(filepath.Join(dir, "root.crt"), filepath.Join(dir, "root.key")); err != nil {
		t.Error(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != 0o600 {
			t.Errorf("%s has mode %v, want 0600", entry.Name(), info.Mode())
		}
		names = append(names, entry.Name())
	}
	if diff := cmp.Diff([]string{"client.crt", "client.key", "root.crt", "root.key"}, names); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

func TestWriteFilesReplacesLooseMode(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.key")
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := Must(SelfSigned()).WriteFiles(dir, "a"); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode() != 0o600 {
		t.Errorf("mode %v, want 0600", info.Mode())
	}
}

func TestBundle(t *testing.T) {
	a, b := Must(NewRoot()), Must(NewRoot())
	var got [][]byte
	for rest := Bundle(a, b); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		got = append(got, block.Bytes)
	}
	if diff := cmp.Diff([][]byte{a.DER, b.DER}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestMutualTLS lets two identities meet as crypto/tls itself would have it.
func TestMutualTLS(t *testing.T) {
	root := Must(NewRoot())
	mid := Must(root.NewIntermediate())
	server := Must(root.Issue(Server("localhost", "127.0.0.1")))
	for _, key := range []KeyType{P256, P384, P521, Ed25519, RSA(2048)} {
		client := Must(mid.Issue(Key(key)))
		seen, err := handshake(t, server, client.TLSCertificate(), tls.VersionTLS13)
		if err != nil {
			t.Errorf("%v: %v", key, err)
			continue
		}
		if !seen[0].Equal(client.Cert) || !seen[1].Equal(mid.Cert) || len(seen) != 2 {
			t.Errorf("%v: the server saw %d other certificates", key, len(seen))
		}
	}
	if err := verify(root, server, x509.ExtKeyUsageServerAuth); err != nil {
		t.Error(err)
	}
	if err := server.Cert.VerifyHostname("127.0.0.1"); err != nil {
		t.Error(err)
	}
}

// TestAltersACopy checks that what returns another leaf leaves the first alone.
func TestAltersACopy(t *testing.T) {
	mid := Must(Must(NewRoot()).NewIntermediate())
	leaf := Must(mid.Issue())
	before := leaf.TLSCertificate()
	leaf.FlipSignature()
	leaf.Present()
	leaf.WithDER(nil)
	leaf.WithKey(mid.Key)
	after := leaf.TLSCertificate()
	if diff := cmp.Diff(before.Certificate, after.Certificate); diff != "" || before.PrivateKey != after.PrivateKey {
		t.Errorf("changed (-want +got):\n%s", diff)
	}
}
