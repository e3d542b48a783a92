package truststore

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"

	"github.com/sallyport/sallyport/edge/reason"
)

// diagnosisChecks bounds the signature checks of a diagnosis. With the default
// depth of 4 it is never reached; beyond it a link counts as none.
const diagnosisChecks = 48

// quality is how well a certificate hangs on one that it names as its issuer,
// worst first, in the order of the table of codes.
type quality int

const (
	unlinked     quality = iota // names or key identifiers differ, or another CA of that name signed it
	badSignature                // not signed by the key of the issuer that it names
	badType                     // the issuer's type of certificate or key lets nothing be verified
	badCA                       // the issuer may not issue
	badHash                     // as far as can be seen signed by the issuer, with a hash that is not allowed
	sound
)

var qualityCodes = [...]reason.Code{
	unlinked:     reason.ClientCertUntrusted,
	badSignature: reason.ClientCertInvalid,
	badType:      reason.ClientCertTypeUnsupported,
	badCA:        reason.ClientCertUntrusted,
	badHash:      reason.ClientCertIncompatible,
	sound:        reason.ClientCertUntrusted, // what crypto/x509 has against the whole path
}

// link is how one certificate hangs on another.
type link struct {
	quality quality
	err     error // what is wrong with it, about whom names
	about   *x509.Certificate
}

// diagnosis looks for the path that would have got furthest if crypto/x509 had
// not refused it. It is as good as its worst link.
type diagnosis struct {
	search *search
	policy Policy
	checks int // left
	links  map[[2]*x509.Certificate]link
	best   map[*x509.Certificate]hop
}

// hop is the best way on from a certificate.
type hop struct {
	quality quality
	to      *x509.Certificate
}

// diagnose names why there is no path, given crypto/x509's error. In the order
// of the table, and only where every link further up leads to an anchor by name:
//
//   - ClientCertInvalid: a signature does not verify with the key of the issuer
//     that is named. A stranger's CA may bear the name of one of ours: where both
//     certificates give key identifiers (RFC 5280, section 4.2.1.1) and they
//     differ, or a CA of that name was presented whose signature does verify, it
//     is that stranger who is named, and the code is ClientCertUntrusted.
//   - ClientCertTypeUnsupported: a certificate on the way is no X.509v3 or has a
//     key that is not allowed.
//   - ClientCertIncompatible: every other link verifies, but one is made with
//     SHA-1 (whose signature is checked here) or with what crypto/x509 cannot
//     check at all.
//   - ClientCertUntrusted: all else. The issuer is no CA, or the path as a whole
//     breaks a path length, name constraint, policy or critical extension.
func (s *search) diagnose(p Policy, verifyErr error) error {
	d := &diagnosis{
		search: s,
		policy: p,
		checks: diagnosisChecks,
		links:  make(map[[2]*x509.Certificate]link),
		best:   make(map[*x509.Certificate]hop),
	}
	d.relax()
	path := d.path()
	if len(path) < 2 {
		return d.untrusted(verifyErr)
	}
	worst := link{quality: sound}
	for i, c := range path[:len(path)-1] {
		if l := d.link(c, path[i+1]); l.quality < worst.quality {
			worst = l
		}
	}
	if worst.quality == badHash || worst.quality == sound {
		for _, c := range path {
			if err := checkType(c, p); err != nil {
				return refuse(reason.ClientCertTypeUnsupported, c, err)
			}
		}
		if err := checkPath(path); err != nil {
			return d.untrusted(err)
		}
	}
	if worst.quality == sound {
		return d.untrusted(verifyErr)
	}
	return refuse(qualityCodes[worst.quality], worst.about, worst.err)
}

func (d *diagnosis) untrusted(err error) error {
	return refuse(reason.ClientCertUntrusted, d.search.leaf, fmt.Errorf("has no path to the trust store: %s", printable(err)))
}

// printable is an error of crypto/x509, which quotes from certificates at any
// length and in any script, in the form of our own.
func printable(err error) string {
	return shorten(strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, err.Error()), 768)
}

// relax finds for every certificate the best way to an anchor, where the best
// of ways is the one with the best worst link: Bellman and Ford's way, in which
// the number of paths does not matter, only that of certificates.
func (d *diagnosis) relax() {
	for range len(d.search.others) + 1 {
		changed := false
		for _, c := range d.children() {
			for _, anchor := range d.search.anchors.byName[string(c.RawIssuer)] {
				changed = d.improve(c, anchor, sound) || changed
			}
			for _, issuer := range d.search.others {
				if onward, ok := d.best[issuer]; ok {
					changed = d.improve(c, issuer, onward.quality) || changed
				}
			}
		}
		if !changed {
			return
		}
	}
}

// children are the certificates that names connect to both ends.
func (d *diagnosis) children() []*x509.Certificate {
	children := []*x509.Certificate{d.search.leaf}
	for i, c := range d.search.others {
		if d.search.named[i] {
			children = append(children, c)
		}
	}
	return children
}

func (d *diagnosis) improve(c, issuer *x509.Certificate, onward quality) bool {
	if c == issuer {
		return false
	}
	q := min(d.link(c, issuer).quality, onward)
	if q == unlinked || q <= d.best[c].quality {
		return false
	}
	d.best[c] = hop{quality: q, to: issuer}
	return true
}

// path follows the best hops from the leaf to an anchor. A hop is only ever
// taken to what was already better, so they make no loop.
func (d *diagnosis) path() []*x509.Certificate {
	path := []*x509.Certificate{d.search.leaf}
	for range len(d.search.others) + 1 {
		h, ok := d.best[path[len(path)-1]]
		if !ok {
			break
		}
		path = append(path, h.to)
	}
	return path
}

// link judges one link, once.
func (d *diagnosis) link(c, issuer *x509.Certificate) link {
	key := [2]*x509.Certificate{c, issuer}
	l, known := d.links[key]
	if !known {
		l = d.examine(c, issuer)
		d.links[key] = l
		if l.quality == badSignature && d.signedByAnother(c) {
			l = link{quality: unlinked}
			d.links[key] = l
		}
	}
	return l
}

// signedByAnother reports whether one of those presented, of the name that c
// gives for its issuer, did sign c. For a self-signed CA that is c itself.
func (d *diagnosis) signedByAnother(c *x509.Certificate) bool {
	for _, other := range d.search.others {
		if d.examine(c, other).quality >= badHash {
			return true
		}
	}
	return false
}

func (d *diagnosis) examine(c, issuer *x509.Certificate) link {
	if !bytes.Equal(c.RawIssuer, issuer.RawSubject) || keyIDsDiffer(c, issuer) {
		return link{quality: unlinked}
	}
	if issuer.Version != 3 {
		return link{badType, checkType(issuer, d.policy), issuer}
	}
	if !issuer.IsCA || issuer.KeyUsage != 0 && issuer.KeyUsage&x509.KeyUsageCertSign == 0 {
		return link{badCA, errors.New("is no CA that may sign certificates (basic constraint CA:TRUE, key usage keyCertSign)"), issuer}
	}
	if !verifiable(issuer) {
		return link{badType, checkKey(issuer, d.policy), issuer}
	}
	if d.checks == 0 {
		return link{quality: unlinked}
	}
	d.checks--
	hashErr := checkHash(c)
	err := issuer.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature)
	var insecure x509.InsecureAlgorithmError
	switch {
	case err == nil && hashErr == nil:
		return link{quality: sound}
	case err == nil, hashErr != nil && (errors.As(err, &insecure) || errors.Is(err, x509.ErrUnsupportedAlgorithm)):
		return link{badHash, hashErr, c}
	}
	return link{badSignature, fmt.Errorf("is not signed by the key of %s, the issuer that it names: %w", describe(issuer), err), c}
}

// keyIDsDiffer reports whether c says that another key of its issuer's name
// signed it.
func keyIDsDiffer(c, issuer *x509.Certificate) bool {
	return len(c.AuthorityKeyId) > 0 && len(issuer.SubjectKeyId) > 0 && !bytes.Equal(c.AuthorityKeyId, issuer.SubjectKeyId)
}

// checkPath is what crypto/x509 would have had against the path if it could
// verify it: it stops at the first signature that it takes no part in.
func checkPath(path []*x509.Certificate) error {
	for i, c := range path {
		if len(c.UnhandledCriticalExtensions) > 0 {
			return fmt.Errorf("%s has the critical extension %v, which is not understood", describe(c), c.UnhandledCriticalExtensions[0])
		}
		if i > 0 && c.BasicConstraintsValid && c.MaxPathLen >= 0 && i-1 > c.MaxPathLen {
			return fmt.Errorf("%s allows %d intermediates below it, and there are %d", describe(c), c.MaxPathLen, i-1)
		}
	}
	return nil
}
