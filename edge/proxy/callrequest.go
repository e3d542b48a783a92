package proxy

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/sallyport/sallyport/edge/http1"
)

// isGRPC says whether a request is one that a target group of gRPC takes.
func isGRPC(r *http1.Request) bool {
	if r.Major != 2 || r.Method != http.MethodPost {
		return false
	}
	const grpc = "application/grpc"
	types := 0
	for i := range r.Fields {
		f := &r.Fields[i]
		if f.Kind != http1.Other || !http1.EqualFold(f.Name, "content-type") {
			continue
		}
		if types++; len(f.Value) < len(grpc) || !http1.EqualFold(f.Value[:len(grpc)], grpc) {
			return false
		}
		if rest := f.Value[len(grpc):]; rest != "" && rest[0] != '+' && rest[0] != ';' {
			return false
		}
	}
	return types == 1
}

// compose makes the request as a target gets it: the same fields as by HTTP/1.1,
// and nothing that is about a connection (RFC 9113, section 8.2.2).
func (c *call) compose() error {
	x := c.x
	c.path = string(x.req.AppendTarget(nil))
	c.req = (&http.Request{Method: ownMethod(x.req.Method), Host: string(x.appendAuthority(nil))}).WithContext(c.ctx)
	if x.req.Length != 0 {
		early, whole, err := x.side.buffered()
		if err != nil {
			return err
		}
		x.received.Add(int64(len(early)))
		c.early, x.body.pending = early, !whole
		c.req.ContentLength = x.req.Length
		c.announceTrailers()
		if whole {
			c.addTrailers()
		}
	}
	x.out = x.appendFields(x.out[:0], &x.about)
	c.fields = fieldsOf(x.out)
	if expect, ok := c.fields["expect"]; ok {
		delete(c.fields, "expect")
		if c.holds = x.body.pending && len(c.early) == 0; c.holds {
			c.fields["Expect"] = expect // so spelt, net/http waits for the target's word
		}
	}
	if _, ok := c.fields["user-agent"]; !ok {
		c.fields["user-agent"] = nil // or net/http sends its own
	}
	c.req.Header = c.fields
	return nil
}

// ownMethod returns a copy: net/http remembers methods for as long as the
// connection to the target lives, in HPACK's table (RFC 7541, section 2.3.2), and
// the client's buffer is used again.
func ownMethod(method string) string {
	for _, known := range [...]string{http.MethodGet, http.MethodPost, http.MethodHead, http.MethodPut, http.MethodDelete, http.MethodPatch, http.MethodOptions} {
		if method == known {
			return known
		}
	}
	return strings.Clone(method)
}

// aim makes t the target of the request.
func (c *call) aim(t *target) {
	u := &url.URL{Scheme: t.scheme, Host: c.req.Host, Opaque: c.path}
	if strings.HasPrefix(c.path, "//") {
		// net/http would take the first segment for a host; of a whole URL it sends
		// what is behind its host.
		u.Opaque = u.Scheme + "://" + u.Host + c.path
	}
	c.req.URL = u
}

// fieldsOf makes fields of the lines that appendField wrote, whose names it puts
// into lower case, as HTTP/2 has them. Its strings are a copy.
func fieldsOf(lines []byte) map[string][]string {
	n, name := 0, true
	for i, b := range lines {
		switch {
		case b == '\n':
			n, name = n+1, true
		case b == ':':
			name = false
		case name && 'A' <= b && b <= 'Z':
			lines[i] = b | 0x20
		}
	}
	text := string(lines)
	h, values := make(map[string][]string, n+1), make([]string, n)
	for i := 0; text != ""; i++ {
		key, value, rest := cutField(text)
		text = rest
		if earlier, ok := h[key]; ok {
			h[key] = append(earlier, value)
			continue
		}
		values[i] = value
		h[key] = values[i : i+1 : i+1]
	}
	return h
}

// cutField cuts the first of the lines that appendField wrote.
func cutField(lines string) (name, value, rest string) {
	name, rest, _ = strings.Cut(lines, ": ")
	value, rest, _ = strings.Cut(rest, "\r\n")
	return name, value, rest
}

// announceTrailers announces those that the client has announced and that may go
// on. A request that can have none is sent as one.
func (c *call) announceTrailers() {
	x := c.x
	lines := string(x.appendAnnounced(nil))
	if lines == "" && (x.req.Major > 1 || x.req.Length != http1.Unknown) {
		return
	}
	c.req.Trailer = http.Header{}
	for _, list, _ := cutField(lines); list != ""; {
		var name string
		name, list = http1.NextToken(list)
		c.req.Trailer[http.CanonicalHeaderKey(name)] = nil
	}
}

// addTrailers adds the trailers that have come behind the body.
func (c *call) addTrailers() {
	if c.req.Trailer == nil {
		return
	}
	for _, f := range c.x.side.trailers() {
		if c.x.trails(f.Name) {
			name := http.CanonicalHeaderKey(strings.Clone(f.Name))
			c.req.Trailer[name] = append(c.req.Trailer[name], strings.Clone(f.Value))
		}
	}
}
