package segment

import (
	"bytes"
	"cmp"
	"errors"
	"math"
	"slices"
)

// batch is the entries of one part, sorted and each serial once.
type batch struct {
	worse func(a, b Entry) bool
	shift int // the bits that all hashes of the part have in common
	arena []byte
	rows  []row
	spare []row    // for order
	ends  []uint32 // for order
	limit int      // octets from which it is worth looking for equal serials
	err   error    // why it is not whole
}

// row is an entry of a batch.
type row struct {
	hash   uint64
	at     int64
	start  uint32 // of the serial in the arena
	size   uint32
	reason uint8
}

// minLimit is what a batch may take before equal serials are looked for: a part
// of ten million entries takes a third of it. Of a list that gives one serial
// again and again a part has no upper bound.
const minLimit = 6 << 20

// reset empties the batch for about so many entries.
func (b *batch) reset(entries int) {
	b.arena, b.limit = b.arena[:0], minLimit
	b.rows = slices.Grow(b.rows[:0], entries+entries/16)
}

func (b *batch) add(hash uint64, serial []byte, e Entry) error {
	if b.octets() > b.limit {
		b.sort()
		b.limit = max(minLimit, 2*b.octets())
	}
	if len(b.arena)+len(serial) > math.MaxUint32 {
		return errors.New("sort entries: more than 4 GiB of serials in one part")
	}
	b.rows = append(b.rows, row{hash, e.At, uint32(len(b.arena)), uint32(len(serial)), e.Reason})
	b.arena = append(b.arena, serial...)
	return nil
}

func (b *batch) octets() int { return len(b.arena) + 32*len(b.rows) }

func (b *batch) serial(r *row) []byte { return b.arena[r.start : r.start+r.size] }

// sort orders the rows by hash and drops all but the worst of each serial.
func (b *batch) sort() {
	b.order()
	kept := b.rows[:0]
	for i := range b.rows {
		r := b.rows[i]
		if n := len(kept) - 1; n >= 0 && kept[n].hash == r.hash && bytes.Equal(b.serial(&kept[n]), b.serial(&r)) {
			if b.worse != nil && b.worse(Entry{r.at, r.reason}, Entry{kept[n].at, kept[n].reason}) {
				kept[n].at, kept[n].reason = r.at, r.reason
			}
			continue
		}
		kept = append(kept, r)
	}
	if len(kept) < len(b.rows) {
		b.rows = kept
		b.compact()
	}
}

// compact drops the serials that no row refers to.
func (b *batch) compact() {
	arena := make([]byte, 0, len(b.arena))
	for i := range b.rows {
		r := &b.rows[i]
		serial := b.serial(r)
		r.start = uint32(len(arena))
		arena = append(arena, serial...)
	}
	b.arena = arena
}

// cells is how many ranges of hashes order deals the rows into before it sorts
// each: a part of ten million entries has two or three for each.
const cells = 1 << 14

// order sorts by hash, then serial, then the order they were added in.
func (b *batch) order() {
	if len(b.rows) < cells/8 {
		slices.SortFunc(b.rows, b.compare)
		return
	}
	if b.ends == nil {
		b.ends = make([]uint32, cells)
	}
	clear(b.ends)
	cell := func(r *row) uint64 { return r.hash << b.shift / (1 << 64 / cells) }
	for i := range b.rows {
		b.ends[cell(&b.rows[i])]++
	}
	end := uint32(0)
	for i, size := range b.ends {
		b.ends[i] = end // where the cell starts, until it is filled
		end += size
	}
	b.spare = slices.Grow(b.spare[:0], len(b.rows))[:len(b.rows)]
	for i := range b.rows {
		c := cell(&b.rows[i])
		b.spare[b.ends[c]] = b.rows[i]
		b.ends[c]++
	}
	b.rows, b.spare = b.spare, b.rows
	start := uint32(0)
	for _, end := range b.ends {
		if end-start > 1 {
			slices.SortFunc(b.rows[start:end], b.compare)
		}
		start = end
	}
}

func (b *batch) compare(x, y row) int {
	if x.hash != y.hash {
		return cmp.Compare(x.hash, y.hash)
	}
	if order := bytes.Compare(b.serial(&x), b.serial(&y)); order != 0 {
		return order
	}
	return cmp.Compare(x.start, y.start)
}
