package revocation

import (
	"fmt"
	"os"

	"github.com/sallyport/sallyport/revocation/internal/segment"
)

// The parts of a List that are not in it: its entries, in memory or in a file of
// a [Dir] that is mapped.

// find returns the entry with this serial. An error means that the list cannot
// say, now and ever after. It allocates nothing, but for the error.
func (l *List) find(serial []byte) (e segment.Entry, listed bool, err error) {
	if damaged := l.damaged.Load(); damaged != nil {
		return segment.Entry{}, false, *damaged
	}
	if e, listed, err = l.segment.Find(serial); err != nil {
		l.damage(err)
	}
	return e, listed, err
}

// lacks says that the serial is not listed, as far as one look at the filter can
// tell; where it cannot, find has to be asked.
func (l *List) lacks(serial []byte) bool { return l.damaged.Load() == nil && l.segment.Lacks(serial) }

// damage takes the list out of service, and its file out of the way of the one
// that is made when the list is read again.
func (l *List) damage(err error) {
	err = fmt.Errorf("CRL %x as kept on disk: %w", l.digest, err)
	if l.damaged.CompareAndSwap(nil, &err) && l.file != "" {
		_ = os.Remove(l.file) // a file that stays costs one more reading
	}
}

// Damaged is why the list can no longer answer: what a [Dir] keeps of it was
// found to have changed. Certificates in its scope are Unknown then, rather than
// left to older lists, until the list is read again. Nil while nothing was
// found; [List.Verify] looks.
func (l *List) Damaged() error {
	if damaged := l.damaged.Load(); damaged != nil {
		return *damaged
	}
	return nil
}

// Verify reads all of the list that is kept on disk and was not looked at yet,
// and returns what [List.Damaged] does then. It may run while the list is asked.
func (l *List) Verify() error {
	if l.Damaged() == nil {
		if err := l.segment.Verify(); err != nil {
			l.damage(err)
		}
	}
	return l.Damaged()
}

// DiskBytes is the size of the files that the list has in a [Dir], 0 for a list
// in memory.
func (l *List) DiskBytes() int64 { return l.segment.Stats().DiskBytes + l.spooled }

// MemoryBytes is about how much memory the list needs: all of a list in memory;
// of a list on disk what nearly every check looks at, the rest being there as
// long as nobody else needs the memory.
func (l *List) MemoryBytes() int64 {
	return l.segment.Stats().MemoryBytes + int64(len(l.signed)) - l.spooled + int64(len(l.issuer)+len(l.signature))
}

// FalsePositiveRate is which part of the certificates not listed cannot be told
// to be so by a look at the filter, and costs a look at the entries. The answer
// is right in either case.
func (l *List) FalsePositiveRate() float64 { return l.segment.Stats().FalsePositiveRate }

// FalsePositives counts those that were met. Far more than FalsePositiveRate
// promises means that somebody knows the key of the filter.
func (l *List) FalsePositives() uint64 { return l.segment.Stats().FalsePositives }
