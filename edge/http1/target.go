package http1

import "strings"

// SetTarget makes target the request's, as Parse does with one of HTTP/1.1: for an
// HTTP/2 server. Method must be set.
func (r *Request) SetTarget(target string) Finding {
	r.Target, r.Path, r.Query, r.Scheme, r.Encode = target, "", "", "", false
	if target == "" {
		return broken("BadUri")
	}
	for i := range len(target) {
		switch b := target[i]; {
		case b == ' ':
			return broken("SpaceInUri")
		case b == 0 || b == '\r' || b == '\n':
			return broken("BadUri")
		case b < ' ' || b == 0x7F:
			return broken("AmbiguousUri")
		}
	}
	return r.parseTarget()
}

// parseTarget reads the request target: origin-form, absolute-form of http and
// https, or * of OPTIONS (RFC 9112, section 3.2). The authority-form of CONNECT
// is taken as it is: nobody serves it.
func (r *Request) parseTarget() (found Finding) {
	target := r.Target
	if r.Method == "CONNECT" || target == "*" && r.Method == "OPTIONS" {
		r.Path = target
		return checkTarget(target, r)
	}
	if target[0] != '/' {
		scheme, rest, ok := strings.Cut(target, "://")
		if !ok || !equalFold(scheme, "http") && !equalFold(scheme, "https") {
			return broken("BadUri")
		}
		end := strings.IndexAny(rest, "/?#")
		if end < 0 {
			end = len(rest)
		}
		if end == 0 || strings.IndexByte(rest[:end], '@') >= 0 || end < len(rest) && rest[end] == '#' {
			return broken("BadUri")
		}
		r.Scheme, r.Host, target = scheme, rest[:end], rest[end:]
		if !isHost(r.Host) {
			return broken("BadUri")
		}
	}
	r.Path = target
	if i := strings.IndexByte(target, '?'); i >= 0 {
		r.Path, r.Query = target[:i], target[i+1:]
	}
	if found = checkEscapes(r.Path); found.Class != Compliant {
		return found
	}
	return checkTarget(target, r)
}

// checkEscapes refuses a path with a percent sign that is none of an escape:
// targets differ on what it is then. A query is decoded by nobody but the
// application.
func checkEscapes(path string) Finding {
	for i := 0; i < len(path); i++ {
		if path[i] != '%' {
			continue
		}
		if i+2 >= len(path) {
			return broken("BadUri")
		}
		if byteClass[path[i+1]]&hexDigit == 0 || byteClass[path[i+2]]&hexDigit == 0 {
			return broken("AmbiguousUri")
		}
	}
	return Finding{}
}

func checkTarget(target string, r *Request) Finding {
	for i := range len(target) {
		if byteClass[target[i]]&targetByte == 0 {
			r.Encode = true
			return oddTarget
		}
	}
	return Finding{}
}

// AppendTarget appends the target in origin-form, with what RFC 3986 does not
// allow in it percent-encoded.
func (r *Request) AppendTarget(dst []byte) []byte {
	if r.Path == "" {
		if r.Method == "OPTIONS" && r.Query == "" && !r.bareQuery() {
			return append(dst, '*') // RFC 9112, section 3.2.4
		}
		dst = append(dst, '/')
	}
	if !r.Encode {
		dst = append(dst, r.Path...)
		if r.Query != "" || r.bareQuery() {
			dst = append(append(dst, '?'), r.Query...)
		}
		return dst
	}
	dst = appendEncoded(dst, r.Path)
	if r.Query != "" || r.bareQuery() {
		dst = appendEncoded(append(dst, '?'), r.Query)
	}
	return dst
}

// bareQuery says whether the target ends in a question mark.
func (r *Request) bareQuery() bool { return strings.HasSuffix(r.Target, "?") }

func appendEncoded(dst []byte, s string) []byte {
	const hex = "0123456789ABCDEF"
	for i := range len(s) {
		if b := s[i]; byteClass[b]&targetByte == 0 {
			dst = append(dst, '%', hex[b>>4], hex[b&15])
		} else {
			dst = append(dst, b)
		}
	}
	return dst
}
