package proxy

import (
	"strings"
)

// framing reads the bytes of an HTTP/1.1 connection for one thing: where each
// request ends. It takes only what every reader of RFC 9112 takes the same way,
// so that no byte of one request can pass for another's, neither for net/http,
// which reads the same bytes after it, nor for a target. The zero framing waits
// for a request.
type framing struct {
	phase framingPhase

	head     int // bytes of the head, or of the trailer section, so far
	line     lineKind
	name     [len("transfer-encoding")]byte // of the field, in lower case
	nameLen  int
	value    [24]byte // of a field that frames, or the version
	valueLen int
	escape   int  // hex digits of a %XX still to come; -1 before the target's first byte
	query    bool // past the target's ?

	version10 bool
	lengths   int
	codings   int
	hosts     int

	left   uint64 // of the body, or of the chunk
	digits int    // of the chunk's size
}

type framingPhase uint8

const (
	atMethod framingPhase = iota // zero: before or in the method
	atTarget
	atVersion
	atLineStart // of a field line, or the empty line
	atFieldName
	atFieldValue
	atLineEnd // CR seen
	atHeadEnd // CR of the empty line seen
	inBody    // counted by Content-Length
	atChunkSize
	atChunkExtension
	atChunkSizeEnd
	inChunk
	atChunkEnd
	atChunkEndLF
)

// lineKind is what the field line being read is.
type lineKind uint8

const (
	requestLine lineKind = iota
	otherField
	contentLength
	transferEncoding
	host
	trailerField
)

// framingError is why a request is not taken, in ALB's words for it
// (classification_reason).
type framingError struct {
	reason string
	head   bool // found in the head: there is no request yet that could be answered
}

func (e *framingError) Error() string { return "refuse malformed request: " + e.reason }

const (
	// maxTrailerBytes is one less than what makes net/http give up by itself.
	maxTrailerBytes = 4<<10 - 1
	// maxExtensionBytes of one chunk's extensions, which nobody reads.
	maxExtensionBytes = 256
)

// between says whether the bytes so far end with a whole request: at most a part
// of the next one's head was read.
func (f *framing) between() bool { return f.phase < inBody && f.line != trailerField }

// untouched says whether nothing of the next request was read.
func (f *framing) untouched() bool { return f.phase == atMethod && f.head == 0 }

// advance reads p up to the end of a request and returns how many bytes that
// were. With an error, they are those before the byte that is wrong.
func (f *framing) advance(p []byte) (n int, err *framingError) {
	for n < len(p) {
		switch f.phase {
		case inBody, inChunk:
			take := min(uint64(len(p)-n), f.left)
			f.left -= take
			n += int(take)
			if f.left > 0 {
				continue
			}
			if f.phase == inBody {
				*f = framing{}
				return n, nil
			}
			f.phase = atChunkEnd
			continue
		}
		ended, why := f.step(p[n])
		if why != "" {
			return n, &framingError{reason: why, head: f.phase < inBody && f.line != trailerField}
		}
		n++
		if ended {
			*f = framing{}
			return n, nil
		}
	}
	return n, nil
}

// step takes one byte outside of a body's data. It says whether the request ends
// with it, or what is wrong with it.
func (f *framing) step(b byte) (ended bool, wrong string) {
	if f.phase < inBody {
		f.head++
		if f.line == trailerField && f.head > maxTrailerBytes || f.head > maxHeadBytes {
			return false, "HeadTooLarge"
		}
	}
	switch f.phase {
	case atMethod:
		if b == ' ' && f.head > 1 {
			f.phase, f.escape = atTarget, -1
		} else if !isToken(b) {
			return false, "BadMethod"
		}
	case atTarget:
		return false, f.targetByte(b)
	case atVersion:
		if b == '\r' {
			return false, f.versionEnd()
		}
		return false, f.keep(b, "BadVersion")
	case atLineStart:
		switch {
		case b == '\r':
			f.phase = atHeadEnd
		case b == ':':
			return false, "EmptyHeader"
		case !isToken(b): // white space too: line folding is no more
			return false, "NonCompliantHeader"
		default:
			f.phase, f.nameLen, f.valueLen = atFieldName, 0, 0
			f.nameByte(b)
		}
	case atFieldName:
		switch {
		case b == ':':
			f.phase = atFieldValue
			f.classify()
		case !isToken(b):
			return false, "NonCompliantHeader"
		default:
			f.nameByte(b)
		}
	case atFieldValue:
		return false, f.valueByte(b)
	case atLineEnd:
		if b != '\n' {
			return false, "BadHeader"
		}
		f.phase = atLineStart
		return false, f.fieldEnd()
	case atHeadEnd:
		if b != '\n' {
			return false, "BadHeader"
		}
		if f.line == trailerField {
			return true, ""
		}
		return f.headEnd()
	default:
		return false, f.chunkByte(b)
	}
	return false, ""
}

func (f *framing) targetByte(b byte) string {
	switch {
	case b == ' ':
		if f.escape == -1 || f.escape > 0 {
			return "BadUri"
		}
		f.phase = atVersion
		return ""
	case b <= ' ' || b == 0x7F:
		return "BadUri"
	case f.escape == -1: // the first byte
		f.escape = 0
	}
	switch {
	case f.query:
	case f.escape > 0:
		if !isHex(b) {
			return "AmbiguousUri"
		}
		f.escape--
	case b == '%':
		f.escape = 2
	case b == '?':
		f.query = true
	}
	return ""
}

func (f *framing) versionEnd() string {
	switch string(f.value[:f.valueLen]) {
	case "HTTP/1.1":
	case "HTTP/1.0":
		f.version10 = true
	default:
		return "BadVersion"
	}
	f.phase = atLineEnd
	return ""
}

func (f *framing) nameByte(b byte) {
	if f.nameLen < len(f.name) {
		if 'A' <= b && b <= 'Z' {
			b += 'a' - 'A'
		}
		f.name[f.nameLen] = b
	}
	f.nameLen++
}

func (f *framing) classify() {
	if f.line == trailerField {
		return
	}
	f.line = otherField
	if f.nameLen > len(f.name) {
		return
	}
	switch string(f.name[:f.nameLen]) {
	case "content-length":
		f.line = contentLength
	case "transfer-encoding":
		f.line = transferEncoding
	case "host":
		f.line = host
	}
}

func (f *framing) valueByte(b byte) string {
	switch {
	case b == '\r':
		f.phase = atLineEnd
		return ""
	case b < ' ' && b != '\t' || b == 0x7F:
		return "BadHeader"
	}
	switch f.line {
	case contentLength:
		return f.keep(b, "BadContentLength")
	case transferEncoding:
		return f.keep(b, "BadTransferEncoding")
	case host:
		if !isHostByte(b) && b != ' ' && b != '\t' {
			return "BadHeader"
		}
	}
	return ""
}

// keep notes a byte of a value that has to be read; white space before it is
// none of it.
func (f *framing) keep(b byte, wrong string) string {
	if f.valueLen == 0 && (b == ' ' || b == '\t') && f.phase == atFieldValue {
		return ""
	}
	if f.valueLen == len(f.value) {
		return wrong
	}
	f.value[f.valueLen] = b
	f.valueLen++
	return ""
}

// fieldEnd judges a field line that frames the request.
func (f *framing) fieldEnd() string {
	value := strings.TrimRight(string(f.value[:f.valueLen]), " \t")
	switch f.line {
	case contentLength:
		if value == "" || len(value) > 18 {
			return "BadContentLength"
		}
		var length uint64
		for i := range len(value) {
			if value[i] < '0' || value[i] > '9' {
				return "BadContentLength"
			}
			length = length*10 + uint64(value[i]-'0')
		}
		if f.lengths++; f.lengths > 1 {
			if length == f.left {
				return "DuplicateContentLength"
			}
			return "MultipleContentLength"
		}
		f.left = length
	case transferEncoding:
		if f.codings++; f.codings > 1 {
			return "MultipleTransferEncodingChunked"
		}
		if !strings.EqualFold(value, "chunked") {
			return "BadTransferEncoding"
		}
	case host:
		if f.hosts++; f.hosts > 1 {
			return "BadHeader"
		}
	}
	return ""
}

// headEnd judges the head as a whole and says what follows it.
func (f *framing) headEnd() (ended bool, wrong string) {
	switch {
	case f.codings > 0 && f.lengths > 0:
		return false, "BothTeClPresent"
	case f.codings > 0 && f.version10:
		return false, "UndefinedTransferEncodingSemantics"
	case f.hosts == 0 && !f.version10:
		return false, "BadHeader"
	case f.codings > 0:
		f.phase, f.left, f.digits = atChunkSize, 0, 0
		return false, ""
	case f.left > 0:
		f.phase = inBody
		return false, ""
	}
	return true, ""
}

// chunkByte takes a byte of what is between the data of chunks (RFC 9112,
// section 7.1).
func (f *framing) chunkByte(b byte) string {
	const wrong = "BadTransferEncoding"
	switch f.phase {
	case atChunkSize:
		switch {
		case isHex(b):
			if f.digits++; f.digits > 15 {
				return wrong
			}
			f.left = f.left<<4 | uint64(unhex(b))
			return ""
		case f.digits == 0:
			return wrong
		case b == ';':
			f.phase, f.head = atChunkExtension, 0
		case b == '\r':
			f.phase = atChunkSizeEnd
		default:
			return wrong
		}
	case atChunkExtension:
		f.head++
		switch {
		case b == '\r':
			f.phase = atChunkSizeEnd
		case f.head > maxExtensionBytes, b < ' ' && b != '\t', b == 0x7F:
			return wrong
		}
	case atChunkSizeEnd:
		if b != '\n' {
			return wrong
		}
		f.phase = inChunk
		if f.left == 0 {
			f.phase, f.line, f.head = atLineStart, trailerField, 0
		}
	case atChunkEnd:
		if b != '\r' {
			return wrong
		}
		f.phase = atChunkEndLF
	case atChunkEndLF:
		if b != '\n' {
			return wrong
		}
		f.phase, f.left, f.digits = atChunkSize, 0, 0
	}
	return ""
}

func isHex(b byte) bool {
	return '0' <= b && b <= '9' || 'a' <= b && b <= 'f' || 'A' <= b && b <= 'F'
}

func unhex(b byte) byte {
	switch {
	case b <= '9':
		return b - '0'
	case b <= 'F':
		return b - 'A' + 10
	}
	return b - 'a' + 10
}

// isToken: RFC 9110, section 5.6.2.
func isToken(b byte) bool {
	return 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9' || strings.IndexByte("!#$%&'*+-.^_`|~", b) >= 0
}

// isHostByte: RFC 3986, section 3.2.2, without user information.
func isHostByte(b byte) bool {
	return 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9' || strings.IndexByte("-._~%!$&'()*+,;=:[]", b) >= 0
}
