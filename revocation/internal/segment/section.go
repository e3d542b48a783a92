package segment

import (
	"fmt"
	"hash/crc32"
	"io"
)

const pageSize = 4096

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// body is the filter and the tables while they are written.
type body struct {
	out   io.WriterAt
	front int64    // bytes before the body in out
	align int64    // where sections may start: what it divides
	sums  []uint32 // of the body's pages; nil where none are wanted
	size  int64    // given to sections so far
}

// section returns a section of at most size bytes behind those before.
func (b *body) section(size int64) *section {
	s := &section{body: b, start: b.size, at: b.size, end: b.size + size}
	b.size += roundUp(size, b.align)
	return s
}

// zeroSums makes the checksums of a body of zeros, which is what the file has
// in pages that no section came to write.
func (b *body) zeroSums() {
	zero := crc32.Checksum(make([]byte, pageSize), castagnoli)
	b.sums = make([]uint32, b.size/pageSize)
	for i := range b.sums {
		b.sums[i] = zero
	}
}

// section is a part of the body that is written from its start on.
type section struct {
	body           *body
	start, at, end int64 // in the body; at: up to where it is written
	buf            []byte
	err            error
}

// write adds p; an error is kept for finish.
func (s *section) write(p []byte) {
	if s.buf == nil {
		// Whole pages: a checksum is of one write.
		s.buf = make([]byte, 0, min(roundUp(s.end-s.start, pageSize), 15*pageSize)+pageSize)
	}
	for len(p) > 0 && s.err == nil {
		n := copy(s.buf[len(s.buf):cap(s.buf)], p)
		s.buf, p = s.buf[:len(s.buf)+n], p[n:]
		if len(s.buf) == cap(s.buf) {
			s.flush()
		}
	}
}

func (s *section) flush() {
	if s.at+int64(len(s.buf)) > s.end {
		s.err = fmt.Errorf("section of %d bytes is overfull", s.end-s.start)
		return
	}
	used := int64(len(s.buf))
	if b := s.body; b.sums != nil {
		whole := s.buf[:roundUp(used, pageSize)]
		clear(whole[used:])
		for at := int64(0); at < int64(len(whole)); at += pageSize {
			b.sums[(s.at+at)/pageSize] = crc32.Checksum(whole[at:at+pageSize], castagnoli)
		}
		s.buf = whole
	}
	_, s.err = s.body.out.WriteAt(s.buf, s.body.front+s.at)
	s.at += used
	s.buf = s.buf[:0]
}

// finish writes what is left.
func (s *section) finish() (span, error) {
	if len(s.buf) > 0 && s.err == nil {
		s.flush()
	}
	s.buf = nil
	return span{uint64(s.start), uint64(s.at - s.start)}, s.err
}

// span is where something is in the body, in bytes.
type span struct{ Offset, Length uint64 }

func roundUp(n, to int64) int64 { return (n + to - 1) / to * to }
