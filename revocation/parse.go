package revocation

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
)

// Parse reads every CRL in data, which may hold one list in DER, or any number
// of PEM blocks labelled X509 CRL with text around them, with LF or CRLF and
// with a UTF-8 byte order mark. The lists are in the order of the file; data
// may be changed afterwards.
//
// All or nothing: no list at all, one defect anywhere, or another label is an
// error, which names the block, the field and what was wanted. What is taken
// and what is not follows RFC 5280 section 5 and is told in the package
// documentation. Signatures are not verified, only their algorithm judged.
// The size of data is the caller's to bound.
func Parse(data []byte) ([]*List, error) {
	if isDER(data) {
		list, err := parseList(bytes.Clone(data))
		if err != nil {
			return nil, err
		}
		return []*List{list}, nil
	}
	blocks, err := decodePEM(data)
	if err != nil {
		return nil, err
	}
	lists := make([]*List, len(blocks))
	for i, block := range blocks {
		if lists[i], err = parseList(block); err != nil {
			return nil, fmt.Errorf("PEM block %d: %w", i+1, err)
		}
	}
	return lists, nil
}

// isDER tells a list in DER, however broken, from PEM with text in front.
func isDER(data []byte) bool {
	if len(data) == 0 || data[0] != tagSequence {
		return false
	}
	rest := der(data)
	if _, _, _, err := rest.next(); err == nil && len(rest) == 0 {
		return true
	}
	return !bytes.Contains(data, []byte(pemBegin))
}

// parseList reads one CertificateList. It keeps raw.
func parseList(raw der) (*List, error) {
	content, err := raw.only(tagSequence)
	if err != nil {
		return nil, fmt.Errorf("CertificateList: %w", err)
	}
	in := der(content)
	l := &List{digest: sha256.Sum256(raw)}

	tbs, signed, err := in.element(tagSequence)
	if err != nil {
		return nil, fmt.Errorf("tbsCertList: %w", err)
	}
	identifier, err := in.read(tagSequence)
	if err != nil {
		return nil, fmt.Errorf("signatureAlgorithm: %w", err)
	}
	signature, err := in.read(tagBitString)
	if err == nil && (len(signature) < 2 || signature[0] != 0) {
		err = errors.New("want a bit string of whole octets")
	}
	if err != nil {
		return nil, fmt.Errorf("signatureValue: %w", err)
	}
	if err := in.end(); err != nil {
		return nil, fmt.Errorf("CertificateList: %w", err)
	}
	if err := l.parseTBS(tbs, identifier); err != nil {
		return nil, err
	}
	if l.algorithm, err = parseAlgorithm(identifier); err != nil {
		return nil, fmt.Errorf("signatureAlgorithm: %w", err)
	}
	l.signature, l.signed = signature[1:], signed
	if l.algorithm.hash != 0 {
		hash := l.algorithm.hash.New()
		hash.Write(signed)
		l.signed = hash.Sum(nil)
	}
	return l, nil
}

// parseTBS reads the content of a TBSCertList. outer is the AlgorithmIdentifier beside the signature: the one that is signed must equal
// it, or an attacker could choose the algorithm.
func (l *List) parseTBS(in der, outer []byte) (err error) {
	v2 := false
	if in.peek(tagInteger) {
		version, err := in.integer()
		if err != nil || len(version) != 1 || version[0] != 1 {
			return fmt.Errorf("version %x: want 1 (version 2) or none (version 1)", version)
		}
		v2 = true
	}
	identifier, err := in.read(tagSequence)
	if err == nil && !bytes.Equal(identifier, outer) {
		err = fmt.Errorf("%x differs from signatureAlgorithm %x", identifier, outer)
	}
	if err != nil {
		return fmt.Errorf("signature: %w", err)
	}
	if _, l.issuer, err = in.element(tagSequence); err != nil {
		return fmt.Errorf("issuer: %w", err)
	}
	canonical, err := canonicalName(l.issuer)
	if err == nil && len(canonical) == 0 {
		err = errors.New("empty: want a name")
	}
	if err != nil {
		return fmt.Errorf("issuer: %w", err)
	}
	l.issuerKey = keyOfCanonical(canonical)
	if l.thisUpdate, err = in.time(); err != nil {
		return fmt.Errorf("thisUpdate: %w", err)
	}
	if in.peek(tagUTCTime) || in.peek(tagGeneralizedTime) {
		if l.nextUpdate, err = in.time(); err != nil {
			return fmt.Errorf("nextUpdate: %w", err)
		}
		if l.nextUpdate.Before(l.thisUpdate) {
			return fmt.Errorf("nextUpdate %s is before thisUpdate %s", l.nextUpdate, l.thisUpdate)
		}
	}
	var revoked []byte
	if in.peek(tagSequence) {
		revoked, err = in.read(tagSequence)
		if err == nil && len(revoked) == 0 {
			err = errors.New("empty: want it left out when nothing is revoked")
		}
		if err != nil {
			return fmt.Errorf("revokedCertificates: %w", err)
		}
	}
	l.scope = wholeScope
	if in.peek(tagContext | tagConstructed) {
		field, err := in.read(tagContext | tagConstructed)
		if err == nil && !v2 {
			err = errors.New("in a version 1 list")
		}
		if err == nil {
			err = l.parseExtensions(field)
		}
		if err != nil {
			return fmt.Errorf("crlExtensions: %w", err)
		}
	}
	if err := in.end(); err != nil {
		return fmt.Errorf("tbsCertList: %w", err)
	}
	l.entries, err = parseEntries(revoked, v2, l.base != nil)
	return err
}

func (l *List) parseExtensions(field der) error {
	content, err := field.only(tagSequence)
	if err != nil {
		return err
	}
	if len(content) == 0 {
		return errors.New("empty: want an extension")
	}
	err = der(content).extensions(func(ext extension) (err error) {
		in := der(ext.value)
		name := ""
		switch string(ext.id) {
		case oidAuthorityKeyID:
			name = "authorityKeyIdentifier"
			l.authorityKeyID, err = parseAuthorityKeyID(ext.value)
		case oidCRLNumber:
			name = "cRLNumber"
			if l.number, err = in.number(); err == nil {
				err = in.end()
			}
		case oidDeltaCRLIndicator:
			name = "deltaCRLIndicator"
			if l.base, err = in.number(); err == nil {
				err = in.end()
			}
			if err == nil && !ext.critical {
				err = errors.New("not critical: want critical")
			}
		case oidIssuingDistribution:
			name = "issuingDistributionPoint"
			l.scope, err = parseScope(in, l.issuer)
		default:
			if ext.critical && l.unknown == nil {
				l.unknown = ext.id
			}
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		return nil
	})
	if err == nil && l.base != nil && l.number == nil {
		err = errors.New("deltaCRLIndicator without cRLNumber")
	}
	return err
}
