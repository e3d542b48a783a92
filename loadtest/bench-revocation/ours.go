package main

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"

	"github.com/sallyport/sallyport/revocation"
)

// runOurs reads a CRL as an edge does: with its list kept in dir, so that the
// time includes writing it. Loaded means that both kinds of answer were given,
// for which the signature had to be verified. In the role again nothing may have
// been read: it answers from what dir kept.
func runOurs(role, crl, caFile string, q queries, dir string, least time.Duration) error {
	watch := startWatch()
	ca, err := readCA(caFile)
	if err != nil {
		return err
	}
	ix, read, err := openIndex(crl, dir)
	if err != nil {
		return err
	}
	now := time.Now()
	for _, first := range []struct {
		path string
		want revocation.Status
	}{{q.hits(), revocation.Revoked}, {q.misses(), revocation.Good}} {
		serial, err := firstQuery(first.path)
		if err != nil {
			return err
		}
		if v := ix.Check(link(ca, &serial), now); v.Status != first.want {
			return fmt.Errorf("check serial %x: %s (%s), want %s", serial, v.Status, v.Why, first.want)
		}
	}
	fmt.Println(answered)
	m := measurement{Library: runtime.Version()}
	m.LoadWall, m.LoadCPU = watch.read()
	if m.Peak, err = peakMemory(); err != nil {
		return err
	}
	if role == roleAgain {
		if read {
			return errors.New("the CRL was read again: want its list as it was kept")
		}
		return m.say()
	}
	if m.Miss, err = askOurs(ix, ca, q.misses(), least); err != nil {
		return err
	}
	if m.Hit, err = askOurs(ix, ca, q.hits(), least); err != nil {
		return err
	}
	return m.say()
}

// openIndex makes the index of a CRL; read says whether it had to read it.
func openIndex(crl, dir string) (ix *revocation.Index, read bool, err error) {
	kept, err := revocation.OpenDir(dir)
	if err != nil {
		return nil, false, err
	}
	lists, err := revocation.ReadFile(context.Background(), crl, revocation.Options{
		Dir: kept, Progress: func(revocation.Progress) { read = true },
	})
	if err != nil {
		return nil, false, err
	}
	return revocation.NewIndex(lists), read, nil
}

// askOurs asks about certificates of one issuer by their serial numbers. A check
// is more than the look-up that the other sides do: it finds the lists of the
// issuer's name and key, and weighs their scopes and dates.
func askOurs(ix *revocation.Index, ca *x509.Certificate, path string, least time.Duration) (*lookUps, error) {
	serials, err := readQueries(path)
	if err != nil {
		return nil, err
	}
	like := link(ca, &serials[0])
	now, unknown := time.Now(), 0
	l := lookUp(len(serials), least, func(from, to int) int {
		found := 0
		for i := from; i < to; i++ {
			switch ix.CheckSerial(like, serials[i][:], now).Status {
			case revocation.Revoked:
				found++
			case revocation.Unknown:
				unknown++
			}
		}
		return found
	})
	if unknown > 0 {
		return nil, fmt.Errorf("check serials of %s: %d are unknown, want none", path, unknown)
	}
	return l, nil
}

// link is that of a certificate of which no more than issuer and serial exist.
func link(ca *x509.Certificate, serial *[serialSize]byte) *revocation.Link {
	cert := &x509.Certificate{SerialNumber: serialNumber(serial), RawIssuer: ca.RawSubject}
	return revocation.Prepare(cert, ca)
}

func readCA(file string) (*x509.Certificate, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("read CA %s: want PEM", file)
	}
	return x509.ParseCertificate(block.Bytes)
}
