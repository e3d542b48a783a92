package main

import (
	"crypto/x509"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"time"
)

// runX509 reads and verifies a CRL with crypto/x509. Its result is a slice: there
// is no look-up to measure.
func runX509(crl, caFile string) error {
	watch := startWatch()
	ca, err := readCA(caFile)
	if err != nil {
		return err
	}
	der, err := os.ReadFile(crl)
	if err != nil {
		return err
	}
	list, err := x509.ParseRevocationList(der)
	if err != nil {
		return fmt.Errorf("parse %s: %w", crl, err)
	}
	if err := list.CheckSignatureFrom(ca); err != nil {
		return fmt.Errorf("verify %s: %w", crl, err)
	}
	if len(list.RevokedCertificateEntries) == 0 {
		return fmt.Errorf("parse %s: no entries", crl)
	}
	fmt.Println(answered)
	m := measurement{Library: runtime.Version()}
	m.LoadWall, m.LoadCPU = watch.read()
	if m.Peak, err = peakMemory(); err != nil {
		return err
	}
	runtime.KeepAlive(list)
	return m.say()
}

// runMap asks a map of n serial numbers, and nothing but those: no reasons, no
// dates, no issuer.
func runMap(n string, q queries, least time.Duration) error {
	entries, err := strconv.Atoi(n)
	if err != nil {
		return fmt.Errorf("number of entries %q: %w", n, err)
	}
	watch := startWatch()
	revoked := make(map[[serialSize]byte]struct{}, entries)
	for i, c := 0, newCensus(); i < entries; i++ {
		revoked[*c.serial(i)] = struct{}{}
	}
	fmt.Println(answered)
	m := measurement{Library: runtime.Version()}
	m.LoadWall, m.LoadCPU = watch.read()
	if m.Peak, err = peakMemory(); err != nil {
		return err
	}
	if m.Miss, err = askMap(revoked, q.misses(), least); err != nil {
		return err
	}
	if m.Hit, err = askMap(revoked, q.hits(), least); err != nil {
		return err
	}
	return m.say()
}

func askMap(revoked map[[serialSize]byte]struct{}, path string, least time.Duration) (*lookUps, error) {
	serials, err := readQueries(path)
	if err != nil {
		return nil, err
	}
	return lookUp(len(serials), least, func(from, to int) int {
		found := 0
		for i := from; i < to; i++ {
			if _, listed := revoked[serials[i]]; listed {
				found++
			}
		}
		return found
	}), nil
}
