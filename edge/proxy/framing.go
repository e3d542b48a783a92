package proxy

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
