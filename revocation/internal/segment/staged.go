package segment

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"
)

const (
	// parts is how many parts entries wait in, split by the high bits of their
	// hashes so that each part is built by itself, one after another.
	parts     = 256
	partShift = 64 - 8

	// spreadAt is the octets of entries up to which there is one part only: of
	// small lists there may be thousands.
	spreadAt = 256 << 10

	// chunkSize is what a part holds in memory before it is put aside.
	chunkSize = 16 << 10
)

// staged is the entries of a Builder that wait to be built.
type staged struct {
	dir    string // "": all waits in memory
	single []byte // before they are spread
	parts  []part // then
	file   *os.File
	size   int64 // of the file
	record []byte
}

// part is the entries of one range of hashes, in the order they came.
type part struct {
	chunks []chunk
	tail   []byte
}

// chunk is chunkSize octets of a part. Where it ends need not be where an entry
// does.
type chunk struct {
	memory []byte // nil: in the file
	offset int64
	sum    uint32 // in the file
}

func (st *staged) add(key sipKey, serial []byte, e Entry) error {
	if st.parts == nil {
		st.single = appendRecord(st.single, serial, e)
		if len(st.single) < spreadAt {
			return nil
		}
		return st.spread(key)
	}
	st.record = appendRecord(st.record[:0], serial, e)
	return st.put(&st.parts[key.hash(serial)>>partShift])
}

// spread moves all entries to their parts.
func (st *staged) spread(key sipKey) error {
	st.parts = make([]part, parts)
	rest := st.single
	st.single = nil
	for len(rest) > 0 {
		serial, _, n := readRecord(rest)
		st.record = append(st.record[:0], rest[:n]...)
		if err := st.put(&st.parts[key.hash(serial)>>partShift]); err != nil {
			return err
		}
		rest = rest[n:]
	}
	return nil
}

// put adds the record to p.
func (st *staged) put(p *part) error {
	if p.tail == nil {
		p.tail = make([]byte, 0, chunkSize)
	}
	for rest := st.record; len(rest) > 0; {
		n := copy(p.tail[len(p.tail):chunkSize], rest)
		p.tail, rest = p.tail[:len(p.tail)+n], rest[n:]
		if len(p.tail) < chunkSize {
			continue
		}
		if st.dir == "" {
			p.chunks = append(p.chunks, chunk{memory: p.tail})
			p.tail = make([]byte, 0, chunkSize)
			continue
		}
		if err := st.spill(p); err != nil {
			return err
		}
	}
	return nil
}

// spill puts the tail of p into the file.
func (st *staged) spill(p *part) error {
	if st.file == nil {
		d, err := openDir(st.dir)
		if err != nil {
			return err
		}
		defer d.close()
		if st.file, err = d.nameless(); err != nil {
			return err
		}
	}
	if _, err := st.file.WriteAt(p.tail, st.size); err != nil {
		return err
	}
	p.chunks = append(p.chunks, chunk{offset: st.size, sum: crc32.Checksum(p.tail, castagnoli)})
	st.size += chunkSize
	p.tail = p.tail[:0]
	return nil
}

// count is how many parts there are to read.
func (st *staged) count() int { return max(1, len(st.parts)) }

// read yields the entries of the n-th part in the order they came, and frees
// them. The serial is valid until yield returns.
func (st *staged) read(n int, yield func(serial []byte, e Entry) error) error {
	if st.parts == nil {
		rest, err := yieldRecords(st.single, yield)
		st.single = nil
		return complete(rest, err)
	}
	p := &st.parts[n]
	var pending []byte
	for i := range p.chunks {
		octets := p.chunks[i].memory
		p.chunks[i].memory = nil
		if octets == nil {
			octets = st.record[:0]
			octets = append(octets, make([]byte, chunkSize)...)
			st.record = octets
			if _, err := st.file.ReadAt(octets, p.chunks[i].offset); err != nil {
				return err
			}
			if crc32.Checksum(octets, castagnoli) != p.chunks[i].sum {
				return fmt.Errorf("read staged entries: %s does not hold what was written to it", st.file.Name())
			}
		}
		pending = append(pending, octets...)
		rest, err := yieldRecords(pending, yield)
		if err != nil {
			return err
		}
		pending = pending[:copy(pending, rest)]
	}
	rest, err := yieldRecords(append(pending, p.tail...), yield)
	*p = part{}
	return complete(rest, err)
}

func complete(rest []byte, err error) error {
	if err == nil && len(rest) > 0 {
		return fmt.Errorf("read staged entries: the last one breaks off after %d octets", len(rest))
	}
	return err
}

func yieldRecords(p []byte, yield func(serial []byte, e Entry) error) (rest []byte, err error) {
	for {
		serial, e, n := readRecord(p)
		if n == 0 {
			return p, nil
		}
		if err := yield(serial, e); err != nil {
			return nil, err
		}
		p = p[n:]
	}
}

// free gives back memory and file. The file had no name: closing removes it.
func (st *staged) free() {
	if st.file != nil {
		st.file.Close()
	}
	*st = staged{dir: st.dir}
}

func appendRecord(p, serial []byte, e Entry) []byte {
	p = binary.AppendUvarint(p, uint64(len(serial))<<4|uint64(e.Reason))
	p = binary.AppendVarint(p, e.At)
	return append(p, serial...)
}

// readRecord takes the first record of p apart; size is 0 when p does not hold
// all of it.
func readRecord(p []byte) (serial []byte, e Entry, size int) {
	head, n := binary.Uvarint(p)
	if n <= 0 {
		return nil, Entry{}, 0
	}
	at, m := binary.Varint(p[n:])
	if m <= 0 {
		return nil, Entry{}, 0
	}
	from := n + m
	to := from + int(head>>4)
	if to > len(p) {
		return nil, Entry{}, 0
	}
	return p[from:to], Entry{At: at, Reason: uint8(head & maxReason)}, to
}
