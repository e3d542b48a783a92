package plugintest

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"github.com/sallyport/sallyport/edge/http1"
	"github.com/sallyport/sallyport/edge/pluginhost"
)

// subject is a case as the host asks about it. It may be asked about many times,
// by one goroutine at a time.
type subject struct {
	hook       string
	connection *pluginhost.Connection
	request    pluginhost.Request
	response   http1.Response
}

func (c *Case) subject(dir string) (*subject, error) {
	s := &subject{hook: c.Hook}
	var err error
	if s.connection, err = c.Connection.host(); err != nil {
		return nil, err
	}
	if s.connection.Chain, err = c.Cert.chain(dir); err != nil {
		return nil, err
	}
	if len(s.connection.Chain) > 0 {
		s.connection.NotAfter = s.connection.Chain[0].NotAfter
	}
	r := c.Request
	if r == nil {
		r = &Request{}
	}
	if s.request, err = r.host(); err != nil {
		return nil, err
	}
	if c.Response != nil {
		s.response.Fields = fieldsOf(c.Response.Headers)
		s.response.Status = c.Response.Status
	}
	s.response.Status = cmp.Or(s.response.Status, 200)
	return s, nil
}

func (c *Connection) host() (*pluginhost.Connection, error) {
	client, err := netip.ParseAddr(cmp.Or(c.ClientIP, "192.0.2.1"))
	if err != nil {
		return nil, fmt.Errorf("connection.client_ip: %w", err)
	}
	return &pluginhost.Connection{
		ID:          "TID_0123456789abcdef0123456789abcdef",
		Client:      netip.AddrPortFrom(client, cmp.Or(c.ClientPort, 50000)),
		Server:      netip.AddrPortFrom(netip.MustParseAddr("192.0.2.254"), cmp.Or(c.ServerPort, 443)),
		Listener:    cmp.Or(c.Listener, "public"),
		ServerName:  cmp.Or(c.ServerName, "api.example.com"),
		ALPN:        cmp.Or(c.ALPN, "http/1.1"),
		TLSVersion:  cmp.Or(c.TLSVersion, "TLSv1.3"),
		CipherSuite: cmp.Or(c.CipherSuite, "TLS_AES_128_GCM_SHA256"),
		JA4:         cmp.Or(c.JA4, "t13d1516h2_8daaf6152771_b0da82dd1658"),
		Resumed:     c.Resumed,
	}, nil
}

// everyField passes all of the client's fields.
type everyField struct{}

func (everyField) Passes(*http1.Field) bool { return true }

// requestID names the request.
type requestID struct{}

func (requestID) TraceID() string { return "Root=1-67891233-abcdef012345678912345678" }

func (r *Request) host() (pluginhost.Request, error) {
	head := &http1.Request{
		Method: cmp.Or(r.Method, "GET"), Path: cmp.Or(r.Path, "/"), Query: r.Query, Host: cmp.Or(r.Host, "api.example.com"),
		Major: 1, Minor: 1, Fields: fieldsOf(r.Headers),
	}
	switch r.Version {
	case "", "HTTP/1.1":
	case "HTTP/1.0":
		head.Minor = 0
	case "HTTP/2.0":
		head.Major, head.Minor = 2, 0
	default:
		return pluginhost.Request{}, fmt.Errorf("request.version: %q: want HTTP/1.0, HTTP/1.1 or HTTP/2.0", r.Version)
	}
	if r.Scheme != "" && r.Scheme != "http" && r.Scheme != "https" {
		return pluginhost.Request{}, fmt.Errorf("request.scheme: %q: want http or https", r.Scheme)
	}
	return pluginhost.Request{Head: head, Secure: r.Scheme != "http", Passed: everyField{}, ID: requestID{}}, nil
}

func fieldsOf(headers map[string]Values) []http1.Field {
	var fields []http1.Field
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		for _, value := range headers[name] {
			fields = append(fields, http1.Field{Name: name, Value: value, Kind: http1.KindOf(name)})
		}
	}
	return fields
}

// ask asks a chain about the case.
func (s *subject) ask(chain *pluginhost.Chain, d *pluginhost.Decision) {
	switch s.hook {
	case "connection":
		chain.Connection(s.connection, d)
	case "request":
		s.request.Edits = nil
		chain.Request(s.connection, &s.request, nil, d)
	default:
		chain.Response(s.connection, &s.request, &s.response, d)
	}
}
