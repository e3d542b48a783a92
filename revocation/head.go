package revocation

import (
	"fmt"
	"math/big"
)

// The head of a list's file in a Dir is all of the list but its entries, in DER,
// of which there is one encoding of one list and no other is taken:
//
//	SEQUENCE {
//	    version      INTEGER (1),
//	    digest       OCTET STRING,    -- SHA-256 of the CertificateList
//	    size         INTEGER,         -- of the CertificateList in octets
//	    entries      INTEGER,         -- those given twice included
//	    unknownEntry OCTET STRING,    -- of List.unknownEntry, empty for none
//	    signed       OCTET STRING,    -- digest of the TBSCertList
//	    v2           BOOLEAN,
//	    -- as in the CertificateList:
//	    signatureAlgorithm, issuer, thisUpdate, nextUpdate, crlExtensions,
//	    signature    OCTET STRING }
const headVersion = 1

// keepable says whether a list can be opened again without its DER. To verify
// an Ed25519 signature takes all of the DER.
func (l *List) keepable() bool { return l.algorithm.hash != 0 }

// encodeHead is the head of l, which has the fields f.
func encodeHead(l *List, f *fields) []byte {
	v2 := byte(0)
	if f.v2 {
		v2 = 0xff
	}
	b := appendNumber(nil, headVersion)
	b = appendElement(b, tagOctetString, l.digest[:])
	b = appendNumber(b, l.size)
	b = appendNumber(b, int64(l.entries))
	b = appendElement(b, tagOctetString, l.unknownEntry)
	b = appendElement(b, tagOctetString, l.signed)
	b = appendElement(b, tagBoolean, []byte{v2})
	b = appendElement(b, tagSequence, f.algorithm)
	b = append(b, f.issuer...)
	b = append(b, f.thisUpdate...)
	b = append(b, f.nextUpdate...)
	if f.extensions != nil {
		b = appendElement(b, tagExtensions, f.extensions)
	}
	b = appendElement(b, tagOctetString, f.signature)
	return appendElement(nil, tagSequence, b)
}

func appendNumber(b []byte, n int64) []byte {
	return appendElement(b, tagInteger, integerOctets(big.NewInt(n)))
}

// decodeHead is the list that has this head, and the list's fields; they keep
// the head. The list's entries are still to come.
func decodeHead(head der) (*List, *fields, error) {
	content, err := head.only(tagSequence)
	r := headReader{in: content, err: err}
	if version := r.number(); r.err == nil && version != headVersion {
		r.err = fmt.Errorf("version %d: want %d", version, headVersion)
	}
	l, f := new(List), new(fields)
	digest := r.element(tagOctetString)
	copy(l.digest[:], digest)
	if r.err == nil && len(digest) != len(l.digest) {
		r.err = fmt.Errorf("digest %x: want %d octets", digest, len(l.digest))
	}
	l.size, l.entries = r.number(), int(r.number())
	if unknown := r.element(tagOctetString); len(unknown) > 0 {
		l.unknownEntry = unknown
	}
	l.signed = r.element(tagOctetString)
	r.fields(f)
	if r.err == nil {
		r.err = r.in.end()
	}
	if r.err == nil {
		r.err = l.set(f)
	}
	if hash := l.algorithm.hash; r.err == nil && (hash == 0 || len(l.signed) != hash.Size()) {
		r.err = fmt.Errorf("signed digest %x does not go with %s", l.signed, l.algorithm.x509)
	}
	if r.err != nil {
		return nil, nil, fmt.Errorf("decode head of kept CRL: %w", r.err)
	}
	return l, f, nil
}

// headReader reads a head element by element. After an error it reads nothing.
type headReader struct {
	in  der
	err error
}

func (r *headReader) fields(f *fields) {
	if v2 := r.element(tagBoolean); r.err == nil {
		f.v2, r.err = boolean(v2)
	}
	f.algorithm = r.element(tagSequence)
	f.issuer = r.whole()
	f.thisUpdate = r.whole()
	if r.in.peek(tagUTCTime) || r.in.peek(tagGeneralizedTime) {
		f.nextUpdate = r.whole()
	}
	if r.in.peek(tagExtensions) {
		f.extensions = r.element(tagExtensions)
	}
	f.signature = r.element(tagOctetString)
}

func (r *headReader) element(tag byte) (content []byte) {
	if r.err == nil {
		content, r.err = r.in.read(tag)
	}
	return content
}

func (r *headReader) whole() (whole []byte) {
	if r.err == nil {
		_, _, whole, r.err = r.in.next()
	}
	return whole
}

// number reads an INTEGER that fits an int64 and is not negative.
func (r *headReader) number() int64 {
	if r.err != nil {
		return 0
	}
	n, err := r.in.number()
	if err == nil && !n.IsInt64() {
		err = fmt.Errorf("number %s: want 63 bits", n)
	}
	if err != nil {
		r.err = err
		return 0
	}
	return n.Int64()
}
