package segment

import (
	"crypto/rand"
	"encoding/binary"
	"math/bits"
)

// sipKey is the key of a SipHash.
type sipKey struct{ K0, K1 uint64 }

func newSipKey() sipKey {
	var b [16]byte
	rand.Read(b[:]) // never fails
	return sipKey{binary.LittleEndian.Uint64(b[:]), binary.LittleEndian.Uint64(b[8:])}
}

// hash is SipHash-1-3 of p. Sixteen octets are what most serials have: their way
// is written out, which saves a third of the time.
func (k sipKey) hash(p []byte) uint64 {
	if len(p) != 16 {
		return k.sum(p, 1, 3)
	}
	v0 := k.K0 ^ 0x736f6d6570736575
	v1 := k.K1 ^ 0x646f72616e646f6d
	v2 := k.K0 ^ 0x6c7967656e657261
	v3 := k.K1 ^ 0x7465646279746573
	m := binary.LittleEndian.Uint64(p)
	v0, v1, v2, v3 = sipRound(v0, v1, v2, v3^m)
	v0 ^= m
	m = binary.LittleEndian.Uint64(p[8:])
	v0, v1, v2, v3 = sipRound(v0, v1, v2, v3^m)
	v0 ^= m
	const last = 16 << 56
	v0, v1, v2, v3 = sipRound(v0, v1, v2, v3^last)
	v0, v1, v2, v3 = sipRound(v0^last, v1, v2^0xff, v3)
	v0, v1, v2, v3 = sipRound(v0, v1, v2, v3)
	v0, v1, v2, v3 = sipRound(v0, v1, v2, v3)
	return v0 ^ v1 ^ v2 ^ v3
}

// sum is SipHash of p with so many compression and finalization rounds
// (Aumasson and Bernstein, "SipHash: a fast short-input PRF", section 2).
func (k sipKey) sum(p []byte, compression, finalization int) uint64 {
	v0 := k.K0 ^ 0x736f6d6570736575
	v1 := k.K1 ^ 0x646f72616e646f6d
	v2 := k.K0 ^ 0x6c7967656e657261
	v3 := k.K1 ^ 0x7465646279746573

	last := uint64(len(p)) << 56
	for len(p) >= 8 {
		m := binary.LittleEndian.Uint64(p)
		p = p[8:]
		v3 ^= m
		for range compression {
			v0, v1, v2, v3 = sipRound(v0, v1, v2, v3)
		}
		v0 ^= m
	}
	for i, b := range p {
		last |= uint64(b) << (8 * i)
	}
	v3 ^= last
	for range compression {
		v0, v1, v2, v3 = sipRound(v0, v1, v2, v3)
	}
	v0 ^= last

	v2 ^= 0xff
	for range finalization {
		v0, v1, v2, v3 = sipRound(v0, v1, v2, v3)
	}
	return v0 ^ v1 ^ v2 ^ v3
}

func sipRound(v0, v1, v2, v3 uint64) (_, _, _, _ uint64) {
	v0 += v1
	v2 += v3
	v1 = bits.RotateLeft64(v1, 13) ^ v0
	v3 = bits.RotateLeft64(v3, 16) ^ v2
	v0 = bits.RotateLeft64(v0, 32) + v3
	v2 += v1
	v1 = bits.RotateLeft64(v1, 17) ^ v2
	v3 = bits.RotateLeft64(v3, 21) ^ v0
	return v0, v1, bits.RotateLeft64(v2, 32), v3
}

// place maps a hash onto 0 to n-1 in the order of hashes: entries that are
// sorted by hash are sorted by block, bucket and part as well.
func place(hash, n uint64) uint64 {
	high, _ := bits.Mul64(hash, n)
	return high
}
