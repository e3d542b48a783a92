package pki

import (
	"iter"
	"math/big"
	"slices"
	"time"
)

// Reason is a CRLReason of RFC 5280 section 5.3.1, by its number there.
type Reason int

// The reasons. 0 is unspecified, 7 is not used.
const (
	KeyCompromise        Reason = 1
	CACompromise         Reason = 2
	AffiliationChanged   Reason = 3
	Superseded           Reason = 4
	CessationOfOperation Reason = 5
	CertificateHold      Reason = 6
	RemoveFromCRL        Reason = 8 // in delta CRLs only
	PrivilegeWithdrawn   Reason = 9
	AACompromise         Reason = 10
)

type crlOption func(*crlSpec)

func (o crlOption) crl(s *crlSpec) { o(s) }

// Revoke lists certificates, leaves or CAs, at thisUpdate and with no reason.
func Revoke(certs ...interface{ Serial() *big.Int }) CRLOption {
	entries := make([]Entry, len(certs))
	for i, cert := range certs {
		entries[i].Serial = cert.Serial()
	}
	return RevokeEntries(entries...)
}

// RevokeEntries lists entries as given.
func RevokeEntries(entries ...Entry) CRLOption { return RevokeSeq(slices.Values(entries)) }

// RevokeSeq lists what a sequence yields, in its order. The sequence may be run
// more than once, and must yield the same each time.
func RevokeSeq(entries iter.Seq[Entry]) CRLOption {
	return crlOption(func(s *crlSpec) { s.entries = append(s.entries, entries) })
}

// Number sets the CRL number; nil leaves the extension out.
func Number(n *big.Int) CRLOption { return crlOption(func(s *crlSpec) { s.number = n }) }

// ThisUpdate sets the time of issue.
func ThisUpdate(t time.Time) CRLOption { return crlOption(func(s *crlSpec) { s.thisUpdate = t }) }

// NextUpdate sets the time by which the next CRL is due.
func NextUpdate(t time.Time) CRLOption { return crlOption(func(s *crlSpec) { s.nextUpdate = t }) }

// NoNextUpdate leaves nextUpdate out, which RFC 5280 section 5.1.2.5 forbids.
func NoNextUpdate() CRLOption { return NextUpdate(time.Time{}) }

// DeltaTo makes a delta CRL, by a critical delta CRL indicator with the number
// of its base.
func DeltaTo(base *big.Int) CRLOption { return crlOption(func(s *crlSpec) { s.deltaBase = base }) }

// Scope adds an issuing distribution point.
func Scope(p IssuingDistributionPoint) CRLOption { return crlOption(func(s *crlSpec) { s.scope = &p }) }
