package truststore

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/identity"
)

// uriPatterns are URIs in the form of appendURI: exact, or those that go on with
// segments of a path behind a prefix, which ends with a slash.
type uriPatterns struct {
	exact    map[string]bool
	prefixes []string
}

// newURIPatterns takes what config has checked; an error is about a pattern that
// config takes for a URI and appendURI does not.
func newURIPatterns(patterns []string) (*uriPatterns, error) {
	p := &uriPatterns{exact: map[string]bool{}}
	for _, pattern := range patterns {
		prefix, wild := strings.CutSuffix(pattern, "*")
		canonical, ok := appendURI(nil, []byte(prefix))
		switch {
		case !ok:
			return nil, fmt.Errorf("%q: want an absolute URI without a user", pattern)
		case wild:
			p.prefixes = append(p.prefixes, string(canonical))
		default:
			p.exact[string(canonical)] = true
		}
	}
	return p, nil
}

func (p *uriPatterns) match(raw []byte) bool {
	var room [256]byte
	uri, ok := appendURI(room[:0], raw)
	return ok && p.matchCanonical(uri)
}

func (p *uriPatterns) matchCanonical(uri []byte) bool {
	if p.exact[string(uri)] {
		return true
	}
	for _, prefix := range p.prefixes {
		if len(uri) > len(prefix) && string(uri[:len(prefix)]) == prefix && plainSegments(uri[len(prefix):]) {
			return true
		}
	}
	return false
}

// matchSPIFFE looks at the first URI, where there is no other.
func (p *uriPatterns) matchSPIFFE(names []identity.AlternativeName) bool {
	for _, n := range names {
		if n.Type == identity.NameURI {
			return config.IsSPIFFEID(n.Value) && p.matchCanonical(n.Value)
		}
	}
	return false
}

// appendURI appends an absolute URI in the form in which URIs are compared: with
// the scheme and the host in lower case, and else as it is (RFC 3986, section
// 6.2.2.1). It returns false for what is none, and for what names a user: as in
// https://good.example@evil.example/, where a reader may take one for the other.
func appendURI(b, uri []byte) ([]byte, bool) {
	for _, c := range uri {
		if c <= ' ' || c > '~' || strings.IndexByte("\"<>\\^`{|}", c) >= 0 {
			return b, false
		}
	}
	scheme, rest, ok := bytes.Cut(uri, []byte(":"))
	if !ok || !isScheme(scheme) {
		return b, false
	}
	b = append(appendLower(b, scheme), ':')
	if !bytes.HasPrefix(rest, []byte("//")) {
		return append(b, rest...), len(rest) > 0
	}
	end := bytes.IndexAny(rest[2:], "/?#")
	if end < 0 {
		end = len(rest) - 2
	}
	authority, path := rest[2:2+end], rest[2+end:]
	if end == 0 || bytes.ContainsAny(authority, "@%") {
		return b, false
	}
	return append(appendLower(append(b, "//"...), authority), path...), true
}

func isScheme(s []byte) bool {
	for i, c := range s {
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !letter && (i == 0 || (c < '0' || c > '9') && c != '+' && c != '-' && c != '.') {
			return false
		}
	}
	return len(s) > 0
}

// plainSegments tells that path, in which a * has its place, means the same to
// every reader: /a/../b and /a/%2e%2e/b would be /b to some.
func plainSegments(path []byte) bool {
	if bytes.ContainsAny(path, "%?#") {
		return false
	}
	for {
		segment, rest, more := bytes.Cut(path, []byte("/"))
		if len(segment) == 0 || string(segment) == "." || string(segment) == ".." {
			return false
		}
		if !more {
			return true
		}
		path = rest
	}
}
