package revocation

import (
	"fmt"
	"math/big"
	"time"
)

// Status is what is known about a certificate. The zero Status is Unknown.
type Status uint8

// The statuses.
const (
	Unknown Status = iota // no list can say; never to be taken for Good
	Good                  // covered by a list, not named in it
	Revoked               // named in a list of its issuer
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

// Reason is a CRLReason of RFC 5280 section 5.3.1; an entry that gives none is
// Unspecified.
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
	RemoveFromCRL        Reason = 8 // in delta lists only; no verdict carries it
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

// Verdict is the answer about one certificate. The zero Verdict is Unknown.
type Verdict struct {
	Status Status

	// Reason and RevokedAt are those of the entry, for Revoked only. RevokedAt is
	// in UTC, and of a list of more than 131072 entries the start of the day: one
	// no more than 4095 days before the list's latest.
	Reason    Reason
	RevokedAt time.Time

	// ThisUpdate and NextUpdate are the dates of what answered, for Good and
	// Revoked. A Good is worth no more than its NextUpdate: whether it is past,
	// and by how much it may be, is the caller's to judge. Where lists cover
	// the certificate alike, the dates are the freshest; where only several
	// together cover it, the stalest. A zero NextUpdate means that the list
	// promises none (RFC 5280 wants one): take it as expired at ThisUpdate.
	ThisUpdate, NextUpdate time.Time

	// List is the list that answered, for Good and Revoked; of several, the
	// one that ThisUpdate is from.
	List *List

	// Why says in words what stands against Good, for Unknown only.
	Why string
}

// Number is the CRL number of the list that answered, nil when it has none.
func (v Verdict) Number() *big.Int {
	if v.List == nil {
		return nil
	}
	return v.List.Number()
}
