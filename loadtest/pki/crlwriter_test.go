package pki

import (
	"bytes"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"strings"
	"testing"
	"time"
)

// counted yields n entries, of which some need more than the shortest encoding.
func counted(n int64) func(yield func(Entry) bool) {
	at := time.Date(2049, 12, 31, 0, 0, 0, 0, time.UTC)
	return func(yield func(Entry) bool) {
		for i := range n {
			e := Entry{Serial: big.NewInt(i - n/2), At: at.AddDate(0, 0, int(i%3)), Reason: Reason(i % 7)}
			if !yield(e) {
				return
			}
		}
	}
}

func TestWriteCRLOfEveryKey(t *testing.T) {
	for _, kind := range []KeyType{P256, P384, P521, RSA(2048), Ed25519} {
		ca := Must(NewRoot(Key(kind)))
		var out bytes.Buffer
		if err := ca.WriteCRL(&out, RevokeSeq(counted(10_000))); err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		crl, err := x509.ParseRevocationList(out.Bytes())
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		if err := crl.CheckSignatureFrom(ca.Cert); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		i := 0
		for want := range counted(10_000) {
			got := crl.RevokedCertificateEntries[i]
			if got.SerialNumber.Cmp(want.Serial) != 0 || !got.RevocationTime.Equal(want.At) || got.ReasonCode != int(want.Reason) {
				t.Fatalf("%s: entry %d is %v, %v, %d; want %v", kind, i, got.SerialNumber, got.RevocationTime, got.ReasonCode, want)
			}
			i++
		}
		if i != len(crl.RevokedCertificateEntries) {
			t.Errorf("%s: %d entries, want %d", kind, len(crl.RevokedCertificateEntries), i)
		}
	}
}

func TestWriteCRLFails(t *testing.T) {
	ca := Must(NewRoot())
	runs := 0
	growing := func(yield func(Entry) bool) {
		runs++
		for i := range runs {
			if !yield(Entry{Serial: big.NewInt(int64(i))}) {
				return
			}
		}
	}
	for name, tt := range map[string]struct {
		w    io.Writer
		opt  CRLOption
		want string
	}{
		"failing writer": {failingWriter{}, Number(nil), "disk full"},
		"other entries":  {io.Discard, RevokeSeq(growing), "want the same each time"},
		"no serial":      {io.Discard, RevokeEntries(Entry{}), "no serial number"},
		"date":           {io.Discard, RevokeEntries(Entry{Serial: new(big.Int), At: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)}), "want a year from 0 to 9999"},
	} {
		t.Run(name, func(t *testing.T) {
			err := ca.WriteCRL(tt.w, tt.opt)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q in it", err, tt.want)
			}
		})
	}
}

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func BenchmarkWriteCRL(b *testing.B) {
	ca := Must(NewRoot())
	entries := counted(100_000)
	b.ReportAllocs()
	for b.Loop() {
		if err := ca.WriteCRL(io.Discard, RevokeSeq(entries)); err != nil {
			b.Fatal(err)
		}
	}
}
