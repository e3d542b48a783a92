package segment

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"sync"
)

// maxHead is the most bytes of head that a segment's file takes.
const maxHead = 64 << 20

// Build makes the segment of what was added. With Options.Dir it is in the file
// of that name there, which takes the place of an older one at once and only
// when it is whole on disk; head is kept in it, for [Open] to return. Without,
// neither is used. On an error an older file is as it was, unless all that
// failed was to make the new one's name outlast a power cut. The Builder is of
// no more use after it.
func (b *Builder) Build(head []byte, name string) (*Segment, error) {
	s, err := b.build(head, name)
	if err != nil {
		return nil, fmt.Errorf("build segment %s: %w", name, err)
	}
	return s, nil
}

func (b *Builder) build(head []byte, name string) (*Segment, error) {
	defer b.Discard()
	if b.err != nil {
		return nil, b.err
	}
	if bits := b.o.BitsPerEntry; !(bits >= 0 && bits <= maxBits) {
		return nil, fmt.Errorf("%v bits of filter an entry: want 0 to %d", bits, maxBits)
	}
	if b.o.Dir == "" {
		return b.inMemory()
	}
	switch {
	case !plainName(name):
		return nil, errors.New("name: want that of a file, without a directory or " + tempSuffix)
	case len(head) > maxHead:
		return nil, fmt.Errorf("head of %d bytes: want %d at most", len(head), maxHead)
	}
	d, err := openDir(b.o.Dir)
	if err != nil {
		return nil, err
	}
	defer d.close()
	f, temp, err := d.temp(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := b.writeFile(f, head); err != nil {
		return nil, errors.Join(err, d.remove(temp))
	}
	b.step("written")
	s, _, err := openFile(f, d.join(name))
	if err != nil {
		return nil, errors.Join(err, d.remove(temp))
	}
	if err := d.rename(temp, name); err != nil {
		return nil, errors.Join(err, d.remove(temp))
	}
	b.step("renamed")
	return s, d.sync()
}

func (b *Builder) step(name string) {
	if b.reached != nil {
		b.reached(name)
	}
}

func (b *Builder) inMemory() (*Segment, error) {
	l := b.layout(blockSize)
	memory, free, err := newMemory(l.body.size)
	if err != nil {
		return nil, err
	}
	l.body.out = memory
	h, err := b.fill(l)
	if err != nil {
		if free != nil {
			free()
		}
		return nil, err
	}
	s := newSegment(h, memory)
	s.memory = int64(len(memory))
	if free != nil {
		freeAfter(s, memory)
	}
	return s, nil
}

func (b *Builder) writeFile(f *os.File, head []byte) error {
	l := b.layout(pageSize)
	l.body.zeroSums()
	l.body.out = f
	l.body.front = frontSize(len(l.body.sums), len(head))
	if err := f.Truncate(l.body.front + l.body.size); err != nil {
		return err
	}
	b.step("sized")
	h, err := b.fill(l)
	if err != nil {
		return err
	}
	b.step("filled")
	if _, err := f.WriteAt(h.front(l.body.sums, head), 0); err != nil {
		return err
	}
	return f.Sync()
}

// layout is the parts of a segment while it is written.
type layout struct {
	body   *body
	filter *filterWriter
	tables [kinds]*tableWriter
	pack   packing
}

// layout gives each part the room that it needs if all serials are different.
func (b *Builder) layout(align int64) *layout {
	l := &layout{body: &body{align: align}, pack: newPacking(b.Len(), b.latest)}
	blocks := blocksFor(b.Len(), b.o.BitsPerEntry)
	l.filter = &filterWriter{out: l.body.section(int64(blocks) * blockSize), blocks: blocks}
	for k := range kinds {
		octets := int64(0)
		if k == long {
			octets = b.octets
		}
		l.tables[k] = l.body.table(k, l.pack, b.kinds[k], octets)
	}
	return l
}

// fill writes all parts. It returns a header that says where they are.
func (b *Builder) fill(l *layout) (*header, error) {
	for n, bt := range b.sorted() {
		if bt.err != nil {
			return nil, bt.err
		}
		for i := range bt.rows {
			r := &bt.rows[i]
			serial := bt.serial(r)
			l.filter.add(r.hash)
			l.tables[kindOf(serial)].add(r.hash, serial, Entry{r.at, r.reason})
		}
		if n == b.staged.count()/2 {
			b.step("half filled")
		}
	}

	h := &header{
		Size: uint64(l.body.front + l.body.size), Key: b.key, Entries: uint64(b.Len()), Packing: l.pack,
		FalsePositiveRate: l.filter.finish(),
	}
	var err error
	if h.Filter, err = l.filter.out.finish(); err != nil {
		return nil, err
	}
	for k, w := range l.tables {
		if h.Tables[k], err = w.finish(); err != nil {
			return nil, err
		}
	}
	return h, nil
}

// sorted yields the parts in order, each read and sorted while the one before it
// is dealt with. A batch is good until the next is asked for; one with an error
// is the last.
func (b *Builder) sorted() iter.Seq2[int, *batch] {
	return func(yield func(int, *batch) bool) {
		free, ready := make(chan *batch, 2), make(chan *batch)
		for range cap(free) {
			bt := &batch{worse: b.o.Worse}
			if b.staged.count() > 1 {
				bt.shift = 64 - partShift
			}
			free <- bt
		}
		var reading sync.WaitGroup
		defer reading.Wait()
		defer close(free)
		reading.Go(func() {
			defer close(ready)
			for n := range b.staged.count() {
				bt, more := <-free
				if !more {
					return
				}
				bt.reset(b.Len() / b.staged.count())
				bt.err = b.staged.read(n, func(serial []byte, e Entry) error {
					return bt.add(b.key.hash(serial), serial, e)
				})
				if bt.err == nil {
					bt.sort()
				}
				ready <- bt
				if bt.err != nil {
					return
				}
			}
		})
		n := 0
		for bt := range ready {
			if !yield(n, bt) {
				for range ready { // lets the reader see that nobody wants more
				}
				return
			}
			free <- bt
			n++
		}
	}
}

// memory is a body that is not in a file.
type memory []byte

var _ io.WriterAt = memory(nil)

// WriteAt writes over a part of m.
func (m memory) WriteAt(p []byte, off int64) (int, error) {
	if off < 0 || off+int64(len(p)) > int64(len(m)) {
		return 0, io.ErrShortBuffer
	}
	return copy(m[off:], p), nil
}
