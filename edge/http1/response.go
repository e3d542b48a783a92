package http1

import "errors"

// Response is the head of a response. Its strings are the bytes it was read from,
// as a Request's are.
type Response struct {
	Status int
	Reason string // the phrase, possibly empty
	Minor  uint8
	Close  bool // the connection does not go on after it
	// Fields are those that go on; Content-Length is none of them, and
	// Connection and its like are there to be left out. Nor are fields under
	// names that look like those that frame.
	Fields []Field
	// Length is that of the body as announced: Unknown for chunks and for one
	// that the connection's end ends, and None where nothing is said.
	Length int64
	// Chunked says which of the two Unknown is.
	Chunked bool

	room [24]Field
}

// None is the Length of a response that says nothing of one and has no body: one
// to HEAD, or a 1xx, 204 or 304.
const None = -2

// Why a response is not passed on (RFC 9112, section 4 and 6).
var (
	errStatusLine = errors.New("read response: malformed status line")
	errFields     = errors.New("read response: malformed header")
	errLength     = errors.New("read response: malformed or repeated Content-Length")
	errCoding     = errors.New("read response: Transfer-Encoding other than chunked")
	errInterim    = errors.New("read response: a 1xx response with a body")
	errBoth       = errors.New("read response: both Transfer-Encoding and Content-Length")
)

// HasBody says whether a response to method with this status can have a body
// (RFC 9112, section 6.3).
func HasBody(method string, status int) bool {
	return method != "HEAD" && status >= 200 && status != 204 && status != 304
}

// Parse reads a head, which Scanner has found the end of, in place. An answer
// that could be taken for another, or for two, is an error.
func (r *Response) Parse(head []byte, method string) error {
	line, rest, ok := cutLine(head)
	if !ok || len(line) < len("HTTP/1.1 200") || string(line[:7]) != "HTTP/1." || line[7] != '0' && line[7] != '1' || line[8] != ' ' {
		return errStatusLine
	}
	r.Minor = line[7] - '0'
	r.Status, r.Length = 0, 0
	for _, b := range line[9:12] {
		if b < '0' || b > '9' {
			return errStatusLine
		}
		r.Status = 10*r.Status + int(b-'0')
	}
	if r.Status < 100 {
		return errStatusLine
	}
	r.Reason = ""
	if len(line) > 12 {
		if line[12] != ' ' || !all(line[13:], valueByte) {
			return errStatusLine
		}
		r.Reason = text(line[13:])
	}
	if cap(r.Fields) == 0 {
		r.Fields = r.room[:0]
	}
	fields, bad := parseFields(r.Fields[:0], rest)
	if r.Fields = fields; bad.Class != Compliant {
		return errFields
	}
	return r.frame(method)
}

func (r *Response) frame(method string) error {
	r.Close = r.Minor == 0
	r.Chunked = false
	lengths, codings := 0, 0
	kept := r.Fields[:0]
	for _, f := range r.Fields {
		switch f.Kind {
		case ContentLength:
			length, ok := parseLength(f.Value)
			if lengths++; !ok || lengths > 1 {
				return errLength
			}
			r.Length = length
			continue
		case TransferEncoding:
			if codings++; codings > 1 || r.Minor == 0 || !equalFold(f.Value, "chunked") {
				return errCoding
			}
			continue
		case Connection:
			if HasToken(f.Value, "close") {
				r.Close = true
			} else if r.Minor == 0 && HasToken(f.Value, "keep-alive") {
				r.Close = false
			}
		case Other:
			if LooksFraming(f.Name) {
				continue
			}
		}
		kept = append(kept, f)
	}
	r.Fields = kept
	if codings > 0 && lengths > 0 {
		return errBoth
	}
	switch {
	case r.Status < 200 && (codings > 0 || r.Length > 0):
		return errInterim // what follows would be taken for the next response
	case !HasBody(method, r.Status):
		if r.Status == 204 && (codings > 0 || r.Length > 0) {
			r.Close = true // the target may send the body that it announces
		}
		if lengths == 0 || r.Status < 200 || r.Status == 204 {
			r.Length = None
		}
	case codings > 0:
		r.Length, r.Chunked = Unknown, true
	case lengths == 0:
		r.Length, r.Close = Unknown, true
	}
	return nil
}
