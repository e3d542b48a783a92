// Package frametest makes frames that are wrong, for the tests of who reads them.
package frametest

import (
	"encoding/binary"
	"math/rand/v2"
	"os"
	"slices"

	"github.com/sallyport/sallyport/sdk/frame"
)

// Count is how many fuzzed frames a test feeds to one side: a million where the
// environment has SALLYPORT_SOAK=1, 50,000 where it has CI=true, and 10,000 else.
func Count() int {
	switch {
	case os.Getenv("SALLYPORT_SOAK") == "1":
		return 1_000_000
	case os.Getenv("CI") == "true":
		return 50_000
	}
	return 10_000
}

// Fuzzer makes frames out of good ones. It is not safe for concurrent use.
type Fuzzer struct {
	rand  *rand.Rand
	seeds [][]byte
	room  []byte
}

// New returns a Fuzzer that makes the same frames of the same seeds each time. Seeds
// are whole frames, at least one.
func New(seeds ...[]byte) *Fuzzer {
	return &Fuzzer{rand: rand.New(rand.NewPCG(1, 2)), seeds: seeds}
}

// Next returns the bytes of another frame, which are good until the next call. Mostly
// its length is right, so that what is wrong is found behind the head.
func (f *Fuzzer) Next() []byte {
	b := append(f.room[:0], f.seeds[f.rand.IntN(len(f.seeds))]...)
	for range 1 + f.rand.IntN(4) {
		b = f.change(b)
	}
	if f.rand.IntN(8) != 0 && len(b) >= frame.HeaderSize {
		binary.LittleEndian.PutUint32(b, uint32(len(b)-4))
		if f.rand.IntN(4) != 0 {
			b[5], b[6], b[7] = 0, 0, 0 // flags, of which there are none
		}
	}
	f.room = b
	return b
}

func (f *Fuzzer) change(b []byte) []byte {
	at := f.rand.IntN(len(b) + 1)
	switch f.rand.IntN(6) {
	case 0: // another byte
		if at < len(b) {
			b[at] = byte(f.rand.Uint32())
		}
	case 1: // one bit
		if at < len(b) {
			b[at] ^= 1 << f.rand.IntN(8)
		}
	case 2: // the end is missing
		b = b[:at]
	case 3: // more bytes
		more := make([]byte, f.rand.IntN(16))
		for i := range more {
			more[i] = byte(f.rand.Uint32())
		}
		b = slices.Insert(b, at, more...)
	case 4: // a part of another frame
		other := f.seeds[f.rand.IntN(len(f.seeds))]
		b = append(b[:at], other[f.rand.IntN(len(other)):]...)
	case 5: // an extreme number
		if at+4 <= len(b) {
			binary.LittleEndian.PutUint32(b[at:], [...]uint32{0, 1, 1<<31 - 1, 1 << 31, 1<<32 - 1}[f.rand.IntN(5)])
		}
	}
	return b
}
