package segment

import (
	"errors"
	"fmt"
	"math"
)

// Options say where a segment is kept and what it keeps. The zero value: in
// memory, of equal serials the first.
type Options struct {
	// Dir is the directory of the file, and of what has to wait on disk until
	// the file is written. It must be this user's or root's, and writable by no
	// other. Empty: all is kept in memory.
	Dir string

	// Worse says whether a takes the place of b, which was added earlier with
	// the same serial. Nil: it never does.
	Worse func(a, b Entry) bool

	// BitsPerEntry is the size of the filter, up to 64. 0: 12, which let 0.4 %
	// of the serials pass that are not in the table.
	BitsPerEntry float64
}

// Builder collects entries and makes a [Segment] of them. It is for one
// goroutine at a time.
type Builder struct {
	o      Options
	key    sipKey
	staged staged
	count  int
	kinds  [kinds]int // of which are of each kind
	octets int64      // of serials of the long kind
	latest int64
	err    error // why there is no more to be done with it

	// reached is told of each step of writing a file, for tests that end there.
	reached func(step string)
}

// NewBuilder returns an empty Builder. It opens nothing yet.
func NewBuilder(o Options) *Builder {
	b := &Builder{o: o, key: newSipKey(), latest: math.MinInt64}
	b.staged.dir = o.Dir
	return b
}

var errDone = errors.New("segment was built or discarded before")

// Add adds an entry. The serial is the content octets of a DER INTEGER, 1 to
// [MaxSerial] of them, and is copied; octets that are no INTEGER's are as good:
// nothing but these very octets will find the entry. The error says what is
// wrong with the arguments, or why entries cannot be put aside on disk. Add and
// Build return it from then on: a table that lacks an entry is worse than none.
func (b *Builder) Add(serial []byte, e Entry) error {
	if b.err == nil {
		b.err = b.add(serial, e)
	}
	return b.err
}

func (b *Builder) add(serial []byte, e Entry) error {
	switch {
	case len(serial) == 0 || len(serial) > MaxSerial:
		return fmt.Errorf("add entry: serial of %d octets: want 1 to %d", len(serial), MaxSerial)
	case e.Reason > maxReason:
		return fmt.Errorf("add entry: reason %d: want 0 to %d", e.Reason, maxReason)
	case e.At >= maxAt || e.At < -maxAt:
		return fmt.Errorf("add entry: time %d: want less than 2^59 seconds from 1970", e.At)
	case b.count == math.MaxUint32-1:
		return fmt.Errorf("add entry: there are %d, which is the most", b.count)
	}
	if err := b.staged.add(b.key, serial, e); err != nil {
		return fmt.Errorf("add entry: %w", err)
	}
	k := kindOf(serial)
	b.count++
	b.kinds[k]++
	if k == long {
		b.octets += int64(len(serial))
	}
	b.latest = max(b.latest, e.At)
	return nil
}

// Len returns how many entries were added, those of equal serials counted each.
func (b *Builder) Len() int { return b.count }

// Discard frees what was added. It may be called at any time, and again.
func (b *Builder) Discard() {
	if b.err == nil {
		b.err = errDone
	}
	b.staged.free()
}
