package proxy

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
