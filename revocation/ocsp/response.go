package ocsp

import (
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// golang.org/x/crypto/ocsp is not used to read responses: it does not give out
// the hashes of a certID, the nonce, the other extensions of the response, the
// certificates behind the first, or a second status of one serial number, and
// all of them matter here.

// ResponderError is a response that is an error and no answer. It is not
// signed: anyone on the way can send one.
type ResponderError struct {
	Status int // OCSPResponseStatus of RFC 6960 section 4.2.1
}

// Error names the status as RFC 6960 does.
func (e ResponderError) Error() string {
	names := map[int]string{1: "malformedRequest", 2: "internalError", 3: "tryLater", 5: "sigRequired", 6: "unauthorized"}
	if name, ok := names[e.Status]; ok {
		return "responder answers " + name
	}
	return fmt.Sprintf("responder answers with status %d", e.Status)
}

// response is a BasicOCSPResponse as it was read, of which nothing is verified.
type response struct {
	signed       []byte // tbsResponseData, DER
	algorithm    []byte // AlgorithmIdentifier, DER
	signature    []byte
	name         []byte // responder ID: Name, DER; or
	keyHash      []byte // SHA-1 of its key
	producedAt   time.Time
	singles      []single
	extensions   []extension
	certificates [][]byte // DER
}

type single struct {
	id                     certID
	status                 Status
	reason                 Reason
	revokedAt              time.Time
	thisUpdate, nextUpdate time.Time // nextUpdate may be zero
	extensions             []extension
}

type certID struct {
	hash              asn1.ObjectIdentifier
	nameHash, keyHash []byte
	serial            *big.Int
}

type extension struct {
	id       asn1.ObjectIdentifier
	critical bool
	value    []byte
}

// What a response may hold: room for the batches that responders sign, and a
// bound on what a forged one costs.
const (
	maxSingles      = 256
	maxCertificates = 8
	maxExtensions   = 32
)

const (
	constructed0 = cbasn1.Tag(0xa0)
	constructed1 = cbasn1.Tag(0xa1)
	constructed2 = cbasn1.Tag(0xa2)
	primitive0   = cbasn1.Tag(0x80)
	primitive2   = cbasn1.Tag(0x82)
)

func malformed(what string) error { return fmt.Errorf("response is malformed: %s", what) }

// parse reads an OCSPResponse.
func parse(der []byte) (*response, error) {
	in := cryptobyte.String(der)
	var outer cryptobyte.String
	if !in.ReadASN1(&outer, cbasn1.SEQUENCE) {
		return nil, malformed("no OCSPResponse")
	}
	if !in.Empty() {
		return nil, malformed("bytes behind the OCSPResponse")
	}
	var status int
	if !outer.ReadASN1Enum(&status) {
		return nil, malformed("responseStatus")
	}
	if status != 0 {
		return nil, ResponderError{status}
	}
	var explicit, wrapped, body cryptobyte.String
	var kind asn1.ObjectIdentifier
	if !outer.ReadASN1(&explicit, constructed0) || !outer.Empty() ||
		!explicit.ReadASN1(&wrapped, cbasn1.SEQUENCE) || !explicit.Empty() ||
		!wrapped.ReadASN1ObjectIdentifier(&kind) ||
		!wrapped.ReadASN1(&body, cbasn1.OCTET_STRING) || !wrapped.Empty() {
		return nil, malformed("responseBytes")
	}
	if !kind.Equal(oidBasic) {
		return nil, fmt.Errorf("response is of type %s: want id-pkix-ocsp-basic", kind)
	}
	var basic cryptobyte.String
	if !body.ReadASN1(&basic, cbasn1.SEQUENCE) || !body.Empty() {
		return nil, malformed("BasicOCSPResponse")
	}
	return parseBasic(basic)
}

func parseBasic(in cryptobyte.String) (*response, error) {
	r := &response{}
	var signed, algorithm, certificates cryptobyte.String
	var hasCertificates bool
	if !in.ReadASN1Element(&signed, cbasn1.SEQUENCE) ||
		!in.ReadASN1Element(&algorithm, cbasn1.SEQUENCE) ||
		!in.ReadASN1BitStringAsBytes(&r.signature) ||
		!in.ReadOptionalASN1(&certificates, &hasCertificates, constructed0) || !in.Empty() {
		return nil, malformed("BasicOCSPResponse")
	}
	r.signed, r.algorithm = signed, algorithm
	if hasCertificates {
		var list cryptobyte.String
		if !certificates.ReadASN1(&list, cbasn1.SEQUENCE) || !certificates.Empty() {
			return nil, malformed("certs")
		}
		for !list.Empty() {
			var cert cryptobyte.String
			if !list.ReadASN1Element(&cert, cbasn1.SEQUENCE) {
				return nil, malformed("certs")
			}
			if len(r.certificates) == maxCertificates {
				return nil, fmt.Errorf("response has more than %d certificates", maxCertificates)
			}
			r.certificates = append(r.certificates, cert)
		}
	}
	return r, r.parseData(signed)
}

// parseData reads a ResponseData.
func (r *response) parseData(in cryptobyte.String) error {
	var data, list, extensions cryptobyte.String
	var version int
	if !in.ReadASN1(&data, cbasn1.SEQUENCE) || !data.ReadOptionalASN1Integer(&version, constructed0, 0) {
		return malformed("ResponseData")
	}
	if version != 0 {
		return fmt.Errorf("response has version %d: want 0, which is v1", version)
	}
	if err := r.parseResponderID(&data); err != nil {
		return err
	}
	if !data.ReadASN1GeneralizedTime(&r.producedAt) {
		return malformed("producedAt")
	}
	if !data.ReadASN1(&list, cbasn1.SEQUENCE) {
		return malformed("responses")
	}
	for !list.Empty() {
		if len(r.singles) == maxSingles {
			return fmt.Errorf("response has more than %d SingleResponses", maxSingles)
		}
		s, err := parseSingle(&list)
		if err != nil {
			return err
		}
		r.singles = append(r.singles, s)
	}
	var hasExtensions bool
	if !data.ReadOptionalASN1(&extensions, &hasExtensions, constructed1) || !data.Empty() {
		return malformed("ResponseData")
	}
	var err error
	if hasExtensions {
		r.extensions, err = parseExtensions(extensions)
	}
	return err
}

func (r *response) parseResponderID(data *cryptobyte.String) error {
	var id, name cryptobyte.String
	var keyHash []byte
	switch {
	case data.PeekASN1Tag(constructed1):
		if !data.ReadASN1(&id, constructed1) || !id.ReadASN1Element(&name, cbasn1.SEQUENCE) || !id.Empty() {
			return malformed("byName of responderID")
		}
		r.name = name
	case data.PeekASN1Tag(constructed2):
		if !data.ReadASN1(&id, constructed2) || !id.ReadASN1Bytes(&keyHash, cbasn1.OCTET_STRING) || !id.Empty() {
			return malformed("byKey of responderID")
		}
		r.keyHash = keyHash
	default:
		return malformed("responderID")
	}
	return nil
}

func parseSingle(list *cryptobyte.String) (s single, err error) {
	var in, id, hash, revoked, null, next, extensions cryptobyte.String
	s.id.serial = new(big.Int)
	if !list.ReadASN1(&in, cbasn1.SEQUENCE) || !in.ReadASN1(&id, cbasn1.SEQUENCE) {
		return s, malformed("SingleResponse")
	}
	if !id.ReadASN1(&hash, cbasn1.SEQUENCE) || !hash.ReadASN1ObjectIdentifier(&s.id.hash) ||
		!id.ReadASN1Bytes(&s.id.nameHash, cbasn1.OCTET_STRING) ||
		!id.ReadASN1Bytes(&s.id.keyHash, cbasn1.OCTET_STRING) ||
		!id.ReadASN1Integer(s.id.serial) || !id.Empty() {
		return s, malformed("certID")
	}
	switch {
	case in.PeekASN1Tag(primitive0):
		if !in.ReadASN1(&null, primitive0) || !null.Empty() {
			return s, malformed("certStatus good")
		}
		s.status = Good
	case in.PeekASN1Tag(constructed1):
		s.status = Revoked
		if !in.ReadASN1(&revoked, constructed1) {
			return s, malformed("certStatus revoked")
		}
		if err := s.parseRevoked(revoked); err != nil {
			return s, err
		}
	case in.PeekASN1Tag(primitive2):
		if !in.ReadASN1(&null, primitive2) || !null.Empty() {
			return s, malformed("certStatus unknown")
		}
	default:
		return s, malformed("certStatus")
	}
	if !in.ReadASN1GeneralizedTime(&s.thisUpdate) {
		return s, malformed("thisUpdate")
	}
	var has bool
	if !in.ReadOptionalASN1(&next, &has, constructed0) || has && (!next.ReadASN1GeneralizedTime(&s.nextUpdate) || !next.Empty() || s.nextUpdate.IsZero()) {
		return s, malformed("nextUpdate")
	}
	if !in.ReadOptionalASN1(&extensions, &has, constructed1) || !in.Empty() {
		return s, malformed("SingleResponse")
	}
	if has {
		s.extensions, err = parseExtensions(extensions)
	}
	return s, err
}

// parseRevoked reads a RevokedInfo.
func (s *single) parseRevoked(in cryptobyte.String) error {
	var reason cryptobyte.String
	var has bool
	var number int
	if !in.ReadASN1GeneralizedTime(&s.revokedAt) ||
		!in.ReadOptionalASN1(&reason, &has, constructed0) || !in.Empty() ||
		has && (!reason.ReadASN1Enum(&number) || !reason.Empty()) {
		return malformed("certStatus revoked")
	}
	if number >= 0 && number <= 255 {
		s.reason = Reason(number)
	}
	return nil
}

// parseExtensions reads an Extensions, empty ones included: some responders
// send such.
func parseExtensions(in cryptobyte.String) ([]extension, error) {
	var list, content cryptobyte.String
	if !in.ReadASN1(&list, cbasn1.SEQUENCE) || !in.Empty() {
		return nil, malformed("extensions")
	}
	var all []extension
	for !list.Empty() {
		var e extension
		if !list.ReadASN1(&content, cbasn1.SEQUENCE) || !content.ReadASN1ObjectIdentifier(&e.id) ||
			content.PeekASN1Tag(cbasn1.BOOLEAN) && !content.ReadASN1Boolean(&e.critical) ||
			!content.ReadASN1Bytes(&e.value, cbasn1.OCTET_STRING) || !content.Empty() {
			return nil, malformed("extension")
		}
		if len(all) == maxExtensions {
			return nil, fmt.Errorf("response has more than %d extensions in one place", maxExtensions)
		}
		for _, other := range all {
			if other.id.Equal(e.id) {
				return nil, malformed(fmt.Sprintf("extension %s is there twice", e.id))
			}
		}
		all = append(all, e)
	}
	return all, nil
}

var errNonceSyntax = errors.New("nonce of the response is no OCTET STRING")

// nonce is the one that the response carries, nil if it carries none. Before RFC
// 8954 some put the octets into the extension as they are: such are refused only
// when they matter.
func (r *response) nonce() ([]byte, error) {
	for _, e := range r.extensions {
		if e.id.Equal(oidNonce) {
			in := cryptobyte.String(e.value)
			nonce := []byte{}
			if !in.ReadASN1Bytes(&nonce, cbasn1.OCTET_STRING) || !in.Empty() {
				return nil, errNonceSyntax
			}
			return nonce, nil
		}
	}
	return nil, nil
}
