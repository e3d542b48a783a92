package sdk

import (
	"iter"

	"github.com/sallyport/sallyport/sdk/frame"
)

// Request is the request that a hook is asked about, on its Connection. Bodies
// are never sent to plugins.
type Request struct{ Connection }

// Method is the method as it was sent.
func (r Request) Method() string { return r.text(frame.TagMethod) }

// Scheme is "https" or "http".
func (r Request) Scheme() string { return r.text(frame.TagScheme) }

// Host is the host that was asked for, with its port if the client named one.
func (r Request) Host() string { return r.text(frame.TagHost) }

// Path is the path as it was sent, without the query: nothing is decoded, and
// "//" and ".." stand as they are. The target may read it otherwise than the
// plugin does: compare with care.
func (r Request) Path() string { return r.text(frame.TagPath) }

// Query is what follows the first "?" as it was sent.
func (r Request) Query() string { return r.text(frame.TagQuery) }

// Version is the protocol: "HTTP/1.1", "HTTP/2.0".
func (r Request) Version() string { return r.text(frame.TagHTTPVersion) }

// RequestID is the edge's name of the request.
func (r Request) RequestID() string { return r.text(frame.TagRequestID) }

// Header is the first value of the named header, in any case, or empty. Where a
// second one would matter, ask for HeaderValues.
func (r Request) Header(name string) string {
	var first string
	r.header(frame.TagHeader, name, func(value []byte) bool { first = string(value); return false })
	return first
}

// HeaderValues are all values of the named header, in order: one for each line.
func (r Request) HeaderValues(name string) []string {
	var values []string
	r.header(frame.TagHeader, name, func(value []byte) bool { values = append(values, string(value)); return true })
	return values
}

// Headers are all lines of the header, in order, names in lower case. It needs
// AllHeaders.
func (r Request) Headers() iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) { r.headers(frame.TagHeader, yield) }
}

// Response is the response that a hook is asked about, to its Request.
type Response struct{ Request }

// Status is the status code.
func (r Response) Status() int { return int(r.number(frame.TagResponseStatus)) }

// ResponseHeader is the first value of the named header of the response, or empty.
func (r Response) ResponseHeader(name string) string {
	var first string
	r.header(frame.TagResponseHeader, name, func(value []byte) bool { first = string(value); return false })
	return first
}

// ResponseHeaderValues are all values of the named header of the response.
func (r Response) ResponseHeaderValues(name string) []string {
	var values []string
	r.header(frame.TagResponseHeader, name, func(value []byte) bool { values = append(values, string(value)); return true })
	return values
}

// ResponseHeaders are all lines of the response's header, in order, names in lower
// case. It needs AllResponseHeaders.
func (r Response) ResponseHeaders() iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) { r.headers(frame.TagResponseHeader, yield) }
}
