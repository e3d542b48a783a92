package segment

import (
	"runtime"
	"sync/atomic"
)

// Segment is an immutable table of serials. Any number of goroutines may ask it
// at the same time. What it has mapped is given back when nothing refers to it
// any more; there is nothing to close.
type Segment struct {
	key     sipKey
	packing packing
	body    []byte
	filter  int // offset in the body
	blocks  uint64
	bits    []byte // the filter; of a file, a copy that was compared with its checksums
	tables  [kinds]table
	pages   *pages // nil: in memory, nothing to check

	name    string // of the file
	entries int
	disk    int64
	memory  int64
	rate    float64

	_              [64]byte // readers of the fields above do not wait for who counts
	falsePositives atomic.Uint64
}

// newSegment is the segment of a header, which is valid, and a body.
func newSegment(h *header, body []byte) *Segment {
	s := &Segment{
		key: h.Key, packing: h.Packing, body: body,
		bits:   body[h.Filter.Offset : h.Filter.Offset+h.Filter.Length],
		filter: int(h.Filter.Offset), blocks: h.Filter.Length / blockSize,
		entries: int(h.Entries), rate: h.FalsePositiveRate,
		memory: int64(h.Filter.Length),
	}
	for k := range s.tables {
		spans := h.Tables[k]
		t := table{
			kind: kind(k), directory: int(spans.Directory.Offset), rows: int(spans.Rows.Offset),
			data: int(spans.Data.Offset), dataSize: int(spans.Data.Length),
			width: widths[k], stride: widths[k] + h.Packing.width(),
		}
		if spans.Directory.Length > 0 {
			t.buckets = spans.Directory.Length/4 - 1
			t.count = uint32(spans.Rows.Length / uint64(t.stride))
		}
		s.tables[k] = t
		s.memory += int64(spans.Directory.Length)
	}
	return s
}

// Find returns the entry that was added with exactly these octets, and whether
// there is one. Serials of another length or sign than any in the table, empty
// ones too, are simply not there.
//
// At is to the second in a segment of up to [ExactTimes] entries. In a larger
// one it is the start of the UTC day, and for what is more than 4095 days older
// than the latest entry it is the day 4095 days before that one's.
//
// The error is a [*DamagedError], and from then on always: a segment whose file
// turned out to be damaged answers nothing more. Find takes no lock and does not
// allocate.
func (s *Segment) Find(serial []byte) (Entry, bool, error) {
	e, found, damage := s.find(serial)
	runtime.KeepAlive(s) // the body is not the garbage collector's
	if damage != nil {
		return Entry{}, false, damage
	}
	return e, found, nil
}

// Lacks says that Find would find nothing, where one look at the filter shows it.
// False says nothing at all.
func (s *Segment) Lacks(serial []byte) bool {
	if len(serial) == 0 || len(serial) > MaxSerial {
		return false
	}
	hash := s.key.hash(serial)
	lacks := s.damaged() == nil && !mayHold(s.bits[blockSize*int(place(hash, s.blocks)):], hash)
	runtime.KeepAlive(s) // the body is not the garbage collector's
	return lacks
}

// Stats are the sizes of a segment and what its filter does.
type Stats struct {
	Entries  int // added, equal serials counted each
	Distinct int // serials

	DiskBytes int64 // of the file; 0: in memory

	// MemoryBytes is what should stay in memory: the filter, the directories
	// and the checksums, of a file that is mapped; else all.
	MemoryBytes int64

	// FalsePositives counts the searches that the filter let pass for serials
	// that are not in the table. They cost a second look and no wrong answer.
	FalsePositives uint64

	// FalsePositiveRate is the share of such serials that the filter lets pass,
	// 0 to 1, computed from its bits when it was built. FalsePositives that
	// outrun it say that somebody knows the key.
	FalsePositiveRate float64
}

// Stats returns the sizes and counts of the segment.
func (s *Segment) Stats() Stats {
	st := Stats{
		Entries: s.entries, DiskBytes: s.disk, MemoryBytes: s.memory,
		FalsePositives: s.falsePositives.Load(), FalsePositiveRate: s.rate,
	}
	for _, t := range s.tables {
		st.Distinct += int(t.count)
	}
	return st
}
