package revocation

import (
	"time"

	"github.com/sallyport/sallyport/revocation/internal/segment"
)

// maxSkew is how far ahead of the clock a list's thisUpdate may be.
const maxSkew = 5 * time.Minute

// Check answers for the link's certificate at the given time. It follows RFC
// 5280 section 6.3.3, with the rules of the package documentation for lists
// that compete.
//
// Only lists whose signature verifies with the key of the link's issuer count;
// all others are as if absent. Signatures are verified on the first check that
// needs them, once per list and issuer key for the life of the Index; after
// that a check neither locks nor allocates.
func (ix *Index) Check(l *Link, now time.Time) Verdict { return ix.check(l, l.octets(), now) }

// CheckSerial is Check for another certificate of like's issuer, of which only
// the serial number is known: the content octets of its INTEGER, as DER has
// them. It is taken to be of like's kind, CA or not, and to have its
// distribution points.
func (ix *Index) CheckSerial(like *Link, serial []byte, now time.Time) Verdict {
	return ix.check(like, serial, now)
}

func (ix *Index) check(l *Link, serial []byte, now time.Time) Verdict {
	if err := l.Err(); err != nil {
		return Verdict{Why: err.Error()}
	}
	if ix == nil {
		return Verdict{Why: "no CRLs"}
	}
	is, view := ix.find(l)
	if is == nil {
		return Verdict{Why: "no CRL of the certificate's issuer"}
	}
	groups := is.groups
	if len(groups) == 1 {
		if reasons, in := groups[0].scope.covers(l); in && reasons == allReasons {
			lists := view.group(0, &groups[0], &l.signer)
			// The ordinary case: one complete list that is understood, and no delta.
			if only := lists.only; only != nil && !now.Before(lists.from) {
				if only.lacks(serial) {
					return lists.good
				}
				switch e, listed, err := only.find(serial); {
				case err != nil: // the long way says what that means
				case listed:
					return revokedBy(only, e)
				default:
					return lists.good
				}
			}
		}
	}
	var sum summary
	for n := range groups {
		reasons, in := groups[n].scope.covers(l)
		if !in {
			continue
		}
		lists := view.group(n, &groups[n], &l.signer)
		sum.add(lists.check(serial, now), reasons)
	}
	return sum.verdict()
}

func revokedBy(l *List, e segment.Entry) Verdict {
	return Verdict{Status: Revoked, Reason: Reason(e.Reason), RevokedAt: time.Unix(e.At, 0).UTC(),
		ThisUpdate: l.thisUpdate, NextUpdate: l.nextUpdate, List: l}
}

const whyDamaged = "CRL in scope is damaged on disk"

// finding is what the lists of one scope say.
type finding struct {
	revoked bool
	entry   segment.Entry
	list    *List // that revokes, or else that the certificate is not in
	good    bool
	next    time.Time // nextUpdate of a good finding
	why     string    // neither revoked nor good
}

// revoke adds an entry that revokes.
func (f *finding) revoke(e segment.Entry, l *List) {
	if !f.revoked || worse(e, f.entry) {
		f.revoked, f.entry, f.list = true, e, l
	}
}

// check walks the lists of one scope from the latest back.
func (v *verified) check(serial []byte, now time.Time) finding {
	var f finding
	f.why = v.why
	if f.why == "" {
		f.why = "only delta CRLs in scope"
	}
	limit := now.Add(maxSkew)

	var best *List // the complete list that decides
	var held bool  // best itself lists the certificate, on hold
	var hold segment.Entry
	blocked := false // by a list that is not understood
	for _, c := range v.complete {
		if best != nil && best.supersedes(c) {
			continue
		}
		e, listed, err := c.find(serial)
		usable := err == nil && c.understood() && !c.thisUpdate.After(limit)
		switch {
		case listed && usable && best == nil && Reason(e.Reason) == CertificateHold:
			held, hold = true, e // a delta may lift it
		case listed:
			f.revoke(e, c)
		}
		switch {
		case err != nil:
			blocked = true
			f.why = whyDamaged
		case c.thisUpdate.After(limit):
			f.why = "CRL in scope has thisUpdate in the future"
		case !c.understood():
			blocked = true
			f.why = "CRL in scope has a critical extension that is not understood"
		case best == nil:
			best = c
		}
	}

	var delta *List // the one that applies to best
	lifted := false // by it
	for _, d := range v.delta {
		if best != nil && best.number != nil && d.number.Cmp(best.number) <= 0 ||
			delta != nil && delta.supersedes(d) {
			continue
		}
		e, listed, err := d.find(serial)
		if err != nil {
			blocked = true // for all that it could add
			f.why = whyDamaged
			continue
		}
		applies := delta == nil && d.appliesTo(best) && d.understood() && !d.thisUpdate.After(limit)
		if listed {
			if Reason(e.Reason) != RemoveFromCRL {
				f.revoke(e, d)
			} else if applies {
				lifted = true
			}
		}
		if applies {
			delta = d
		}
	}
	if held && !lifted {
		f.revoke(hold, best)
	}
	if f.revoked || best == nil || blocked {
		return f
	}
	f.good, f.list, f.next = true, best, best.nextUpdate
	if delta != nil && (lifted || delta.expiry().After(best.expiry())) {
		f.list, f.next = delta, delta.nextUpdate // a lifted hold is good by the delta alone
	}
	return f
}

// appliesTo says whether the delta list d completes base (RFC 5280 section
// 5.2.4). Issuer, scope and key are known to be the same.
func (d *List) appliesTo(base *List) bool {
	return base != nil && base.number != nil &&
		d.base.Cmp(base.number) <= 0 && base.number.Cmp(d.number) < 0 &&
		!d.thisUpdate.Before(base.thisUpdate)
}

// expiry is how long the list is good for.
func (l *List) expiry() time.Time {
	if l.nextUpdate.IsZero() {
		return l.thisUpdate
	}
	return l.nextUpdate
}

// summary joins the findings of several scopes.
type summary struct {
	revoked finding
	good    Verdict // freshest of the scopes that cover all reasons
	part    Verdict // stalest of the scopes that cover some reasons
	reasons reasonFlags
	why     string
}

func (s *summary) add(f finding, reasons reasonFlags) {
	switch {
	case f.revoked:
		s.revoked.revoke(f.entry, f.list)
		return
	case !f.good:
		s.why = f.why
		return
	}
	v := Verdict{Status: Good, ThisUpdate: f.list.thisUpdate, NextUpdate: f.next, List: f.list}
	if reasons == allReasons {
		if s.good.Status == Unknown || v.expiry().After(s.good.expiry()) {
			s.good = v
		}
		return
	}
	s.reasons |= reasons
	if s.part.Status == Unknown || v.expiry().Before(s.part.expiry()) {
		s.part = v
	}
}

func (s *summary) verdict() Verdict {
	switch {
	case s.revoked.revoked:
		return revokedBy(s.revoked.list, s.revoked.entry)
	case s.good.Status == Good:
		return s.good
	case s.reasons == allReasons:
		return s.part
	case s.why != "":
		return Verdict{Why: s.why}
	case s.part.Status == Good:
		return Verdict{Why: "CRLs in scope cover only some reasons"}
	}
	return Verdict{Why: "no CRL of the issuer has the certificate in its scope"}
}

func (v *Verdict) expiry() time.Time {
	if v.NextUpdate.IsZero() {
		return v.ThisUpdate
	}
	return v.NextUpdate
}
