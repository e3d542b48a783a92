package segment

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// The filter is a bloom filter in blocks of one cache line: a serial's hash
// picks a block by its high bits, and by six bits of a product that its low ones
// decide as well, one bit in each of the block's eight words.
const (
	blockWords   = 8
	blockSize    = 8 * blockWords
	bitsPerEntry = 12
	maxBits      = 64
)

func blocksFor(entries int, perEntry float64) uint64 {
	if perEntry == 0 {
		perEntry = bitsPerEntry
	}
	return max(1, uint64(math.Ceil(float64(entries)*perEntry/(8*blockSize))))
}

// mayHold says whether the hash may have been added to the block; if not, it
// was not.
func mayHold(block []byte, hash uint64) bool {
	block = block[:blockSize]
	picks := hash * spread
	all := uint64(1)
	for i := range blockWords {
		picks = bits.RotateLeft64(picks, 6)
		all &= binary.LittleEndian.Uint64(block[8*i:]) >> (picks & 63)
	}
	return all != 0
}

// spread is an odd factor. The hashes of one block have their high bits in
// common, 18 of them among ten million entries, and the low 46 do not make 48
// independent ones by themselves; the upper 48 of the product are as good.
const spread = 0x9e3779b97f4a7c15

// filterWriter writes a filter of hashes that come in their order.
type filterWriter struct {
	out    *section
	blocks uint64
	block  [blockWords]uint64 // being filled
	number uint64             // of that block
	passed float64            // sum over the blocks written of the share of hashes each lets pass
}

func (w *filterWriter) add(hash uint64) {
	w.advance(place(hash, w.blocks))
	picks := hash * spread
	for i := range blockWords {
		picks = bits.RotateLeft64(picks, 6)
		w.block[i] |= 1 << (picks & 63)
	}
}

// advance writes blocks until it stands at the one of that number.
func (w *filterWriter) advance(number uint64) {
	for ; w.number < number; w.number++ {
		var raw [blockSize]byte
		pass := 1.0
		for i, word := range w.block {
			binary.LittleEndian.PutUint64(raw[8*i:], word)
			pass *= float64(bits.OnesCount64(word)) / 64
		}
		w.out.write(raw[:])
		w.passed += pass
		w.block = [blockWords]uint64{}
	}
}

// finish writes the rest. It returns the share of all hashes that the filter
// lets pass: what it will be for serials that are not in the table.
func (w *filterWriter) finish() float64 {
	w.advance(w.blocks)
	return w.passed / float64(w.blocks)
}
