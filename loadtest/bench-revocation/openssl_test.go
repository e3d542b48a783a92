package main

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/loadtest/pki"
)

// smallBench is a run as far as prepare gets it, with OpenSSL if that is here,
// and a CRL of n entries.
func smallBench(t *testing.T, n int) (b *bench, crl string, q queries) {
	t.Helper()
	dir := t.TempDir()
	b = &bench{options: options{cache: filepath.Join(dir, "crl"), rounds: 1, least: time.Millisecond, proofs: 3}, dir: dir, sheet: new(sheet)}
	if err := b.prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	crl, err := crlFile(b.ca, b.cache, n)
	if err != nil {
		t.Fatal(err)
	}
	q = queries(filepath.Join(dir, "queries"))
	if err := q.write(n); err != nil {
		t.Fatal(err)
	}
	return b, crl, q
}

func needOpenSSL(t *testing.T, b *bench) {
	t.Helper()
	if b.crlpeer == "" {
		lack(t, strings.Join(b.notes, "; "))
	}
}

// TestSidesAgree has every side give all its answers: a wrong one is an error.
func TestSidesAgree(t *testing.T) {
	b, crl, q := smallBench(t, 2000)
	needOpenSSL(t, b)
	asked := 0
	for _, s := range b.sides(2000, crl, q, filepath.Join(b.dir, "kept")) {
		if s.record.start && !s.record.load {
			continue // needs a CRL of some age: see TestRun
		}
		m, start, err := s.run(t.Context())
		if err != nil {
			t.Errorf("%s: %v", s.name, err)
			continue
		}
		if start <= 0 {
			t.Errorf("%s answered after %s", s.name, start)
		}
		if s.record.lookUps != (m.Miss != nil) {
			t.Errorf("%s: look-ups %v, want some: %t", s.name, m.Miss, s.record.lookUps)
		}
		if m.Miss == nil {
			continue
		}
		asked++
		if least := int64(queryCount(2000)); m.Miss.Asked < least || m.Hit.Asked < least {
			t.Errorf("%s was asked %d and %d times, want %d or more", s.name, m.Miss.Asked, m.Hit.Asked, least)
		}
	}
	if asked != 3 {
		t.Errorf("%d sides were asked, want 3", asked)
	}
}

// TestSidesSeeWrongAnswers has the queries' files the wrong way round, and then a
// CRL that the CA has not signed: no side may be content.
func TestSidesSeeWrongAnswers(t *testing.T) {
	b, crl, q := smallBench(t, 2000)
	needOpenSSL(t, b)
	other := pki.Must(pki.NewRoot())
	stranger := filepath.Join(b.dir, "stranger.der")
	if err := makeCRL(other, stranger, 2000); err != nil {
		t.Fatal(err)
	}
	swapped := queries(filepath.Join(b.dir, "swapped"))
	if err := swapped.write(2000); err != nil {
		t.Fatal(err)
	}
	swap(t, swapped.hits(), swapped.misses())
	for name, sides := range map[string][]side{
		"swapped queries": b.sides(2000, crl, swapped, filepath.Join(b.dir, "kept")),
		"other CA's CRL":  b.sides(2000, stranger, q, filepath.Join(b.dir, "kept2")),
	} {
		for _, s := range sides {
			if s.name == "Go map" && name == "other CA's CRL" || s.name == "crypto/x509" && name == "swapped queries" {
				continue // does not look at it
			}
			if _, _, err := s.run(t.Context()); err == nil {
				t.Errorf("%s: %s: no error", name, s.name)
			}
		}
	}
}
