package proxy

import "strings"

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

// isToken: RFC 9110, section 5.6.2.
func isToken(b byte) bool {
	return 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9' || strings.IndexByte("!#$%&'*+-.^_`|~", b) >= 0
}

// isHostByte: RFC 3986, section 3.2.2, without user information.
func isHostByte(b byte) bool {
	return 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9' || strings.IndexByte("-._~%!$&'()*+,;=:[]", b) >= 0
}
