package main

import (
	"bufio"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"iter"
	"math/big"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"

	"github.com/sallyport/sallyport/loadtest/pki"
)

// crls writes crl.pem: the root's, which lists nobody, and the intermediate's.
// Lists of a hundred million entries do not fit into memory, so nothing holds
// one.
func (w *writtenPKI) crls() error {
	f, err := os.OpenFile(filepath.Join(w.dir, "crl.pem"), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	rootCRL, err := w.root.CRL()
	if err != nil {
		return err
	}
	if _, err := f.Write(pki.CRLPEM(rootCRL)); err != nil {
		return err
	}
	var seed [32]byte
	rand.Read(seed[:])
	// Each entry is measured, signed and written.
	err = w.meter.step("CRL entries", 3*(w.strangers+int64(w.revoked)), func(done func(int64)) error {
		out := newPEMWriter(f, "X509 CRL")
		if err := w.issuing.WriteCRL(out, pki.RevokeSeq(w.entries(seed, done))); err != nil {
			return err
		}
		return out.Close()
	})
	if err != nil {
		return fmt.Errorf("write crl.pem: %w", err)
	}
	return f.Close()
}

// entries are the revoked clients, and serial numbers of sixteen random bytes,
// the same whenever they are run through.
func (w *writtenPKI) entries(seed [32]byte, done func(int64)) iter.Seq[pki.Entry] {
	return func(yield func(pki.Entry) bool) {
		const lot = 1 << 16 // what is worth telling
		told := int64(0)
		for _, serial := range w.revokedSerials {
			if !yield(pki.Entry{Serial: serial}) {
				return
			}
		}
		random := mathrand.NewChaCha8(seed)
		var serial [16]byte
		for i := range w.strangers {
			random.Read(serial[:])
			serial[0] = serial[0]&0x7f | 0x40 // positive, and all sixteen bytes
			if !yield(pki.Entry{Serial: new(big.Int).SetBytes(serial[:])}) {
				return
			}
			if i+1-told == lot {
				done(lot)
				told += lot
			}
		}
		done(w.strangers - told + int64(w.revoked))
	}
}

// pemWriter writes one PEM block as its content comes (RFC 7468).
type pemWriter struct {
	out   *bufio.Writer
	lines lines
	text  io.WriteCloser
	label string
}

func newPEMWriter(w io.Writer, label string) *pemWriter {
	p := &pemWriter{out: bufio.NewWriterSize(w, 1<<16), label: label}
	p.lines.out = p.out
	p.text = base64.NewEncoder(base64.StdEncoding, &p.lines)
	fmt.Fprintf(p.out, "-----BEGIN %s-----\n", label) // what fails here fails again in Close
	return p
}

func (p *pemWriter) Write(b []byte) (int, error) { return p.text.Write(b) }

// Close ends the block; it closes nothing else.
func (p *pemWriter) Close() error {
	if err := p.text.Close(); err != nil {
		return err
	}
	if p.lines.used > 0 {
		p.out.WriteByte('\n')
	}
	fmt.Fprintf(p.out, "-----END %s-----\n", p.label)
	return p.out.Flush()
}

// lines breaks a text into lines of 64 characters, as RFC 7468 section 2 has it.
type lines struct {
	out  *bufio.Writer
	used int
}

func (l *lines) Write(b []byte) (int, error) {
	const width = 64
	for rest := b; len(rest) > 0; {
		n := min(width-l.used, len(rest))
		l.out.Write(rest[:n])
		rest = rest[n:]
		if l.used += n; l.used == width {
			l.used = 0
			if err := l.out.WriteByte('\n'); err != nil {
				return 0, err
			}
		}
	}
	return len(b), nil
}
