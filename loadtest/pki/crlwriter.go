package pki

import (
	"bufio"
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"io"
	"time"
)

// tbsHead is RFC 5280 section 5.1's TBSCertList up to its revoked certificates.
type tbsHead struct {
	Version    int `asn1:"optional,default:0"`
	Algorithm  pkix.AlgorithmIdentifier
	Issuer     asn1.RawValue
	ThisUpdate time.Time
	NextUpdate time.Time `asn1:"optional"`
}

// tbsTail is what follows them.
type tbsTail struct {
	Extensions []pkix.Extension `asn1:"omitempty,optional,explicit,tag:0"`
}

// tbsCertList is one made ready to be written any number of times: what stands
// around the entries, and how long these are together.
type tbsCertList struct {
	spec       *crlSpec
	head, tail []byte // head begins with the header of the whole
	entries    int
}

// write writes the CRL of ca. Headers state lengths and come first, so the
// entries are run through to be measured, again to be signed, and again.
func (s *crlSpec) write(w io.Writer, ca *CA) error {
	signer := ca.Key
	if s.by != nil {
		signer = s.by.Key
	}
	scheme, err := schemeFor(signer, s.algorithm, s.hash)
	if err != nil {
		return err
	}
	algorithm, err := scheme.identifier()
	if err != nil {
		return err
	}
	tbs, err := s.prepare(ca, algorithm)
	if err != nil {
		return err
	}
	signature, err := scheme.signWritten(tbs.writeTo, signer)
	if err != nil {
		return err
	}
	tail, err := contentOf(struct {
		Algorithm pkix.AlgorithmIdentifier
		Signature asn1.BitString
	}{algorithm, asn1.BitString{Bytes: signature, BitLength: len(signature) * 8}})
	if err != nil {
		return err
	}
	if _, err := w.Write(appendHeader(nil, sequenceTag, tbs.size()+len(tail))); err != nil {
		return err
	}
	if err := tbs.writeTo(w); err != nil {
		return err
	}
	_, err = w.Write(tail)
	return err
}

func (s *crlSpec) prepare(ca *CA, algorithm pkix.AlgorithmIdentifier) (*tbsCertList, error) {
	tbs := &tbsCertList{spec: s}
	head := tbsHead{
		Version:    1,
		Algorithm:  algorithm,
		Issuer:     asn1.RawValue{FullBytes: ca.subject},
		ThisUpdate: s.thisUpdate.UTC(),
	}
	if s.version != 0 {
		head.Version = s.version - 1
	}
	if !s.nextUpdate.IsZero() {
		head.NextUpdate = s.nextUpdate.UTC()
	}
	var tail tbsTail
	var err error
	if !s.bare {
		if tail.Extensions, err = s.encodeExtensions(); err != nil {
			return nil, err
		}
	}
	if tbs.tail, err = contentOf(tail); err != nil {
		return nil, err
	}
	before, err := contentOf(head)
	if err != nil {
		return nil, err
	}
	if err := s.eachEntry(func(der []byte) error { tbs.entries += len(der); return nil }); err != nil {
		return nil, err
	}
	length := len(before) + tbs.entries + len(tbs.tail)
	if tbs.entries == 0 { // RFC 5280 section 5.1.2.6 has no empty list
		tbs.head = append(appendHeader(nil, sequenceTag, length), before...)
		return tbs, nil
	}
	list := appendHeader(nil, sequenceTag, tbs.entries)
	tbs.head = append(appendHeader(nil, sequenceTag, length+len(list)), before...)
	tbs.head = append(tbs.head, list...)
	return tbs, nil
}

func (l *tbsCertList) size() int { return len(l.head) + l.entries + len(l.tail) }

func (l *tbsCertList) writeTo(w io.Writer) error {
	out := bufio.NewWriterSize(w, 64<<10)
	out.Write(l.head) // what fails here fails again in Flush
	written := 0
	err := l.spec.eachEntry(func(der []byte) error {
		written += len(der)
		_, err := out.Write(der)
		return err
	})
	if err != nil {
		return err
	}
	if written != l.entries {
		return fmt.Errorf("sequence yielded entries of %d bytes, and of %d before: want the same each time", written, l.entries)
	}
	out.Write(l.tail)
	return out.Flush()
}

// eachEntry calls do for the DER of each entry, valid until do returns.
func (s *crlSpec) eachEntry(do func(der []byte) error) error {
	encoder := entryEncoder{bare: s.bare, thisUpdate: s.thisUpdate}
	var der []byte
	for _, entries := range s.entries {
		for e := range entries {
			var err error
			if der, err = encoder.append(der[:0], &e); err != nil {
				return fmt.Errorf("encode entry of serial %v: %w", e.Serial, err)
			}
			if err := do(der); err != nil {
				return err
			}
		}
	}
	return nil
}

// signWritten signs what write writes.
func (s signatureScheme) signWritten(write func(io.Writer) error, key crypto.Signer) ([]byte, error) {
	var opts crypto.SignerOpts = s.hash
	if s.pss() {
		opts = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: s.hash}
	}
	var message []byte
	if s.hash == 0 {
		var whole bytes.Buffer
		if err := write(&whole); err != nil {
			return nil, err
		}
		message = whole.Bytes()
	} else {
		digest := s.hash.New()
		if err := write(digest); err != nil {
			return nil, err
		}
		message = digest.Sum(nil)
	}
	signature, err := key.Sign(rand.Reader, message, opts)
	if err != nil {
		return nil, fmt.Errorf("sign as %v: %w", s.algorithm, err)
	}
	return signature, nil
}

// contentOf is v, a struct, in DER without the header.
func contentOf(v any) ([]byte, error) {
	der, err := asn1.Marshal(v)
	if err != nil {
		return nil, err
	}
	var raw asn1.RawValue
	_, err = asn1.Unmarshal(der, &raw)
	return raw.Bytes, err
}
