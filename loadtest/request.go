package loadtest

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
)

// filler is what bodies are made of: it does not compress to nothing, and shows
// in a capture where it is.
var filler = func() []byte {
	b := make([]byte, 64<<10)
	for i := range b {
		b[i] = byte('!' + (i*7+i>>8)%94)
	}
	return b
}()

// withHead is how much of a body is sent in one write with the head.
const withHead = 8 << 10

// request is what every unit sends, in the form that each protocol takes. It is
// not changed once made.
type request struct {
	method string
	body   int64 // bytes

	head []byte // HTTP/1.1: head, and body of up to withHead
	rest int64  // bytes of body after that

	template *http.Request // HTTP/2
}

func newRequest(p Plan) (*request, error) {
	u, err := url.Parse(p.Target)
	if err != nil {
		return nil, fmt.Errorf("parse target: %w", err)
	}
	host, agent := u.Host, "sallyload"
	header := http.Header{}
	var own bytes.Buffer
	for _, name := range sortedKeys(p.Headers) {
		value := p.Headers[name]
		switch strings.ToLower(name) {
		case "host":
			host = value
		case "user-agent":
			agent = value
		default:
			fmt.Fprintf(&own, "%s: %s\r\n", name, value)
			header[http.CanonicalHeaderKey(name)] = append(header[http.CanonicalHeaderKey(name)], value)
		}
	}
	header.Set("User-Agent", agent)
	r := &request{method: p.Method, body: p.BodySize}

	var head bytes.Buffer
	fmt.Fprintf(&head, "%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: %s\r\n", p.Method, u.RequestURI(), host, agent)
	head.Write(own.Bytes())
	if p.BodySize > 0 || p.Method == http.MethodPost || p.Method == http.MethodPut || p.Method == http.MethodPatch {
		fmt.Fprintf(&head, "Content-Length: %d\r\n", p.BodySize)
	}
	head.WriteString("\r\n")
	if p.BodySize <= withHead {
		head.Write(filler[:p.BodySize])
	} else {
		r.rest = p.BodySize
	}
	r.head = head.Bytes()

	r.template = &http.Request{
		Method: p.Method, URL: u, Host: host, Header: header,
		Proto: "HTTP/2.0", ProtoMajor: 2, ContentLength: p.BodySize,
	}
	return r, nil
}

// write sends the request as HTTP/1.1, and returns how many bytes of body went.
func (r *request) write(w io.Writer) (int64, error) {
	if _, err := w.Write(r.head); err != nil {
		return 0, err
	}
	sent := r.body - r.rest
	for sent < r.body {
		n, err := w.Write(filler[:min(int64(len(filler)), r.body-sent)])
		sent += int64(n)
		if err != nil {
			return sent, err
		}
	}
	return sent, nil
}

// fillerReader reads n bytes of filler. What it has given can be asked for while
// it is read.
type fillerReader struct {
	size int64
	left atomic.Int64
}

func newFillerReader(n int64) *fillerReader {
	f := &fillerReader{size: n}
	f.left.Store(n)
	return f
}

func (f *fillerReader) Read(b []byte) (int, error) {
	left := f.left.Load()
	if left == 0 {
		return 0, io.EOF
	}
	n := copy(b[:min(int64(len(b)), left)], filler[(f.size-left)%int64(len(filler)):])
	f.left.Store(left - int64(n))
	return n, nil
}

func (f *fillerReader) Close() error { return nil }

func (f *fillerReader) taken() int64 { return f.size - f.left.Load() }
