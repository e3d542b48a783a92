package proxy

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/sallyport/sallyport/edge/config"
)

// redirect sends a client elsewhere, in ALB's way: the parts of the new URL are
// written with #{protocol}, #{host}, #{port}, #{path} and #{query} of the old.
type redirect struct {
	status                            int
	protocol, host, port, path, query template
}

// template is text with placeholders in it: literals and placeholders in turn,
// a literal first.
type template []string

var placeholders = map[string]bool{"protocol": true, "host": true, "port": true, "path": true, "query": true}

func newTemplate(text string) (template, error) {
	var t template
	for {
		before, after, found := strings.Cut(text, "#{")
		t = append(t, before)
		if !found {
			return t, nil
		}
		name, rest, closed := strings.Cut(after, "}")
		if !closed || !placeholders[name] {
			return nil, fmt.Errorf("%q: want placeholders #{protocol}, #{host}, #{port}, #{path} or #{query}", text)
		}
		t = append(t, name)
		text = rest
	}
}

func (t template) expand(old *redirectSource) string {
	var b strings.Builder
	for i, part := range t {
		if i%2 == 1 {
			part = old.part(part)
		}
		b.WriteString(part)
	}
	return b.String()
}

// redirectSource is what of a request a redirect can use.
type redirectSource struct {
	protocol, host string
	port           uint16
	url            *url.URL
}

func (s *redirectSource) part(name string) string {
	switch name {
	case "protocol":
		return s.protocol
	case "host":
		return s.host
	case "port":
		return strconv.Itoa(int(s.port))
	case "path":
		return strings.TrimPrefix(s.url.EscapedPath(), "/")
	}
	return s.url.RawQuery
}

func newRedirect(cfg config.Redirect) (*redirect, error) {
	r := new(redirect)
	switch cfg.StatusCode {
	case "HTTP_301":
		r.status = http.StatusMovedPermanently
	case "HTTP_302":
		r.status = http.StatusFound
	default:
		return nil, fmt.Errorf("status code %q: want HTTP_301 or HTTP_302", cfg.StatusCode)
	}
	var errs []error
	parse := func(t *template, name, text string) {
		var err error
		if *t, err = newTemplate(text); err != nil {
			errs = append(errs, fmt.Errorf("%s %w", name, err))
		}
	}
	parse(&r.protocol, "protocol", strings.ToLower(cfg.Protocol))
	parse(&r.host, "host", cfg.Host)
	parse(&r.port, "port", cfg.Port)
	parse(&r.path, "path", cfg.Path)
	parse(&r.query, "query", cfg.Query)
	switch strings.ToLower(cfg.Protocol) {
	case "http", "https", "#{protocol}":
	default:
		errs = append(errs, fmt.Errorf("protocol %q: want HTTP, HTTPS or #{protocol}", cfg.Protocol))
	}
	if port, err := strconv.ParseUint(cfg.Port, 10, 16); cfg.Port != "#{port}" && (err != nil || port == 0) {
		errs = append(errs, fmt.Errorf("port %q: want 1 to 65535 or #{port}", cfg.Port))
	}
	if !strings.HasPrefix(cfg.Path, "/") {
		errs = append(errs, fmt.Errorf("path %q: want a leading /", cfg.Path))
	}
	if strings.EqualFold(cfg.Protocol, "#{protocol}") && cfg.Host == "#{host}" && cfg.Port == "#{port}" && cfg.Path == "/#{path}" {
		errs = append(errs, errors.New("nothing but the query changes: clients would come back for ever"))
	}
	return r, errors.Join(errs...)
}

// location returns the URL to send the client to. It is an error if the
// request's host, which the client chose, could be read as more than a host.
func (r *redirect) location(old *redirectSource) (string, error) {
	host := r.host.expand(old)
	if !isHostname(host) {
		return "", fmt.Errorf("redirect to host %q: want a name or an address", host)
	}
	location := r.protocol.expand(old) + "://" + host + ":" + r.port.expand(old) + printable(r.path.expand(old))
	if query := r.query.expand(old); query != "" {
		location += "?" + printable(query)
	}
	return location, nil
}

// isHostname says whether s is a registered name without escapes, or an address,
// IPv6 in brackets.
func isHostname(s string) bool {
	if inner, ok := strings.CutPrefix(s, "["); ok {
		s, ok = strings.CutSuffix(inner, "]")
		return ok && s != "" && strings.Trim(s, "0123456789abcdefABCDEF:.") == ""
	}
	for i := range len(s) {
		switch b := s[i]; {
		case 'a' <= b && b <= 'z', 'A' <= b && b <= 'Z', '0' <= b && b <= '9', b == '-', b == '.', b == '_':
		default:
			return false
		}
	}
	return s != ""
}

// printable percent-encodes what may not stand in a URL: no control character,
// white space or quote gets into the header or into a page made of it.
func printable(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7F || strings.IndexByte("\"<>\\^`{|}#", c) >= 0 {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// hostOnly returns a Host header's host, IPv6 in brackets.
func hostOnly(host string) string {
	if hasPort(host) {
		return host[:strings.LastIndexByte(host, ':')]
	}
	return host
}

// hasPort says whether a Host header names a port.
func hasPort(host string) bool {
	i := strings.LastIndexByte(host, ':')
	return i >= 0 && i > strings.LastIndexByte(host, ']')
}
