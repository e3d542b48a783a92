package truststore

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/revocation"
)

// How large a file may be that is read whole.
const (
	maxBundleSize = 16 << 20
	maxCRLSize    = 512 << 20
)

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
	newest []*revocation.List // the newest edition of each that it has held
	signed []bool             // by index of lists: by a CA of the bundle

	// With source api it is an upload: no path, but an id and a digest.
	id     int64
	sha256 string
}

func (f *bundleFile) read(limits config.TrustStoreLimits) (cas []*x509.Certificate, warnings []string, err error) {
	data, err := readFile(f.path, maxBundleSize)
	if err != nil {
		return nil, nil, &FieldError{f.field, fmt.Errorf("read CA bundle: %w", err)}
	}
	if cas, warnings, err = ParseBundle(data, limits); err != nil {
		return nil, nil, &FieldError{f.field, fmt.Errorf("parse CA bundle %s: %w", f.path, err)}
	}
	return cas, warnings, nil
}

// read returns the file's lists, unless one is signed wrongly by a CA of the
// bundle or would put an older list in the place of one in force.
func (f *crlFile) read(cas []*x509.Certificate) ([]*revocation.List, error) {
	data, err := readFile(f.path, maxCRLSize)
	if err != nil {
		return nil, &FieldError{f.field, fmt.Errorf("read CRL: %w", err)}
	}
	lists, err := revocation.Parse(data)
	if err == nil {
		err = checkLists(lists, cas)
	}
	if err == nil {
		if err = checkRollback(f.newest, lists); err != nil {
			err = fmt.Errorf("%w: only a restart takes it", err)
		}
	}
	if err != nil {
		return nil, &FieldError{f.field, fmt.Errorf("parse CRL %s: %w", f.path, err)}
	}
	if slices.EqualFunc(lists, f.lists, func(a, b *revocation.List) bool { return a.Digest() == b.Digest() }) {
		return f.lists, nil
	}
	return lists, nil
}

// readFile reads a regular file: opening anything else, a FIFO say, could wait
// for ever.
func readFile(path string, most int64) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > most {
		return nil, fmt.Errorf("%s has more than %v", path, config.Size(most))
	}
	return data, nil
}

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

// withNewest returns lists, and those of before of which lists has no edition:
// an older edition is older also when the file has held none for a while.
func withNewest(before, lists []*revocation.List) []*revocation.List {
	newest := slices.Clone(lists)
	for _, old := range before {
		if !slices.ContainsFunc(lists, func(l *revocation.List) bool { return sameSeries(l, old) }) {
			newest = append(newest, old)
		}
	}
	return newest
}

// errRollback marks a file that would have taken a list back to an older one.
var errRollback = errors.New("older than the one in force")

// checkRollback refuses lists of which, for some issuer, key, scope and kind,
// none is at least as new as every one before: a lower number or an earlier
// thisUpdate un-revokes. Lists may vanish altogether, since then their issuers
// go without an answer.
func checkRollback(before, after []*revocation.List) error {
	for _, old := range before {
		var rivals []*revocation.List
		for _, l := range after {
			if sameSeries(l, old) {
				rivals = append(rivals, l)
			}
		}
		newEnough := func(l *revocation.List) bool { return !olderThan(l, old) }
		if len(rivals) > 0 && !slices.ContainsFunc(rivals, newEnough) {
			return fmt.Errorf("CRL of %s for %s, %s, is %w, %s",
				nameOf(old.Issuer()), old.Scope(), edition(rivals[0]), errRollback, edition(old))
		}
	}
	return nil
}

// sameSeries reports whether two lists are editions of one.
func sameSeries(a, b *revocation.List) bool {
	keyA, keyB := a.AuthorityKeyID(), b.AuthorityKeyID()
	return a.IssuerKey() == b.IssuerKey() &&
		a.Scope() == b.Scope() &&
		(a.BaseNumber() == nil) == (b.BaseNumber() == nil) &&
		(len(keyA) == 0 || len(keyB) == 0 || slices.Equal(keyA, keyB))
}

func olderThan(l, old *revocation.List) bool {
	if a, b := l.Number(), old.Number(); a != nil && b != nil && a.Cmp(b) < 0 {
		return true
	}
	return l.ThisUpdate().Before(old.ThisUpdate())
}

func edition(l *revocation.List) string {
	if n := l.Number(); n != nil {
		return fmt.Sprintf("number %d of %s", n, stamp(l.ThisUpdate()))
	}
	return "that of " + stamp(l.ThisUpdate())
}

// checkIssuers finds out which lists are signed by a CA of the bundle, and
// tells which cannot be used. A list whose CA is not in the bundle is nothing to
// warn of: its signature is checked when a client presents that CA, which is how
// it goes where only roots are anchors.
func (f *crlFile) checkIssuers(cas []*x509.Certificate) []string {
	var warnings []string
	f.signed = make([]bool, len(f.lists))
	for i, l := range f.lists {
		known, err := l.CheckIssuer(cas)
		f.signed[i] = known && err == nil
		if err != nil {
			// Only after a change of the bundle: the file would have been refused.
			warnings = append(warnings, fmt.Sprintf("%s: %v: not used for that CA", f.field, err))
		}
		if err := l.Unusable(); err != nil {
			warnings = append(warnings, fmt.Sprintf("%s: CRL of %s: %v: it revokes, but vouches for nobody", f.field, nameOf(l.Issuer()), err))
		}
	}
	return warnings
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
