package http1

// Limits on what is between the data of chunks.
const (
	// MaxTrailer is the size of a trailer section, in bytes.
	MaxTrailer = 4<<10 - 1
	// MaxExtension is the size of one chunk's extensions, which nobody reads.
	MaxExtension = 256
)

// Decoder takes the chunked coding off a body (RFC 9112, section 7.1). The zero
// Decoder waits for the first chunk. It takes only what every reader takes the
// same way: CR LF ends every line, a size is 1 to 15 hexadecimal digits and
// nothing else.
type Decoder struct {
	phase   chunkPhase
	digits  int
	skipped int // bytes of extensions
	left    uint64
	trailer []byte // the section, empty line included
	// Trailers are the fields behind the last chunk, once Done.
	Trailers []Field
}

type chunkPhase uint8

const (
	chunkSize chunkPhase = iota
	chunkExtension
	chunkSizeLF
	chunkData
	chunkDataCR
	chunkDataLF
	chunkTrailer
	chunkDone
	chunkBroken
)

// Done says whether the body has ended.
func (d *Decoder) Done() bool { return d.phase == chunkDone }

// Decode takes coded bytes from src and moves the data in them to its front. It
// returns how much data that is and how many bytes of src were taken: all, unless
// the body ended before. What is wrong comes back as a Finding; what is before it
// is data still.
func (d *Decoder) Decode(src []byte) (data, taken int, found Finding) {
	bad := func() (int, int, Finding) {
		d.phase = chunkBroken
		return data, taken, broken("BadTransferEncoding")
	}
	for taken < len(src) {
		b := src[taken]
		switch d.phase {
		case chunkData:
			n := int(min(uint64(len(src)-taken), d.left))
			copy(src[data:], src[taken:taken+n])
			data += n
			taken += n
			if d.left -= uint64(n); d.left == 0 {
				d.phase = chunkDataCR
			}
			continue
		case chunkSize:
			switch {
			case byteClass[b]&hexDigit != 0:
				if d.digits++; d.digits > 15 {
					return bad()
				}
				d.left = d.left<<4 | uint64(unhex(b))
			case d.digits == 0:
				return bad()
			case b == ';':
				d.phase, d.skipped = chunkExtension, 0
			case b == '\r':
				d.phase = chunkSizeLF
			default:
				return bad()
			}
		case chunkExtension:
			d.skipped++
			switch {
			case b == '\r':
				d.phase = chunkSizeLF
			case d.skipped > MaxExtension || byteClass[b]&valueByte == 0:
				return bad()
			}
		case chunkSizeLF:
			if b != '\n' {
				return bad()
			}
			d.phase = chunkData
			if d.left == 0 {
				d.phase = chunkTrailer
			}
		case chunkDataCR:
			if b != '\r' {
				return bad()
			}
			d.phase = chunkDataLF
		case chunkDataLF:
			if b != '\n' {
				return bad()
			}
			d.phase, d.digits = chunkSize, 0
		case chunkTrailer:
			n, found := d.trail(src[taken:])
			taken += n
			if found.Class != Compliant {
				d.phase = chunkBroken
				return data, taken, found
			}
			continue
		case chunkDone:
			return data, taken, Finding{}
		default:
			return bad()
		}
		taken++
	}
	return data, taken, Finding{}
}

// trail takes bytes of the trailer section and returns how many.
func (d *Decoder) trail(src []byte) (taken int, found Finding) {
	if len(d.trailer) == 0 && src[0] == '\r' && len(src) > 1 && src[1] == '\n' { // none, nearly always
		d.phase = chunkDone
		return 2, Finding{}
	}
	for taken < len(src) {
		b := src[taken]
		d.trailer = append(d.trailer, b)
		taken++
		n := len(d.trailer)
		switch {
		case n > MaxTrailer:
			return taken, broken(ReasonHeadTooLarge)
		case b != '\n':
			continue
		case n == 2 && d.trailer[0] == '\r' || n > 3 && string(d.trailer[n-4:]) == "\r\n\r\n":
		case n < 2 || d.trailer[n-2] != '\r': // a bare LF: parseFields says so
		default:
			continue
		}
		var bad Finding
		if d.Trailers, bad = parseFields(d.Trailers[:0], d.trailer); bad.Class != Compliant {
			return taken, bad
		}
		d.phase = chunkDone
		return taken, Finding{}
	}
	return taken, Finding{}
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

// AppendChunkSize appends the line that begins a chunk of n bytes.
func AppendChunkSize(dst []byte, n int) []byte {
	const hex = "0123456789abcdef"
	shift := 28
	for shift > 0 && n>>shift == 0 {
		shift -= 4
	}
	for ; shift >= 0; shift -= 4 {
		dst = append(dst, hex[n>>shift&15])
	}
	return append(dst, '\r', '\n')
}
