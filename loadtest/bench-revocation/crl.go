package main

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"math/big"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/sallyport/sallyport/loadtest/pki"
)

// seed decides every serial number, and the key of the CA. A new one, or other
// entries, need a new name: old CRLs would be taken for new ones.
const seed = "sallyport bench-revocation 1"

// serialSize is the octets of a serial number, and of a block of AES.
const serialSize = aes.BlockSize

// census is the certificates of the CA in a fixed order, each made from its
// place alone: the first n are in the CRL of n entries, those behind are not.
// Its methods use buffers of its own, so each goroutine needs one.
type census struct {
	block   cipher.Block
	in, out [serialSize]byte
}

func newCensus() *census {
	key := sha256.Sum256([]byte(seed))
	block, err := aes.NewCipher(key[:16])
	if err != nil {
		panic(err) // 16 bytes are a key
	}
	return &census{block: block}
}

// random is 16 octets that depend on the two numbers, and look as if they did not.
func (c *census) random(i int, stream byte) *[serialSize]byte {
	binary.BigEndian.PutUint64(c.in[:], uint64(i))
	c.in[8] = stream
	c.block.Encrypt(c.out[:], c.in[:])
	return &c.out
}

// serial is the i-th serial number: as DER writes it, positive and of 16 octets.
// It is valid until the next call.
func (c *census) serial(i int) *[serialSize]byte {
	s := c.random(i, 0)
	s[0] = s[0]&0x3f | 0x40
	return s
}

func serialNumber(s *[serialSize]byte) *big.Int { return new(big.Int).SetBytes(s[:]) }

// revokedBefore is when all entries have been revoked.
var revokedBefore = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// entries yields the first n certificates as revoked: at random times of the last
// year, three in ten with a reason.
func entries(n int) func(yield func(pki.Entry) bool) {
	return func(yield func(pki.Entry) bool) {
		c, serial := newCensus(), new(big.Int)
		for i := range n {
			e := pki.Entry{Serial: serial.SetBytes(c.serial(i)[:])}
			more := c.random(i, 1)
			e.At = revokedBefore.Add(-time.Duration(1+binary.BigEndian.Uint32(more[:])%(365*24*3600)) * time.Second)
			if binary.BigEndian.Uint32(more[4:])%10 < 3 {
				e.Reason = pki.Reason(1 + more[8]%5)
			}
			if !yield(e) {
				return
			}
		}
	}
}

// newCA makes the CA: of the same name and key in every run, so that CRLs of
// earlier runs are its own.
func newCA() (*pki.CA, error) {
	private := sha256.Sum256([]byte(seed + ", key"))
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), private[:])
	if err != nil {
		return nil, fmt.Errorf("make CA key: %w", err)
	}
	return pki.NewRoot(pki.ExistingKey(key), pki.CommonName("bench-revocation CA"))
}

// crlFile is the CRL of n entries in dir, made unless it is there. It is in the
// page cache when crlFile returns, so that nobody has to wait for the disk.
func crlFile(ca *pki.CA, dir string, n int) (string, error) {
	path := filepath.Join(dir, "crl-1-"+strconv.Itoa(n)+".der")
	f, err := os.Open(path)
	if os.IsNotExist(err) {
		start := time.Now()
		if err := makeCRL(ca, path, n); err != nil {
			return "", fmt.Errorf("make CRL of %d entries: %w", n, err)
		}
		fmt.Fprintf(os.Stderr, "made a CRL of %d entries in %.1f s\n", n, time.Since(start).Seconds())
		f, err = os.Open(path)
	}
	if err != nil {
		return "", err
	}
	defer f.Close()
	if _, err := io.Copy(io.Discard, f); err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	return path, nil
}

// makeCRL writes beside path and renames, lest a later run take half a CRL.
func makeCRL(ca *pki.CA, path string, n int) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), "crl-*.tmp")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // gone already where all went well
	defer f.Close()
	err = ca.WriteCRL(f, pki.RevokeSeq(entries(n)), pki.NextUpdate(time.Now().AddDate(10, 0, 0)))
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// settled is how old a file must be for its times to tell whether it changed:
// a list read from a younger one is not kept.
const settled = 3 * time.Second

// awaitSettled returns once the file is that old.
func awaitSettled(ctx context.Context, path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	timer := time.NewTimer(time.Until(info.ModTime().Add(settled)))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
