package main

import (
	"bytes"
	"crypto/x509"
	"os"
	"path/filepath"
	"testing"

	"github.com/sallyport/sallyport/loadtest/pki"
)

func TestCRLFile(t *testing.T) {
	const n = 3000
	dir := filepath.Join(t.TempDir(), "crl")
	ca := pki.Must(newCA())
	path, err := crlFile(ca, dir, n)
	if err != nil {
		t.Fatal(err)
	}
	der, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	list, err := x509.ParseRevocationList(der)
	if err != nil {
		t.Fatal(err)
	}
	// A later run's CA has another certificate, and must do.
	if err := list.CheckSignatureFrom(pki.Must(newCA()).Cert); err != nil {
		t.Error(err)
	}
	if len(list.AuthorityKeyId) == 0 || list.Number == nil {
		t.Errorf("key identifier %x, number %v: want both", list.AuthorityKeyId, list.Number)
	}
	if len(list.RevokedCertificateEntries) != n {
		t.Fatalf("%d entries, want %d", len(list.RevokedCertificateEntries), n)
	}
	c, seen, reasons := newCensus(), map[string]bool{}, 0
	for i, e := range list.RevokedCertificateEntries {
		octets := e.SerialNumber.Bytes()
		if !bytes.Equal(octets, c.serial(i)[:]) {
			t.Fatalf("entry %d has serial %x, want %x", i, octets, c.serial(i)[:])
		}
		if octets[0] >= 0x80 || len(octets) != serialSize {
			t.Errorf("serial %x: want %d octets as DER writes them", octets, serialSize)
		}
		seen[string(octets)] = true
		if !e.RevocationTime.Before(revokedBefore) || e.RevocationTime.Before(revokedBefore.AddDate(-1, 0, -1)) {
			t.Errorf("entry %d of %s, want the year before %s", i, e.RevocationTime, revokedBefore)
		}
		if e.ReasonCode != 0 {
			reasons++
		}
	}
	if len(seen) != n {
		t.Errorf("%d serials differ, want %d", len(seen), n)
	}
	if reasons < n*25/100 || reasons > n*35/100 { // five standard deviations
		t.Errorf("%d of %d entries have a reason, want three in ten", reasons, n)
	}

	// The second time it is the same file, also if it is not what it should be.
	if err := os.WriteFile(path, []byte("kept"), 0o600); err != nil {
		t.Fatal(err)
	}
	again, err := crlFile(ca, dir, n)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(again); err != nil || string(text) != "kept" {
		t.Errorf("second time: %.20q, %v, want the file of the first", text, err)
	}
	if names, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(names) != 1 {
		t.Errorf("directory has %q, want one file", names)
	}
}

func TestEntriesAreTheSameEachTime(t *testing.T) {
	entries := entries(500)
	var first []string
	text := func(e pki.Entry) string { return e.Serial.Text(16) + e.At.String() + string(rune('0'+e.Reason)) }
	for e := range entries {
		first = append(first, text(e))
	}
	i := 0
	for e := range entries {
		if text(e) != first[i] {
			t.Fatalf("entry %d is %s, and was %s", i, text(e), first[i])
		}
		i++
	}
	// The key too: a CRL from the cache must verify.
	if a, b := pki.Must(newCA()), pki.Must(newCA()); !bytes.Equal(a.Cert.RawSubjectPublicKeyInfo, b.Cert.RawSubjectPublicKeyInfo) || !bytes.Equal(a.Cert.RawSubject, b.Cert.RawSubject) {
		t.Error("two CAs differ in name or key")
	}
}

func TestQueries(t *testing.T) {
	const n = 5000
	q := queries(filepath.Join(t.TempDir(), "queries"))
	if err := q.write(n); err != nil {
		t.Fatal(err)
	}
	listed := map[[serialSize]byte]bool{}
	for i, c := 0, newCensus(); i < n; i++ {
		listed[*c.serial(i)] = true
	}
	for path, want := range map[string]bool{q.hits(): true, q.misses(): false} {
		serials, err := readQueries(path)
		if err != nil {
			t.Fatal(err)
		}
		different := map[[serialSize]byte]bool{}
		for _, s := range serials {
			different[s] = true
			if listed[s] != want {
				t.Fatalf("%s has %x, which is listed: %t", filepath.Base(path), s, listed[s])
			}
		}
		if len(serials) != queryCount(n) || len(different) < n/2 {
			t.Errorf("%s has %d serials, %d different; want %d, most of them different", filepath.Base(path), len(serials), len(different), queryCount(n))
		}
		if first, err := firstQuery(path); err != nil || first != serials[0] {
			t.Errorf("first of %s is %x, %v, want %x", filepath.Base(path), first, err, serials[0])
		}
	}
}

func TestReadQueriesRefuses(t *testing.T) {
	dir := t.TempDir()
	for name, data := range map[string][]byte{"empty": nil, "cut": make([]byte, serialSize+1)} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := readQueries(path); err == nil {
			t.Errorf("%s file: no error", name)
		}
	}
	if _, err := readQueries(filepath.Join(dir, "none")); err == nil {
		t.Error("no file: no error")
	}
	if _, err := firstQuery(filepath.Join(dir, "empty")); err == nil {
		t.Error("first of an empty file: no error")
	}
}
