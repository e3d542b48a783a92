package config

import (
	"slices"
	"strconv"
	"strings"
)

func (v *validator) action(path string, l Listener) {
	a := l.DefaultAction
	const kinds = "forward, fixed_response or redirect"
	n := 0
	for _, set := range []bool{a.Forward != "", a.FixedResponse != nil, a.Redirect != nil} {
		if set {
			n++
		}
	}
	switch {
	case n == 0:
		v.needed(path, false, kinds)
	case n > 1 && v.sure(path):
		v.errorf(path, "want exactly one of %s, got %d", kinds, n)
	}
	if a.Forward != "" {
		v.among(child(path, "forward"), "target_groups", a.Forward, sorted(v.c.TargetGroups))
		v.protocolVersion(child(path, "forward"), a.Forward, l)
		if l.Protocol == HTTP {
			v.warnf(child(path, "forward"), "protocol http: requests reach the targets without TLS and without any client certificate: want redirect, or protocol: https")
		}
	}
	if a.FixedResponse != nil {
		v.fixedResponse(child(path, "fixed_response"), *a.FixedResponse)
	}
	if a.Redirect != nil {
		v.redirect(child(path, "redirect"), *a.Redirect, l.Protocol)
	}
}

var contentTypes = []string{"text/plain", "text/css", "text/html", "application/javascript", "application/json"}

func (v *validator) fixedResponse(path string, r FixedResponse) {
	const statuses = "a status from 200 to 299 or from 400 to 599"
	status, body := child(path, "status_code"), child(path, "message_body")
	switch code := r.StatusCode; {
	case code == 0 && !v.c.source.wrote(status):
		v.needed(status, false, statuses)
	case code < 200 || code > 599 || code/100 == 3:
		v.errorf(status, "%d: want %s", code, statuses)
	case (code == 204 || code == 205) && r.MessageBody != "":
		v.errorf(body, "want none, as a response with status %d has no body", code)
	}
	if !slices.Contains(contentTypes, r.ContentType) {
		v.errorf(child(path, "content_type"), "%s: want %s", quote(r.ContentType), oneOf(contentTypes))
	}
	if n := len(r.MessageBody); n > 1024 {
		v.errorf(body, "want at most 1024 bytes, got %d", n)
	}
}

// redirect follows RedirectActionConfig of the Elastic Load Balancing API.
func (v *validator) redirect(path string, r Redirect, listener Protocol) {
	protocol, host, port, target, query := child(path, "protocol"), child(path, "host"), child(path, "port"), child(path, "path"), child(path, "query")

	if !slices.Contains([]string{"HTTP", "HTTPS", "#{protocol}"}, r.Protocol) {
		v.errorf(protocol, "%s: want HTTP, HTTPS or #{protocol}", quote(r.Protocol))
	} else if r.Protocol == "HTTP" && listener == HTTPS {
		v.errorf(protocol, `"HTTP": want HTTPS or #{protocol}, as the listener's protocol is https`)
	}
	if n, err := strconv.ParseUint(r.Port, 10, 16); r.Port != "#{port}" && (err != nil || n == 0 || strconv.FormatUint(n, 10) != r.Port) {
		v.errorf(port, "%s: want a port from 1 to 65535 or #{port}", quote(r.Port))
	}
	v.redirectPart(host, r.Host, ".-_", "a host name")
	v.redirectPart(target, r.Path, urlPath, "a path of a URL")
	if !strings.HasPrefix(r.Path, "/") {
		v.errorf(target, "%s: want a path that begins with /", quote(r.Path))
	}
	if r.Query != "" {
		v.redirectPart(query, r.Query, urlPath+"?", "the query of a URL, without its ?")
	}

	status := child(path, "status_code")
	if r.StatusCode == "" {
		v.needed(status, false, "HTTP_301 or HTTP_302")
	} else if r.StatusCode != "HTTP_301" && r.StatusCode != "HTTP_302" {
		v.errorf(status, "%s: want HTTP_301 or HTTP_302", quote(r.StatusCode))
	}

	if !v.sure(path) {
		return
	}
	kept := r.Protocol == "#{protocol}" || r.Protocol == strings.ToUpper(string(listener))
	switch {
	case kept && r.Host == "#{host}" && r.Port == "#{port}" && r.Path == "/#{path}":
		v.errorf(path, "leads back to where it came from: want another protocol, host, port or path")
	case !kept && r.Port == "#{port}":
		v.warnf(path, "protocol %s with the port of the listener: want a port, such as 443", r.Protocol)
	}
}

// urlPath is what RFC 3986 allows in a path beside letters, digits and escapes.
const urlPath = "-._~!$&'()*+,;=:@/%"

var placeholders = []string{"#{protocol}", "#{host}", "#{port}", "#{path}", "#{query}"}

// redirectPart judges a part of a redirect's URL: letters, digits, the bytes in
// others, and placeholders.
func (v *validator) redirectPart(path, part, others, want string) {
	if part == "" || len(part) > 128 {
		v.errorf(path, "%s: want 1 to 128 characters", quote(part))
		return
	}
	rest := part
	for _, p := range placeholders {
		rest = strings.ReplaceAll(rest, p, "x")
	}
	if strings.Contains(rest, "#{") {
		v.errorf(path, "%s: want no placeholders but %s", quote(part), oneOf(placeholders))
		return
	}
	for i := range len(rest) {
		c := rest[i]
		if c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || strings.IndexByte(others, c) >= 0 {
			if c != '%' || i+2 < len(rest) && isHex(rest[i+1]) && isHex(rest[i+2]) {
				continue
			}
		}
		v.errorf(path, "%s: want %s, got %q in it", quote(part), want, c)
		return
	}
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}
