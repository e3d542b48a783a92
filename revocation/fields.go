package revocation

import (
	"errors"
	"fmt"
)

// tagExtensions is that of crlExtensions.
const tagExtensions = tagContext | tagConstructed

// fields is what a list has besides its entries, as it has it. Whether a list
// is read or opened from a [Dir], it is made of these.
type fields struct {
	v2         bool
	algorithm  []byte // content of signature and of signatureAlgorithm
	issuer     []byte // a Name
	thisUpdate []byte // a UTCTime or GeneralizedTime
	nextUpdate []byte // the same, or nothing
	extensions []byte // content of crlExtensions, nil without them
	signature  []byte // the bits of signatureValue
}

// set makes the list's fields of f, and refuses what RFC 5280 section 5 does.
func (l *List) set(f *fields) error {
	if err := l.setAlgorithm(f); err != nil {
		return err
	}
	if err := l.setIssuer(f); err != nil {
		return err
	}
	if err := l.setTimes(f); err != nil {
		return err
	}
	l.signature = f.signature
	return l.setExtensions(f)
}

func (l *List) setAlgorithm(f *fields) (err error) {
	if l.algorithm, err = parseAlgorithm(f.algorithm); err != nil {
		return fmt.Errorf("signature: %w", err)
	}
	return nil
}

func (l *List) setIssuer(f *fields) error {
	canonical, err := canonicalName(f.issuer)
	if err == nil && len(canonical) == 0 {
		err = errors.New("empty: want a name")
	}
	if err != nil {
		return fmt.Errorf("issuer: %w", err)
	}
	l.issuer, l.issuerKey = f.issuer, keyOfCanonical(canonical)
	return nil
}

func (l *List) setTimes(f *fields) (err error) {
	this, next := der(f.thisUpdate), der(f.nextUpdate)
	if l.thisUpdate, err = this.time(); err == nil {
		err = this.end()
	}
	if err != nil {
		return fmt.Errorf("thisUpdate: %w", err)
	}
	if len(next) == 0 {
		return nil
	}
	if l.nextUpdate, err = next.time(); err == nil {
		err = next.end()
	}
	if err != nil {
		return fmt.Errorf("nextUpdate: %w", err)
	}
	if l.nextUpdate.Before(l.thisUpdate) {
		return fmt.Errorf("nextUpdate %s is before thisUpdate %s", l.nextUpdate, l.thisUpdate)
	}
	return nil
}

func (l *List) setExtensions(f *fields) error {
	l.scope = wholeScope
	if f.extensions == nil {
		return nil
	}
	err := errors.New("in a version 1 list")
	if f.v2 {
		err = l.parseExtensions(f.extensions)
	}
	if err != nil {
		return fmt.Errorf("crlExtensions: %w", err)
	}
	return nil
}

func (l *List) parseExtensions(field der) error {
	content, err := field.only(tagSequence)
	if err != nil {
		return err
	}
	if len(content) == 0 {
		return errors.New("empty: want an extension")
	}
	err = der(content).extensions(func(ext extension) error {
		if name, err := l.parseExtension(ext); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		return nil
	})
	if err == nil && l.base != nil && l.number == nil {
		err = errors.New("deltaCRLIndicator without cRLNumber")
	}
	return err
}

func (l *List) parseExtension(ext extension) (name string, err error) {
	in := der(ext.value)
	switch string(ext.id) {
	case oidAuthorityKeyID:
		l.authorityKeyID, err = parseAuthorityKeyID(ext.value)
		return "authorityKeyIdentifier", err
	case oidCRLNumber:
		if l.number, err = in.number(); err == nil {
			err = in.end()
		}
		return "cRLNumber", err
	case oidDeltaCRLIndicator:
		if l.base, err = in.number(); err == nil {
			err = in.end()
		}
		if err == nil && !ext.critical {
			err = errors.New("not critical: want critical")
		}
		return "deltaCRLIndicator", err
	case oidIssuingDistribution:
		l.scope, err = parseScope(in, l.issuer)
		return "issuingDistributionPoint", err
	case oidFreshestCRL:
		// What cannot be read names no delta; the list itself is none the worse.
		l.freshest, _ = distributionURLs(in)
	}
	if ext.critical && l.unknown == nil {
		l.unknown = ext.id
	}
	return "", nil
}
