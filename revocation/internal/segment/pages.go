package segment

import (
	"fmt"
	"hash/crc32"
	"runtime"
	"runtime/debug"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// DamagedError says that a segment's file is not what was written, or cannot be
// read. The list it was made of has to be read again.
type DamagedError struct {
	Path string
	Why  string
}

func (e *DamagedError) Error() string {
	return fmt.Sprintf("segment %s is damaged: %s", e.Path, e.Why)
}

// pages has what the pages of a mapped body were when they were written. They are
// compared each time that one is looked at: what was right once may be read from
// the disk anew, and only few searches come this far.
type pages struct {
	sums   []uint32
	damage atomic.Pointer[DamagedError]
}

func newPages(sums []uint32) *pages { return &pages{sums: sums} }

// damaged is what was found wrong so far.
func (s *Segment) damaged() *DamagedError {
	if s.pages == nil {
		return nil
	}
	return s.pages.damage.Load()
}

// damage marks the segment as damaged for good.
func (s *Segment) damage(why string) *DamagedError {
	damage := &DamagedError{Path: s.name, Why: why}
	if s.pages != nil && !s.pages.damage.CompareAndSwap(nil, damage) {
		return s.pages.damage.Load()
	}
	return damage
}

// check makes sure that size bytes of the body at an offset are as they were
// written.
func (s *Segment) check(offset, size int) *DamagedError {
	if s.pages == nil || size == 0 {
		return nil
	}
	for page := offset / pageSize; page <= (offset+size-1)/pageSize; page++ {
		if damage := s.checkPage(page); damage != nil {
			return damage
		}
	}
	return nil
}

// checkPage compares a page with its checksum.
func (s *Segment) checkPage(page int) (damage *DamagedError) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer s.caught(&damage)
	got, want := crc32.Checksum(s.body[page*pageSize:(page+1)*pageSize], castagnoli), s.pages.sums[page]
	if got != want {
		return s.damage(fmt.Sprintf("page %d has checksum %08x: want %08x", page, got, want))
	}
	return nil
}

// caught, deferred, turns a fault into damage: what a page gives that the disk
// cannot read, or that is no longer in the file. Without debug.SetPanicOnFault
// the process would end with SIGBUS.
func (s *Segment) caught(damage **DamagedError) {
	switch r := recover().(type) {
	case nil:
	case interface{ Addr() uintptr }:
		*damage = s.damage("its file cannot be read")
	default:
		panic(r)
	}
}

// verifyStep is how much Verify has read ahead, and mapped, at a time.
const verifyStep = 1 << 20

// Verify compares all of the file with its checksums, at the speed of the disk, while the segment is in use. The error
// is a [*DamagedError]. A segment in memory is always as it was made.
func (s *Segment) Verify() error {
	defer runtime.KeepAlive(s)
	if s.pages == nil {
		return nil
	}
	for offset := 0; offset < len(s.body); offset += verifyStep {
		if damage := s.damaged(); damage != nil {
			return damage
		}
		step := s.body[offset:min(offset+verifyStep, len(s.body))]
		// The rows are mapped for reading in no order. Advice that is not taken
		// costs time only.
		_ = unix.Madvise(step, unix.MADV_WILLNEED)
		if damage := s.check(offset, len(step)); damage != nil {
			return damage
		}
		if offset >= s.hot() {
			_ = unix.Madvise(step, unix.MADV_DONTNEED) // stays in the page cache
		}
	}
	return nil
}
