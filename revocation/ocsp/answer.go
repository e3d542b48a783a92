package ocsp

import (
	"crypto/x509"
	"fmt"
	"time"
)

// Status is what a responder says of a certificate. The zero Status is Unknown.
type Status uint8

// The statuses of RFC 6960 section 2.2.
const (
	Unknown Status = iota // the responder does not know it; never to be taken for Good
	Good                  // not revoked
	Revoked               // revoked, for good or on hold
)

// String returns unknown, good or revoked.
func (s Status) String() string {
	switch s {
	case Good:
		return "good"
	case Revoked:
		return "revoked"
	}
	return "unknown"
}

// Reason is a CRLReason, with its number in RFC 5280 section 5.3.1. A responder
// may send others, of any number up to 255; a larger one is taken for Unspecified.
type Reason uint8

// The reasons. 7 is not used.
const (
	Unspecified          Reason = 0
	KeyCompromise        Reason = 1
	CACompromise         Reason = 2
	AffiliationChanged   Reason = 3
	Superseded           Reason = 4
	CessationOfOperation Reason = 5
	CertificateHold      Reason = 6
	RemoveFromCRL        Reason = 8 // means nothing here; the status counts
	PrivilegeWithdrawn   Reason = 9
	AACompromise         Reason = 10
)

var reasonNames = [...]string{
	Unspecified:          "unspecified",
	KeyCompromise:        "keyCompromise",
	CACompromise:         "cACompromise",
	AffiliationChanged:   "affiliationChanged",
	Superseded:           "superseded",
	CessationOfOperation: "cessationOfOperation",
	CertificateHold:      "certificateHold",
	RemoveFromCRL:        "removeFromCRL",
	PrivilegeWithdrawn:   "privilegeWithdrawn",
	AACompromise:         "aACompromise",
}

// String returns the reason's name in RFC 5280.
func (r Reason) String() string {
	if int(r) < len(reasonNames) && reasonNames[r] != "" {
		return reasonNames[r]
	}
	return fmt.Sprintf("reason(%d)", uint8(r))
}

// Answer is what a response that counts says of one certificate. The zero
// Answer is Unknown and never fresh.
type Answer struct {
	Status Status

	// Reason and RevokedAt (UTC) are there for Revoked only.
	Reason    Reason
	RevokedAt time.Time

	// ProducedAt is when the response was signed; ThisUpdate when the status was
	// known to be right; NextUpdate when newer information will be there, zero
	// where the responder always has newer.
	ProducedAt, ThisUpdate, NextUpdate time.Time

	// Expires is the end of what the answer is worth: NextUpdate, or ThisUpdate
	// and the MaxAge of the Check, or the end of the delegate's certificate if
	// that comes first.
	Expires time.Time

	// Delegate is the certificate of the responder, nil where the issuer signed
	// itself.
	Delegate *x509.Certificate

	// NonceEchoed says that the response was made for the request.
	NonceEchoed bool
}

// Fresh says whether the answer may still be relied on at now, with Skew of
// room. Revoked answers stop being fresh as well; whether they then still count
// is the caller's to say.
func (a Answer) Fresh(now time.Time) bool {
	return !a.Expires.IsZero() && !now.After(a.Expires.Add(Skew)) && !a.ThisUpdate.After(now.Add(Skew))
}
