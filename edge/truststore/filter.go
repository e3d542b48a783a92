package truststore

import (
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/identity"
)

// Filters are identity filters made ready: whom to let in of those that a trust
// store vouches for. They are immutable; any number of goroutines may use them.
// Nil lets everyone in, the zero Filters nobody.
//
// A Policy, and whatever caches by it, tells Filters by their pointer: keep the
// old ones where new ones have the same ID.
type Filters struct {
	id [32]byte // not zero

	subject, issuer []nameCondition
	dns             *hostPatterns
	uri, spiffe     *uriPatterns
	email           *emailPatterns
	ip              []netip.Prefix
	keys            map[[32]byte]bool
	certificates    map[[32]byte]bool
	allowed         map[[32]byte]bool
}

// ID is a digest of what is let in, the same for the same in any order, form and
// process, for the keys of caches and tickets: of files it has the certificates,
// not the names. That of nil is zero.
func (f *Filters) ID() [32]byte {
	if f == nil {
		return [32]byte{}
	}
	return f.id
}

// check returns the first condition, in the order of the configuration, that a
// client's certificate does not satisfy. It tells of the certificate and never
// what would have been let in. It allocates nothing for one that satisfies all.
func (f *Filters) check(leaf *x509.Certificate) error {
	if f == nil {
		return nil
	}
	if f.id == ([32]byte{}) {
		return errors.New("meets identity filters that are not made ready")
	}
	if err := checkName("subject", f.subject, leaf.RawSubject); err != nil {
		return err
	}
	if err := checkName("issuer", f.issuer, leaf.RawIssuer); err != nil {
		return err
	}
	if err := f.checkAlternativeNames(leaf); err != nil {
		return err
	}
	if f.keys != nil {
		if sum := sha256.Sum256(leaf.RawSubjectPublicKeyInfo); !f.keys[sum] {
			return unsatisfied("spki_sha256", "its key has the SHA-256 %s", config.Fingerprint(sum))
		}
	}
	if f.certificates == nil && f.allowed == nil {
		return nil
	}
	sum := sha256.Sum256(leaf.Raw)
	if f.certificates != nil && !f.certificates[sum] {
		return unsatisfied("certificate_sha256", "it has the SHA-256 %s", config.Fingerprint(sum))
	}
	if f.allowed != nil && !f.allowed[sum] {
		return unsatisfied("allowed_certificates", "it is in none of the files")
	}
	return nil
}

func unsatisfied(key, format string, args ...any) error {
	return fmt.Errorf("does not satisfy identity_filters.%s: %s", key, fmt.Sprintf(format, args...))
}

func checkName(section string, conditions []nameCondition, raw []byte) error {
	if conditions == nil {
		return nil
	}
	var room [12]identity.Attribute
	attributes, err := identity.Attributes(raw, room[:0])
	if err != nil {
		return unsatisfied(section, "%v", err)
	}
	for i := range conditions {
		if c := &conditions[i]; !c.satisfied(attributes) {
			return unsatisfied(section+"."+c.key, "no %s of its %s is let in", c.typ, section)
		}
	}
	return nil
}

func (f *Filters) checkAlternativeNames(leaf *x509.Certificate) error {
	if f.dns == nil && f.uri == nil && f.spiffe == nil && f.email == nil && f.ip == nil {
		return nil
	}
	var room [16]identity.AlternativeName
	names, err := identity.AlternativeNames(leaf, room[:0])
	if err != nil {
		return fmt.Errorf("does not satisfy identity_filters: %w", err)
	}
	dns, uri, email, ip := f.dns == nil, f.uri == nil, f.email == nil, f.ip == nil
	uris := 0
	for _, n := range names {
		switch n.Type {
		case identity.NameDNS:
			dns = dns || f.dns.match(n.Value)
		case identity.NameURI:
			uris++
			uri = uri || f.uri.match(n.Value)
		case identity.NameEmail:
			email = email || f.email.match(n.Value)
		case identity.NameIP:
			ip = ip || contains(f.ip, n.Value)
		}
	}
	switch {
	case !dns:
		return unsatisfied("dns", "none of its %d DNS names is let in", count(names, identity.NameDNS))
	case !uri:
		return unsatisfied("uri", "none of its %d URIs is let in", uris)
	case f.spiffe != nil && uris != 1:
		return unsatisfied("spiffe_id", "it has %d URIs, and one makes a SPIFFE ID", uris)
	case f.spiffe != nil && !f.spiffe.matchSPIFFE(names):
		return unsatisfied("spiffe_id", "its URI is no SPIFFE ID that is let in")
	case !email:
		return unsatisfied("email", "none of its %d email addresses is let in", count(names, identity.NameEmail))
	case !ip:
		return unsatisfied("ip", "none of its %d IP addresses is let in", count(names, identity.NameIP))
	}
	return nil
}

func count(names []identity.AlternativeName, typ identity.NameType) int {
	n := 0
	for _, name := range names {
		if name.Type == typ {
			n++
		}
	}
	return n
}

// contains takes an address as 4 or 16 bytes. An IPv4 address that is written as
// IPv6 is in no network of IPv4.
func contains(networks []netip.Prefix, raw []byte) bool {
	addr, ok := netip.AddrFromSlice(raw)
	if !ok {
		return false
	}
	for _, n := range networks {
		if n.Contains(addr) {
			return true
		}
	}
	return false
}
