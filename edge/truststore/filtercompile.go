package truststore

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"net/netip"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/filewatch"
)

// CompileFilters makes the identity filters of a listener ready, and reads the
// files that they name, through resolve if it is not nil. A configuration with
// nothing in it makes none: nil.
//
// An error is one *FieldError or several, joined, whose Field is below the
// section: dns[0], allowed_certificates[1].file.
func CompileFilters(cfg config.IdentityFilters, resolve func(string) string) (*Filters, error) {
	if cfg.IsZero() {
		return nil, nil
	}
	var errs []error
	cfg.Check(func(field string, err error) {
		errs = append(errs, &FieldError{Field: field, Err: err})
	})
	allowed := map[[32]byte]bool{}
	for i, file := range cfg.AllowedCertificates {
		path := file.File
		if path == "" {
			continue // reported by Check
		}
		if resolve != nil {
			path = resolve(path)
		}
		if err := readAllowed(path, allowed); err != nil {
			errs = append(errs, &FieldError{Field: fmt.Sprintf("allowed_certificates[%d].file", i), Err: err})
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}

	f := &Filters{}
	sum := newFilterSum()
	f.subject = compileName(sum, "subject", cfg.Subject)
	f.issuer = compileName(sum, "issuer", cfg.Issuer)
	if cfg.DNS != nil {
		f.dns = newHostPatterns(cfg.DNS)
		sum.add("dns", f.dns.exact, f.dns.below)
	}
	var err error
	if cfg.URI != nil {
		if f.uri, err = newURIPatterns(cfg.URI); err != nil {
			return nil, &FieldError{Field: "uri", Err: err}
		}
		sum.add("uri", f.uri.exact, set(f.uri.prefixes))
	}
	if cfg.SPIFFEID != nil {
		if f.spiffe, err = newURIPatterns(cfg.SPIFFEID); err != nil {
			return nil, &FieldError{Field: "spiffe_id", Err: err}
		}
		sum.add("spiffe_id", f.spiffe.exact, set(f.spiffe.prefixes))
	}
	if cfg.Email != nil {
		f.email = newEmailPatterns(cfg.Email)
		sum.add("email", f.email.exact, f.email.domains)
	}
	if cfg.IP != nil {
		f.ip = make([]netip.Prefix, len(cfg.IP))
		texts := map[string]bool{}
		for i, n := range cfg.IP {
			f.ip[i] = n.Prefix().Masked()
			texts[f.ip[i].String()] = true
		}
		sum.add("ip", texts)
	}
	if cfg.SPKISHA256 != nil {
		f.keys = fingerprints(cfg.SPKISHA256)
		sum.addSums("spki_sha256", f.keys)
	}
	if cfg.CertificateSHA256 != nil {
		f.certificates = fingerprints(cfg.CertificateSHA256)
		sum.addSums("certificate_sha256", f.certificates)
	}
	if cfg.AllowedCertificates != nil {
		f.allowed = allowed
		sum.addSums("allowed_certificates", allowed)
	}
	sum.hash.Sum(f.id[:0])
	return f, nil
}

func compileName(sum filterSum, section string, cfg config.NameFilter) []nameCondition {
	var conditions []nameCondition
	for _, part := range cfg.Parts() {
		if part.Values == nil {
			continue
		}
		c := newNameCondition(part)
		conditions = append(conditions, c)
		sum.add(section+"."+part.Key, c.exact, set(c.prefixes), set(c.suffixes))
	}
	return conditions
}

func fingerprints(list []config.Fingerprint) map[[32]byte]bool {
	sums := make(map[[32]byte]bool, len(list))
	for _, f := range list {
		sums[f] = true
	}
	return sums
}

// readAllowed adds the SHA-256 of each certificate in a file.
func readAllowed(path string, allowed map[[32]byte]bool) error {
	data, err := filewatch.ReadFile(path, maxBundleSize)
	if err != nil {
		return fmt.Errorf("read allowed certificates: %w", err)
	}
	blocks, err := scanPEM(data)
	if err == nil && len(blocks) == 0 {
		err = errors.New("no CERTIFICATE block in it, want at least one")
	}
	for _, b := range blocks {
		if err != nil {
			break
		}
		var c *x509.Certificate
		switch c, err = x509.ParseCertificate(b.der); {
		case err != nil:
			err = fmt.Errorf("line %d: parse certificate: %w", b.line, err)
		case c.IsCA:
			// Most likely the rest of a chain: what it issued is not let in by it.
			err = fmt.Errorf("line %d: %s is a CA, want clients' own certificates alone", b.line, describe(c))
		default:
			allowed[sha256.Sum256(c.Raw)] = true
		}
	}
	if err != nil {
		return fmt.Errorf("parse allowed certificates %s: %w", path, err)
	}
	return nil
}

// filterSum sums up conditions in a form that can be read in one way only: the
// key, then of each kind of value how many there are, sorted, each with its
// length.
type filterSum struct{ hash hash.Hash }

func newFilterSum() filterSum {
	s := filterSum{sha256.New()}
	s.text("sallyport identity filters 1")
	return s
}

func (s filterSum) text(text string) {
	s.number(len(text))
	s.hash.Write([]byte(text))
}

func (s filterSum) number(n int) {
	s.hash.Write(binary.BigEndian.AppendUint64(nil, uint64(n)))
}

func (s filterSum) add(key string, kinds ...map[string]bool) {
	s.text(key)
	s.number(len(kinds))
	for _, values := range kinds {
		s.number(len(values))
		sorted := make([]string, 0, len(values))
		for value := range values {
			sorted = append(sorted, value)
		}
		slices.SortFunc(sorted, strings.Compare)
		for _, value := range sorted {
			s.text(value)
		}
	}
}

func (s filterSum) addSums(key string, sums map[[32]byte]bool) {
	texts := make(map[string]bool, len(sums))
	for sum := range sums {
		texts[string(sum[:])] = true
	}
	s.add(key, texts)
}

func set(list []string) map[string]bool {
	values := make(map[string]bool, len(list))
	for _, v := range list {
		values[v] = true
	}
	return values
}
