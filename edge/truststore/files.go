package truststore

import (
	"context"
	"crypto/x509"
	"fmt"
	"slices"
	"time"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/filewatch"
	"github.com/sallyport/sallyport/revocation"
)

// maxBundleSize is how large a bundle may be, which is read whole.
const maxBundleSize = 16 << 20

// FieldError is what is wrong with one file of a trust store's configuration.
type FieldError struct {
	Field string // as in the configuration: ca_bundle, crls[1]
	Err   error
}

func (e *FieldError) Error() string { return e.Field + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *FieldError) Unwrap() error { return e.Err }

// source is a configured file.
type source struct {
	field string
	name  string // as configured, and as the memory of issuers knows it
	path  string
}

// bundleFile is the bundle as last read and found good.
type bundleFile struct {
	source
	cas      []*x509.Certificate
	warnings []string
}

// crlFile is a file of lists as last read and found good.
type crlFile struct {
	source
	lists  []*revocation.List
	newest []edition // of each list that it has ever held

	url   string              // fetched from there; path is where it is kept
	point bool                // found in a certificate or list, not configured
	ca    string              // path of the file with cas; "" for none
	cas   []*x509.Certificate // who may sign what is fetched: see signers

	ignored []string // what was in the last download and is not taken

	// What checkIssuers found.
	signed         []bool // by index of lists: by a CA of the bundle
	issuerWarnings []string

	// With source api it is an upload: no path, but an id and a digest.
	id     int64
	sha256 string
}

func (f *bundleFile) read(limits config.TrustStoreLimits) (cas []*x509.Certificate, warnings []string, err error) {
	data, err := filewatch.ReadFile(f.path, maxBundleSize)
	if err != nil {
		return nil, nil, &FieldError{f.field, fmt.Errorf("read CA bundle: %w", err)}
	}
	if cas, warnings, err = ParseBundle(data, limits); err != nil {
		return nil, nil, &FieldError{f.field, fmt.Errorf("parse CA bundle %s: %w", f.path, err)}
	}
	return cas, warnings, nil
}

// read returns the lists of a file at path, unless one is signed wrongly by a CA
// of the bundle, or would put an older list, or one from the future, in the place
// of one in force. What was fetched is judged more strictly, and what of it does
// not belong there is left out: ignored says why.
func (f *crlFile) read(ctx context.Context, path string, cas []*x509.Certificate, now time.Time, options revocation.Options) (lists []*revocation.List, ignored []string, err error) {
	options.As = f.path
	lists, err = revocation.ReadFile(ctx, path, options)
	if err == nil {
		err = checkLists(lists, cas)
	}
	if err == nil && f.url != "" {
		lists, ignored, err = f.checkFetched(lists, cas)
	}
	if err == nil {
		err = checkRollback(f.newest, f.editions(lists, cas))
	}
	if err == nil {
		err = f.checkSigned(lists, cas)
	}
	if err == nil && (f.lists != nil || f.url != "") {
		err = checkDates(lists, now)
	}
	if err != nil {
		return nil, nil, err
	}
	if slices.EqualFunc(lists, f.lists, sameList) {
		return f.lists, ignored, nil
	}
	return lists, ignored, nil
}

// checkSigned refuses lists of which one bears the name of a CA of the bundle
// without its signature, where that CA's own list would have to go for it: anybody
// can write a name and a key identifier.
func (f *crlFile) checkSigned(lists []*revocation.List, cas []*x509.Certificate) error {
	for i, old := range f.lists {
		if !f.signed[i] || slices.ContainsFunc(lists, func(l *revocation.List) bool { return sameList(l, old) }) {
			continue
		}
		for _, l := range lists {
			if known, err := l.CheckIssuer(cas); l.IssuerKey() == old.IssuerKey() && (!known || err != nil) {
				return fmt.Errorf("CRL of %s is signed by no CA of the bundle, and the one that it replaces was", nameOf(l.Issuer()))
			}
		}
	}
	return nil
}

// sameList reports whether the second list needs no other in its place.
func sameList(a, b *revocation.List) bool { return a.Digest() == b.Digest() && b.Damaged() == nil }

// checkLists refuses a list that names a CA of the bundle and is not its own.
// Lists of other CAs are checked when a client's chain brings that CA.
func checkLists(lists []*revocation.List, cas []*x509.Certificate) error {
	for i, l := range lists {
		if _, err := l.CheckIssuer(cas); err != nil {
			return fmt.Errorf("list %d: %w", i+1, err)
		}
	}
	return nil
}

// checkIssuers finds out which lists are signed by a CA of the bundle, and
// which cannot be used. A list whose CA is not in the bundle is nothing to
// warn of: its signature is checked when a client presents that CA, which is how
// it goes where only roots are anchors.
func (f *crlFile) checkIssuers(cas []*x509.Certificate) {
	f.issuerWarnings = nil
	f.signed = make([]bool, len(f.lists))
	for i, l := range f.lists {
		known, err := l.CheckIssuer(cas)
		f.signed[i] = known && err == nil
		if err != nil {
			// Only after a change of the bundle: the file would have been refused.
			f.issuerWarnings = append(f.issuerWarnings, fmt.Sprintf("%s: %v: not used for that CA", f.field, err))
		}
		if err := l.Unusable(); err != nil {
			f.issuerWarnings = append(f.issuerWarnings, fmt.Sprintf("%s: CRL of %s: %v: it revokes, but vouches for nobody", f.field, nameOf(l.Issuer()), err))
		}
	}
}

// skew is how far ahead of this host's clock revocation takes a list's
// thisUpdate to be now.
const skew = 5 * time.Minute

// dateWarnings tells which lists are out of date at now.
func (f *crlFile) dateWarnings(now time.Time) []string {
	var warnings []string
	for _, l := range f.lists {
		warn := func(format string, args ...any) {
			warnings = append(warnings, fmt.Sprintf("%s: CRL of %s ", f.field, nameOf(l.Issuer()))+fmt.Sprintf(format, args...))
		}
		switch {
		case l.ThisUpdate().After(now.Add(skew)):
			warn("is from the future, and vouches for nobody before its thisUpdate %s", stamp(l.ThisUpdate()))
		case l.NextUpdate().IsZero():
			warn("has no nextUpdate: it counts as expired since %s", stamp(l.ThisUpdate()))
		case now.After(l.NextUpdate()):
			warn("expired at %s", stamp(l.NextUpdate()))
		}
	}
	return warnings
}
