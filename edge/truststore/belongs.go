package truststore

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/sallyport/sallyport/revocation"
)

// errGone marks a download without a list that its URL has had.
var errGone = errors.New("had one before: whom it revokes would be let in")

// signers are the CAs whose lists are taken from a URL: those that the
// configuration gives for it, or whose certificates name it; else those of the
// bundle.
func (f *crlFile) signers(bundle []*x509.Certificate) []*x509.Certificate {
	if f.point || f.ca != "" {
		return f.cas
	}
	return slices.Concat(bundle, f.cas)
}

// checkFetched returns what of a download belongs to its URL, and why the rest
// is ignored. It is stricter than with a file, since whoever is on the way can
// serve any genuine list of any CA:
//
//   - Each list has to be signed by a CA that is known beforehand.
//   - Each complete list that the URL has had, by issuer, key and scope, has to be
//     there still. One for CA certificates only, say, or of another part of the
//     CA's certificates, would let in whom the whole one revokes.
//   - What the URL has not had is not taken, once it has had something: what was
//     served once by somebody else would have to be there for ever. Deltas of
//     what it has had are, since a later complete list ends the need for them.
//     A CA that comes to name a distribution point begins there anew.
func (f *crlFile) checkFetched(lists []*revocation.List, bundle []*x509.Certificate) (taken []*revocation.List, ignored []string, err error) {
	cas := f.signers(bundle)
	editions := f.editions(lists, bundle)
	before := slices.DeleteFunc(slices.Clone(f.newest), func(e edition) bool { return lapsed(e, cas) })
	for i, l := range lists {
		why := ""
		if editions[i].signer == "" {
			switch known, err := l.CheckIssuer(slices.Concat(bundle, cas)); {
			case err != nil:
				return nil, nil, err
			case !known:
				return nil, nil, fmt.Errorf("CRL of %s: want one of a CA of the bundle, or of those that the configuration names for this URL", nameOf(l.Issuer()))
			}
			why = "of another CA than those whose lists are taken from this URL"
		} else if !f.expects(editions[i], before) {
			why = "which this URL did not have before"
		}
		if why == "" {
			taken = append(taken, l)
		} else {
			ignored = append(ignored, fmt.Sprintf("%s: CRL of %s for %s is ignored: it is one %s", f.field, nameOf(l.Issuer()), l.Scope(), why))
		}
	}
	had := f.editions(taken, bundle)
	for _, old := range before {
		if !old.delta && !slices.ContainsFunc(had, old.sameSeries) {
			return nil, nil, fmt.Errorf("has no CRL of %s for %s, and %w", old.name, old.scope, errGone)
		}
	}
	if len(taken) == 0 && len(lists) > 0 {
		return nil, nil, fmt.Errorf("has no CRL of a CA whose lists are taken from this URL: the first is of %s", nameOf(lists[0].Issuer()))
	}
	return taken, ignored, nil
}

// expects reports whether a list belongs to a URL that has had these.
func (f *crlFile) expects(e edition, before []edition) bool {
	first := true
	for _, old := range before {
		if f.point && old.signer != "" && old.signer != e.signer {
			continue
		}
		if old.sameScope(e) && (old.delta == e.delta || e.delta) {
			return true
		}
		first = false
	}
	return first
}

// lapsed reports whether an edition binds no more, since the operator has taken
// the CA that signed it away.
func lapsed(e edition, cas []*x509.Certificate) bool {
	return e.signer != "" && !slices.ContainsFunc(cas, func(ca *x509.Certificate) bool { return keyDigest(ca) == e.signer })
}

// editions are those that lists are, for what is fetched with who signed them.
func (f *crlFile) editions(lists []*revocation.List, bundle []*x509.Certificate) []edition {
	editions := editionsOf(lists)
	if f.url == "" {
		return editions
	}
	for i, l := range lists {
		for _, ca := range f.signers(bundle) {
			if known, err := l.CheckIssuer([]*x509.Certificate{ca}); known && err == nil {
				editions[i].signer = keyDigest(ca)
				break
			}
		}
	}
	return editions
}

// keyDigest is what edition has of a signer.
func keyDigest(ca *x509.Certificate) string {
	sum := sha256.Sum256(ca.RawSubjectPublicKeyInfo)
	return hex.EncodeToString(sum[:])
}

// tellIgnored logs what is left out of a download, once while it is the same, and
// has it among the warnings. s.loading is held.
func (s *Store) tellIgnored(f *crlFile, ignored []string) {
	if slices.Equal(f.ignored, ignored) {
		return
	}
	for _, text := range ignored {
		s.log.Warn("fetched CRL ignored", "url", f.url, "cause", text)
	}
	s.set(func() { f.ignored = ignored })
}
