package revocation

import (
	"fmt"
	"math"
)

// Options bound a load and say where its result is kept. The zero value: at
// most 512 MiB and 20 million entries a CRL, 10000 CRLs, and nothing kept on disk.
type Options struct {
	// Dir keeps the entries as files that are mapped rather than held in memory,
	// and from which [ReadFile] opens a list again. Nil: in memory.
	Dir *Dir

	MaxSize    int64 // bytes of one CRL, in DER and as PEM text; 0: DefaultMaxSize
	MaxEntries int   // of one CRL, those given twice included; 0: DefaultMaxEntries
	MaxLists   int   // of one input, in PEM; 0: DefaultMaxLists

	// As is the path under which [ReadFile] keeps what it reads in Dir, where the
	// file is to be renamed to that: there it is found again, once its digest was
	// compared. Empty: the path that it is read from.
	As string

	// Progress is told how far the reading is, on the goroutine that reads: about
	// every 100 ms while input comes, and once when all is read. It has to
	// return soon. Nil: nobody is told.
	Progress func(Progress)
}

// Progress is how far the reading of an input is.
type Progress struct {
	Bytes   int64 // taken in so far
	Size    int64 // of them all, 0 when that is not known
	Entries int   // read so far, of all lists of the input
	List    int   // the one being read, from 1; 0 before the first
}

// What Options allow that do not say.
const (
	DefaultMaxSize    = 512 << 20
	DefaultMaxEntries = 20_000_000
	DefaultMaxLists   = 10_000
)

// filled is o with its defaults.
func (o Options) filled() (Options, error) {
	switch {
	case o.MaxSize < 0:
		return o, fmt.Errorf("MaxSize %d: want a number of bytes, or 0 for %d", o.MaxSize, DefaultMaxSize)
	case o.MaxEntries < 0:
		return o, fmt.Errorf("MaxEntries %d: want a number of entries, or 0 for %d", o.MaxEntries, DefaultMaxEntries)
	}
	if o.MaxLists < 0 {
		return o, fmt.Errorf("MaxLists %d: want a number of lists, or 0 for %d", o.MaxLists, DefaultMaxLists)
	}
	if o.MaxLists == 0 {
		o.MaxLists = DefaultMaxLists
	}
	if o.MaxSize == 0 {
		o.MaxSize = DefaultMaxSize
	}
	if o.MaxEntries == 0 {
		o.MaxEntries = DefaultMaxEntries
	}
	return o, nil
}

// unbounded is for input that its owner has bounded.
var unbounded = Options{MaxSize: math.MaxInt64, MaxEntries: math.MaxInt, MaxLists: math.MaxInt}
