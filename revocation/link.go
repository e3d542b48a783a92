package revocation

import (
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
)

// Link is a certificate and the CA certificate that issued it, with all that a
// check needs made ready. It is immutable, holds for every Index and may be
// used by many goroutines. The zero and the nil Link check as Unknown.
type Link struct {
	issuer NameKey
	signer signer
	serial []byte // INTEGER content
	ca     bool   // basicConstraints with cA
	points []point
	err    error // why it cannot be checked

	// Where the Index that was asked last has its lists, as two numbers in one:
	// no pointer, which would keep an Index that is out of use alive.
	hint uint32
}

// point is one name under which lists about the certificate may be published.
type point struct {
	name    pointName
	reasons reasonFlags
}

var errNoLink = errors.New("no certificate and issuer given")

// Prepare makes the Link of a certificate and its issuer, both as parsed by
// crypto/x509. The caller must have verified cert's signature with issuer's
// key before: a link of any other pair would ask the wrong CA. An issuer whose
// subject is not cert's issuer makes a link that is always Unknown; see
// [Link.Err].
func Prepare(cert, issuer *x509.Certificate) *Link {
	if cert == nil || issuer == nil || cert.SerialNumber == nil {
		return &Link{err: errNoLink}
	}
	l := &Link{
		issuer: NameKeyOf(issuer.RawSubject),
		signer: signerOf(issuer),
		serial: integerOctets(cert.SerialNumber),
		ca:     cert.BasicConstraintsValid && cert.IsCA,
	}
	if NameKeyOf(cert.RawIssuer) != l.issuer {
		l.err = fmt.Errorf("certificate names issuer %q, not %q", cert.Issuer, issuer.Subject)
		return l
	}
	for _, ext := range cert.Extensions {
		// A distribution point list that does not parse names nothing; the
		// lists that cover the whole issuer can still answer.
		if ext.Id.Equal(asn1CRLDistributionPoints) {
			l.points, _ = parseDistributionPoints(ext.Value, cert.RawIssuer)
		}
	}
	// RFC 5280 section 6.3.3, last paragraph: the issuer's name is always a
	// point at which lists are looked for.
	l.points = append(l.points, point{name: pointName(l.issuer), reasons: allReasons})
	return l
}

// octets are those of the serial number, nil for the nil Link.
func (l *Link) octets() []byte {
	if l == nil {
		return nil
	}
	return l.serial
}

// IssuerKey is the name of the issuer, as in [List.IssuerKey].
func (l *Link) IssuerKey() NameKey { return l.issuer }

// IssuerKeyID tells the issuers of one name apart: the SHA-256 digest of the
// issuer's SubjectPublicKeyInfo.
func (l *Link) IssuerKeyID() [sha256.Size]byte { return l.signer.spki }

// Serial is the certificate's serial number.
func (l *Link) Serial() *big.Int {
	n := new(big.Int).SetBytes(l.serial)
	if len(l.serial) > 0 && l.serial[0] >= 0x80 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(l.serial))))
	}
	return n
}

// Err is why the link can never be answered other than Unknown, or nil.
func (l *Link) Err() error {
	if l == nil || l.err == nil && l.serial == nil {
		return errNoLink
	}
	return l.err
}

// parseDistributionPoints reads a CRLDistributionPoints (RFC 5280 section
// 4.2.1.13); issuer is the certificate's issuer Name. Points with a cRLIssuer
// are left out: only indirect lists serve them.
func parseDistributionPoints(value der, issuer []byte) ([]point, error) {
	content, err := value.only(tagSequence)
	if err != nil {
		return nil, err
	}
	var points []point
	for rest := der(content); len(rest) > 0; {
		content, err := rest.read(tagSequence)
		if err != nil {
			return nil, err
		}
		var names []pointName
		in, reasons, indirect := der(content), allReasons, false
		if in.peek(tagContext | tagConstructed) {
			field, err := in.read(tagContext | tagConstructed)
			if err == nil {
				names, _, err = parsePointName(field, issuer)
			}
			if err != nil {
				return nil, err
			}
		}
		if in.peek(tagContext | 1) {
			field, err := in.read(tagContext | 1)
			if err == nil {
				reasons, err = parseReasonFlags(field)
			}
			if err != nil {
				return nil, err
			}
		}
		if indirect = in.peek(tagContext | tagConstructed | 2); indirect {
			if _, err := in.read(tagContext | tagConstructed | 2); err != nil {
				return nil, err
			}
		}
		if err := in.end(); err != nil {
			return nil, err
		}
		if indirect {
			continue
		}
		for _, name := range names {
			points = append(points, point{name, reasons})
		}
	}
	return points, nil
}
