package loadtest

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"time"
)

const (
	// readSize is a TLS record's most, so that none takes two reads.
	readSize = 16 << 10
	// maxHead bounds an answer's head and trailers, in bytes.
	maxHead = 256 << 10
)

// response is the answer to one request.
type response struct {
	status    int
	body      int64 // bytes, without chunks' framing
	keepAlive bool  // the connection can be used on
}

// responseReader reads HTTP/1.1 responses (RFC 9112) from one connection after
// another, and throws bodies away. It keeps its buffer, and allocates only for
// errors.
type responseReader struct {
	src        io.Reader
	buf        []byte
	start, end int // of what was read and not used yet
	head       int // bytes of head so far
	// first is when the first byte came that was read since it was last zero.
	first time.Time
}

// reset goes on with another connection.
func (r *responseReader) reset(src io.Reader) {
	if r.buf == nil {
		r.buf = make([]byte, readSize)
	}
	r.src, r.start, r.end = src, 0, 0
}

// read reads one final response with its body; toHEAD says that the request's
// method has none. The errors are faults of kind "bad response", "eof before
// answer" or "short body", or those of the connection.
func (r *responseReader) read(toHEAD bool) (response, error) {
	res, err := r.readFinal(toHEAD)
	if r.start < r.end {
		// More than was asked for must not become the next request's answer (RFC
		// 9112 section 9.2).
		res.keepAlive = false
	}
	return res, err
}

func (r *responseReader) readFinal(toHEAD bool) (response, error) {
	r.head = 0
	for {
		res, length, chunked, err := r.readHead()
		if err != nil {
			return response{}, err
		}
		if res.status < 200 && res.status != 101 { // interim: the answer is yet to come
			continue
		}
		switch {
		case res.status == 101:
			return response{}, faultf("bad response", "status 101 to a request without Upgrade")
		case toHEAD, res.status == 204, res.status == 304:
			return res, nil
		case chunked:
			err = r.chunks(&res)
		case length >= 0:
			res.body, err = r.skip(length)
		default:
			res.keepAlive = false
			err = r.toEnd(&res)
		}
		return res, err
	}
}

// readHead reads status line and headers. length is -1 where none was said.
func (r *responseReader) readHead() (res response, length int64, chunked bool, err error) {
	line, err := r.line()
	if err != nil {
		return res, 0, false, err
	}
	// HTTP-version SP status-code [SP reason-phrase]
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.")) || line[7] != '0' && line[7] != '1' || line[8] != ' ' || len(line) > 12 && line[12] != ' ' {
		return res, 0, false, faultf("bad response", "status line %q", shorten(line))
	}
	for _, c := range line[9:12] {
		if c < '0' || c > '9' {
			return res, 0, false, faultf("bad response", "status line %q", shorten(line))
		}
		res.status = res.status*10 + int(c-'0')
	}
	if res.status < 100 || res.status > 599 {
		return res, 0, false, faultf("bad response", "status line %q", shorten(line))
	}
	res.keepAlive = line[7] == '1'
	length = -1
	for {
		line, err := r.line()
		if err != nil {
			return res, 0, false, err
		}
		if len(line) == 0 {
			return res, length, chunked, nil
		}
		colon := bytes.IndexByte(line, ':')
		if colon <= 0 || line[0] == ' ' || line[0] == '\t' {
			return res, 0, false, faultf("bad response", "header line %q", shorten(line))
		}
		name, value := line[:colon], trim(line[colon+1:])
		switch {
		case isName(name, "content-length"):
			n, ok := decimal(value)
			if !ok || length >= 0 && length != n {
				return res, 0, false, faultf("bad response", "Content-Length %q", shorten(value))
			}
			length = n
		case isName(name, "transfer-encoding"):
			if chunked || !isName(value, "chunked") {
				return res, 0, false, faultf("bad response", "Transfer-Encoding %q", shorten(value))
			}
			chunked = true
		case isName(name, "connection"):
			for rest := value; len(rest) > 0; {
				var option []byte
				option, rest, _ = bytes.Cut(rest, []byte(","))
				if isName(trim(option), "close") {
					res.keepAlive = false
				}
			}
		}
	}
}

// skip reads n bytes of body.
func (r *responseReader) skip(n int64) (int64, error) {
	var done int64
	for done < n {
		if r.start == r.end {
			if err := r.fill(); err != nil {
				return done, shortBody(err, done, n)
			}
		}
		part := min(int64(r.end-r.start), n-done)
		r.start += int(part)
		done += part
	}
	return done, nil
}

// chunks reads a chunked body with its trailers (RFC 9112 section 7.1).
func (r *responseReader) chunks(res *response) error {
	for {
		line, err := r.line()
		if err != nil {
			return shortBody(err, res.body, -1)
		}
		if semicolon := bytes.IndexByte(line, ';'); semicolon >= 0 {
			line = line[:semicolon]
		}
		size, ok := hexadecimal(trim(line))
		if !ok {
			return faultf("bad response", "chunk size %q", shorten(line))
		}
		if size == 0 {
			break
		}
		r.head = 0
		n, err := r.skip(size)
		res.body += n
		if err != nil {
			return err
		}
		if line, err = r.line(); err != nil {
			return shortBody(err, res.body, -1)
		}
		if len(line) > 0 {
			return faultf("bad response", "%q after a chunk", shorten(line))
		}
	}
	for {
		line, err := r.line()
		if err != nil {
			return shortBody(err, res.body, -1)
		}
		if len(line) == 0 {
			return nil
		}
	}
}

// toEnd reads a body that ends with the connection.
func (r *responseReader) toEnd(res *response) error {
	for {
		res.body += int64(r.end - r.start)
		r.start = r.end
		switch err := r.fill(); {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, io.ErrUnexpectedEOF): // within a TLS record
			return faultf("short body", "the connection broke off %d bytes into a body that its end ends", res.body)
		case err != nil:
			return err
		}
	}
}

// line returns the next line without its end, which may be a bare LF (RFC 9112
// section 2.2). It is good until the next call.
func (r *responseReader) line() ([]byte, error) {
	seen := 0
	for {
		if i := bytes.IndexByte(r.buf[r.start+seen:r.end], '\n'); i >= 0 {
			line := r.buf[r.start : r.start+seen+i]
			r.start += seen + i + 1
			r.head += len(line) + 1
			if r.head > maxHead {
				return nil, faultf("bad response", "head of over %d bytes", maxHead)
			}
			if n := len(line); n > 0 && line[n-1] == '\r' {
				line = line[:n-1]
			}
			return line, nil
		}
		seen = r.end - r.start
		if seen == len(r.buf) {
			return nil, faultf("bad response", "line of over %d bytes", len(r.buf))
		}
		if err := r.fill(); errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, &fault{kind: "eof before answer", cause: io.ErrUnexpectedEOF}
		} else if err != nil {
			return nil, err
		}
	}
}

// fill reads more; there must be room or nothing left.
func (r *responseReader) fill() error {
	if r.start > 0 {
		r.end = copy(r.buf, r.buf[r.start:r.end])
		r.start = 0
	}
	for range 100 {
		n, err := r.src.Read(r.buf[r.end:])
		if n > 0 {
			if r.first.IsZero() {
				r.first = time.Now()
			}
			r.end += n
			return nil // the error comes again
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

// shortBody says how much of a body came, where the server left it at that.
func shortBody(err error, got, want int64) error {
	var f *fault
	switch {
	case errors.As(err, &f) && f.kind != "eof before answer":
		return err
	case !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
		return err
	case want < 0:
		return faultf("short body", "the connection ended %d bytes into a chunked body", got)
	}
	return faultf("short body", "the connection ended %d bytes into a body of %d", got, want)
}

// isName compares without regard to case; lower is in lower case.
func isName(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

func trim(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}

// decimal reads up to 18 digits, which no int64 is too small for.
func decimal(b []byte) (n int64, ok bool) {
	if len(b) == 0 || len(b) > 18 {
		return 0, false
	}
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}

func hexadecimal(b []byte) (int64, bool) {
	if len(b) == 0 || len(b) > 15 || b[0] == '+' || b[0] == '-' {
		return 0, false
	}
	n, err := strconv.ParseInt(string(b), 16, 64)
	return n, err == nil
}

// shorten keeps an error readable.
func shorten(b []byte) []byte { return b[:min(len(b), 80)] }
