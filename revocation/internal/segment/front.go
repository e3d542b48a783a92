package segment

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
)

// header is what a segment's file begins with.
type header struct {
	Magic             [8]byte
	Version           uint32
	Front             uint32 // bytes before the body: whole pages
	Size              uint64 // of the file
	Key               sipKey
	Entries           uint64 // added
	Packing           packing
	FalsePositiveRate float64
	Pages, Head       uint32 // of the body; bytes of the head
	Filter            span
	Tables            [kinds]tableSpans
}

var magic = [8]byte{'S', 'a', 'l', 'l', 'y', 'S', 'e', 'g'}

// version is that of the file. One that is written otherwise, or that would
// answer otherwise, needs another.
const version = 1

// minFront is enough to learn how long a front is.
const minFront = pageSize

var headerSize = binary.Size(header{})

// frontSize is what the header, the sums of so many pages, the head and the
// front's own checksum take.
func frontSize(pages, head int) int64 {
	return roundUp(int64(headerSize)+4*int64(pages)+int64(head)+crc32.Size, pageSize)
}

// front completes the header and returns the whole front.
func (h *header) front(sums []uint32, head []byte) []byte {
	size := frontSize(len(sums), len(head))
	h.Magic, h.Version, h.Front = magic, version, uint32(size)
	h.Pages, h.Head = uint32(len(sums)), uint32(len(head))

	front := make([]byte, size)
	h.encode(front)
	rest := front[headerSize:]
	for i, sum := range sums {
		binary.LittleEndian.PutUint32(rest[4*i:], sum)
	}
	copy(rest[4*len(sums):], head)
	return seal(front)
}

// encode writes the header over the start of a front.
func (h *header) encode(front []byte) {
	if _, err := binary.Encode(front, binary.LittleEndian, h); err != nil {
		panic(err) // a header is of fixed size, and a front larger
	}
}

// seal puts the checksum at the end of a front.
func seal(front []byte) []byte {
	end := len(front) - crc32.Size
	binary.LittleEndian.PutUint32(front[end:], crc32.Checksum(front[:end], castagnoli))
	return front
}

// frontLength returns how long the front is that begins with these bytes, in
// a file of that size.
func frontLength(start []byte, size int64) (int64, error) {
	if len(start) < minFront {
		return 0, fmt.Errorf("%d bytes: want %d at least", len(start), minFront)
	}
	if [8]byte(start) != magic {
		return 0, fmt.Errorf("begins with %q: want %q", start[:8], magic[:])
	}
	if v := binary.LittleEndian.Uint32(start[8:]); v != version {
		return 0, fmt.Errorf("version %d: want %d", v, version)
	}
	length := int64(binary.LittleEndian.Uint32(start[12:]))
	if length == 0 || length%pageSize != 0 || length > size {
		return 0, fmt.Errorf("front of %d bytes in a file of %d", length, size)
	}
	return length, nil
}

// parseFront takes a whole front of a file of that size apart.
func parseFront(front []byte, size int64) (h *header, sums []uint32, head []byte, err error) {
	end := len(front) - crc32.Size
	if got, want := crc32.Checksum(front[:end], castagnoli), binary.LittleEndian.Uint32(front[end:]); got != want {
		return nil, nil, nil, fmt.Errorf("front has checksum %08x: want %08x", got, want)
	}
	h = new(header)
	if _, err := binary.Decode(front, binary.LittleEndian, h); err != nil {
		return nil, nil, nil, fmt.Errorf("header: %w", err)
	}
	if err := h.validate(size); err != nil {
		return nil, nil, nil, err
	}
	rest := front[headerSize:]
	sums = make([]uint32, h.Pages)
	for i := range sums {
		sums[i] = binary.LittleEndian.Uint32(rest[4*i:])
	}
	rest = rest[4*len(sums):]
	return h, sums, append([]byte(nil), rest[:h.Head]...), nil
}

// validate checks that the header is of a file of that size, and that each part
// is where a search may look for it.
func (h *header) validate(size int64) error {
	if h.Size != uint64(size) {
		return fmt.Errorf("file of %d bytes: want %d", size, h.Size)
	}
	body := size - int64(h.Front)
	switch {
	case size > math.MaxInt:
		return fmt.Errorf("file of %d bytes: more than this machine can map", size)
	case body%pageSize != 0 || body/pageSize != int64(h.Pages):
		return fmt.Errorf("checksums of %d pages for %d bytes", h.Pages, body)
	case int64(h.Front) != frontSize(int(h.Pages), int(h.Head)):
		return fmt.Errorf("front of %d bytes for %d pages and a head of %d", h.Front, h.Pages, h.Head)
	case h.Entries > math.MaxUint32:
		return fmt.Errorf("%d entries: want %d at most", h.Entries, uint32(math.MaxUint32))
	case h.Packing.Days > 1:
		return fmt.Errorf("times in form %d: want 0 or 1", h.Packing.Days)
	case h.Packing.Latest > maxAt/secondsDay || h.Packing.Latest < -maxAt/secondsDay-1:
		return fmt.Errorf("times up to day %d", h.Packing.Latest)
	case !(h.FalsePositiveRate >= 0 && h.FalsePositiveRate <= 1):
		return fmt.Errorf("false positive rate %v: want 0 to 1", h.FalsePositiveRate)
	case h.Filter.Length == 0 || h.Filter.Length%blockSize != 0 || h.Filter.Offset%blockSize != 0 || !h.Filter.in(body):
		return fmt.Errorf("filter of %d bytes at %d of %d", h.Filter.Length, h.Filter.Offset, body)
	}
	for k, t := range h.Tables {
		stride := uint64(widths[k] + h.Packing.width())
		switch {
		case t == tableSpans{}:
		case t.Directory.Length < 8 || t.Directory.Length%4 != 0 || !t.Directory.in(body):
			return fmt.Errorf("directory of %d bytes at %d of %d", t.Directory.Length, t.Directory.Offset, body)
		case t.Rows.Length%stride != 0 || t.Rows.Length/stride > math.MaxUint32 || !t.Rows.in(body):
			return fmt.Errorf("rows of %d bytes at %d of %d", t.Rows.Length, t.Rows.Offset, body)
		case !t.Data.in(body):
			return fmt.Errorf("serials of %d bytes at %d of %d", t.Data.Length, t.Data.Offset, body)
		}
	}
	return nil
}

func (s span) in(body int64) bool {
	return s.Offset <= uint64(body) && s.Length <= uint64(body)-s.Offset
}
