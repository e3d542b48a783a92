package proxy

import "encoding/binary"

// Frames of HTTP/2 (RFC 9113, section 4.1), as far as they are looked at on their
// way: net/http reads and writes them.
const (
	frameHeader = 9 // bytes: length, type, flags, stream

	dataFrame    = 0x00
	headersFrame = 0x01
	pingFrame    = 0x06
	goAwayFrame  = 0x07

	endStream = 0x01 // a flag of DATA and HEADERS
	padded    = 0x08 // likewise: the payload begins with the length of its padding
)

// frameReader goes along the frames of one direction of a connection. Its methods are
// for one goroutine at a time.
type frameReader struct {
	head  [frameHeader]byte // of the frame that comes, n bytes of it
	n     int
	rest  int // bytes of the frame's payload that are yet to come
	skip  int // bytes in front of the first frame
	begun bool
	pads  bool // the byte that comes is the length of the frame's padding
}

// follow goes along p, and calls each for every frame whose head ends in it; of DATA
// with padding, once it is known how much of its length that is. The length that
// each gets is without.
func (f *frameReader) follow(p []byte, each func(kind, flags byte, length int)) {
	if f.skip > 0 {
		n := min(f.skip, len(p))
		f.skip -= n
		p = p[n:]
	}
	for len(p) > 0 {
		if f.pads {
			f.pads = false
			each(f.head[3], f.head[4], max(0, f.rest-1-int(p[0])))
		}
		if f.rest > 0 {
			n := min(f.rest, len(p))
			f.rest -= n
			p = p[n:]
			continue
		}
		n := copy(f.head[f.n:], p)
		f.n += n
		p = p[n:]
		if f.n < frameHeader {
			return
		}
		f.n, f.begun = 0, true
		f.rest = int(f.head[0])<<16 | int(f.head[1])<<8 | int(f.head[2])
		if f.pads = f.head[3] == dataFrame && f.head[4]&padded != 0 && f.rest > 0; !f.pads {
			each(f.head[3], f.head[4], f.rest)
		}
	}
}

// stream is that of the frame whose head came last.
func (f *frameReader) stream() uint32 {
	return binary.BigEndian.Uint32(f.head[5:]) & (1<<31 - 1)
}

// between says whether no frame is under way, after a first one.
func (f *frameReader) between() bool { return f.begun && f.n == 0 && f.rest == 0 }
