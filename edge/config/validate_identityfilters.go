package config

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"unicode"
)

// identityFilters: a section with nothing in it filters nobody, which is not
// what somebody meant who wrote it.
func (v *validator) identityFilters(path string, f IdentityFilters) {
	const nothing = "want at least one key; leave the section out to filter nobody"
	subject, issuer := child(path, "subject"), child(path, "issuer")
	switch {
	case f.IsZero() && !v.c.source.wrote(subject) && !v.c.source.wrote(issuer):
		if v.c.source.wrote(path) && v.sure(path) {
			v.errorf(path, nothing)
		}
	default:
		for at, name := range map[string]NameFilter{subject: f.Subject, issuer: f.Issuer} {
			if name.IsZero() && v.c.source.wrote(at) && v.sure(at) {
				v.errorf(at, nothing)
			}
		}
	}
	f.Check(func(at string, err error) { v.errorf(path+"."+at, "%v", err) })
	files := child(path, "allowed_certificates")
	names := make([]string, len(f.AllowedCertificates))
	for i, file := range f.AllowedCertificates {
		names[i] = filepath.Clean(v.c.ResolvePath(file.File))
	}
	v.unique(files, names, same)
}

// Check reports every value that means nothing, with its path below the section:
// dns[0]. What Parse returned without an error has been checked already. Files
// are not opened.
func (f IdentityFilters) Check(report func(path string, err error)) {
	checkName("subject", f.Subject, report)
	checkName("issuer", f.Issuer, report)
	checkList("dns", f.DNS, checkDNSPattern, strings.ToLower, report)
	checkList("uri", f.URI, checkURIPattern, same, report)
	checkList("spiffe_id", f.SPIFFEID, checkSPIFFEPattern, same, report)
	checkList("email", f.Email, checkEmailPattern, same, report)
	checkList("ip", f.IP, checkNetwork, func(n Network) Network { return n }, report)
	checkList("spki_sha256", f.SPKISHA256, checkFingerprint, func(p Fingerprint) Fingerprint { return p }, report)
	checkList("certificate_sha256", f.CertificateSHA256, checkFingerprint, func(p Fingerprint) Fingerprint { return p }, report)
	if f.AllowedCertificates != nil && len(f.AllowedCertificates) == 0 {
		report("allowed_certificates", errNoValues)
	}
	for i, file := range f.AllowedCertificates {
		if file.File == "" {
			report(child(item("allowed_certificates", i), "file"), errors.New("needed: want the name of a PEM file"))
		}
	}
}

var errNoValues = errors.New("want at least one value; leave the key out to filter nobody by it")

func checkName(path string, f NameFilter, report func(string, error)) {
	for _, part := range f.Parts() {
		checkList(child(path, part.Key), part.Values, checkTextPattern, same, report)
	}
}

// checkList reports a list that is there and empty, each value that check
// refuses, and what is there twice, both taken as form makes them.
func checkList[T comparable](path string, values []T, check func(T) error, form func(T) T, report func(string, error)) {
	if values != nil && len(values) == 0 {
		report(path, errNoValues)
	}
	seen := make(map[T]int, len(values))
	for i, value := range values {
		if err := check(value); err != nil {
			report(item(path, i), err)
			continue
		}
		if first, ok := seen[form(value)]; ok {
			report(item(path, i), fmt.Errorf("%s: is in the list already, as item %d", quote(fmt.Sprint(value)), first))
			continue
		}
		seen[form(value)] = i
	}
}

// maxPattern bounds a value; SPIFFE IDs have no more bytes.
const maxPattern = 2048

// checkTextPattern is for parts of names: what fits in a header is enough.
func checkTextPattern(s string) error {
	text := strings.TrimSuffix(strings.TrimPrefix(s, "*"), "*")
	switch {
	case s == "" || len(s) > maxPattern:
		return fmt.Errorf("%s: want 1 to %d bytes", quote(s), maxPattern)
	case strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar }):
		return fmt.Errorf("%s: want characters that print", quote(s))
	case text == "":
		return fmt.Errorf("%s: want some text beside the *", quote(s))
	case len(s)-len(text) > 1 || strings.Contains(text, "*"):
		return fmt.Errorf("%s: want at most one *, at the beginning or the end", quote(s))
	}
	return nil
}

func checkDNSPattern(s string) error {
	if _, err := netip.ParseAddr(s); err == nil {
		return fmt.Errorf("%s: want a DNS name; addresses are for the key ip", quote(s))
	}
	if !isASCIIHost(strings.TrimPrefix(s, "*.")) {
		return fmt.Errorf("%s: want a DNS name such as www.example.com or *.example.com, in ASCII and without a dot at its end", quote(s))
	}
	return nil
}

// isASCIIHost is isHost in any case. Lower case alone would take the Kelvin sign
// for a k.
func isASCIIHost(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r > unicode.MaxASCII }) && isHost(strings.ToLower(s))
}

func checkURIPattern(s string) error {
	wrong := func(want string) error { return fmt.Errorf("%s: want %s", quote(s), want) }
	const absolute = "an absolute URI such as https://example.com/a, or one that ends in /*"
	prefix, wild := strings.CutSuffix(s, "/*")
	if len(s) > maxPattern || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune("\"<>\\^`{|}", r) }) {
		return wrong(absolute)
	}
	if strings.Contains(prefix, "*") {
		return wrong("no * but that of /* at the end")
	}
	u, err := url.Parse(prefix)
	switch {
	case err != nil || !u.IsAbs() || u.Host == "" && (wild || u.Opaque == ""):
		return wrong(absolute)
	case u.Scheme == "spiffe":
		return wrong("SPIFFE IDs under the key spiffe_id")
	case u.User != nil || u.Host != "" && !isAuthority(u, s):
		return wrong("a host name or address, with a port or none, behind ://")
	case u.Opaque != "" && u.Opaque[0] == '/':
		return wrong(absolute)
	case wild && !plainSegments(strings.TrimPrefix(u.EscapedPath(), "/"), true) || wild && (u.RawQuery != "" || u.ForceQuery || u.Fragment != ""):
		return wrong("a path without escapes, dot segments and empty segments, a query or a fragment before /*")
	}
	return nil
}

// isAuthority judges the host and port of u, which was parsed from s.
func isAuthority(u *url.URL, s string) bool {
	_, authority, _ := strings.Cut(s, "://")
	if end := strings.IndexAny(authority, "/?#"); end >= 0 {
		authority = authority[:end]
	}
	if strings.Contains(authority, "%") {
		return false
	}
	host := u.Hostname()
	if _, err := netip.ParseAddr(host); err != nil && !isASCIIHost(host) {
		return false
	}
	return u.Port() != "" || !strings.HasSuffix(u.Host, ":")
}

// plainSegments tells whether path, which begins with no /, is made of segments
// that every reader takes for the same.
func plainSegments(path string, mayBeEmpty bool) bool {
	if path == "" {
		return mayBeEmpty
	}
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "" || segment == "." || segment == ".." || strings.Contains(segment, "%") {
			return false
		}
	}
	return true
}

func checkSPIFFEPattern(s string) error {
	id := s
	if prefix, ok := strings.CutSuffix(s, "/*"); ok {
		id = prefix + "/x"
	}
	if len(s) > maxPattern || !IsSPIFFEID(id) {
		return fmt.Errorf("%s: want a SPIFFE ID with a path such as spiffe://example.org/ns/prod, or one that ends in /*, with a trust domain in lower case", quote(s))
	}
	return nil
}

// IsSPIFFEID tells whether id is a SPIFFE ID of a workload, by the SPIFFE-ID
// standard, section 2: a trust domain in lower case and a path that is not
// empty.
func IsSPIFFEID[T ~string | ~[]byte](id T) bool {
	const scheme = "spiffe://"
	if len(id) > maxPattern || len(id) < len(scheme) || string(id[:len(scheme)]) != scheme {
		return false
	}
	at := len(scheme)
	for ; at < len(id) && id[at] != '/'; at++ {
		if c := id[at]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '.' && c != '-' && c != '_' {
			return false
		}
	}
	if n := at - len(scheme); n == 0 || n > 255 || at == len(id) {
		return false
	}
	for at < len(id) {
		at++ // the slash
		start, dots := at, 0
		for ; at < len(id) && id[at] != '/'; at++ {
			c := id[at]
			if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '.' && c != '-' && c != '_' {
				return false
			}
			if c == '.' {
				dots++
			}
		}
		if n := at - start; n == 0 || n <= 2 && dots == n {
			return false
		}
	}
	return true
}

func checkEmailPattern(s string) error {
	local, domain, ok := strings.Cut(s, "@")
	if !ok || local != "*" && !IsDotAtom(local) || !isASCIIHost(domain) {
		return fmt.Errorf("%s: want an address such as ops@example.com or *@example.com", quote(s))
	}
	return nil
}

// IsDotAtom tells whether s is the part of a mail address before its @, without
// quotes: a Dot-string of RFC 5321, section 4.1.2. A * is none here, as it is a
// pattern's.
func IsDotAtom[T ~string | ~[]byte](s T) bool {
	if len(s) == 0 || len(s) > 64 || s[0] == '.' || s[len(s)-1] == '.' {
		return false
	}
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.IndexByte("!#$%&'+-/=?^_`{|}~", c) >= 0:
		case c == '.' && s[i-1] != '.':
		default:
			return false
		}
	}
	return true
}

func checkNetwork(n Network) error {
	switch p := n.Prefix(); {
	case !p.IsValid():
		return errors.New("want a network such as 10.0.0.0/8 or 2001:db8::/32, or an address")
	case p.Addr().Is4In6():
		return fmt.Errorf("%q: want the address as IPv4", p)
	}
	return nil
}

func checkFingerprint(f Fingerprint) error {
	if f == (Fingerprint{}) {
		return errors.New("want a SHA-256 that is not all zero")
	}
	return nil
}
