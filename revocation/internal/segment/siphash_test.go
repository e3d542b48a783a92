package segment

import (
	"crypto/rand"
	"fmt"
	"testing"
)

// The vectors are the reference implementation's: the key is 00 01 … 0f, the
// n-th input is 00 01 … of n octets.
var sipVectors = map[[2]int][]uint64{
	{2, 4}: {
		0x726fdb47dd0e0e31, 0x74f839c593dc67fd, 0x0d6c8009d9a94f5a, 0x85676696d7fb7e2d,
		0xcf2794e0277187b7, 0x18765564cd99a68d, 0xcbc9466e58fee3ce, 0xab0200f58b01d137,
		0x93f5f5799a932462, 0x9e0082df0ba9e4b0, 0x7a5dbbc594ddb9f3, 0xf4b32f46226bada7,
		0x751e8fbc860ee5fb, 0x14ea5627c0843d90, 0xf723ca908e7af2ee, 0xa129ca6149be45e5,
		0x3f2acc7f57c29bdb, 0x699ae9f52cbe4794, 0x4bc1b3f0968dd39c, 0xbb6dc91da77961bd,
	},
	{1, 3}: {
		0xabac0158050fc4dc, 0xc9f49bf37d57ca93, 0x82cb9b024dc7d44d, 0x8bf80ab8e7ddf7fb,
		0xcf75576088d38328, 0xdef9d52f49533b67, 0xc50d2b50c59f22a7, 0xd3927d989bb11140,
		0x369095118d299a8e, 0x25a48eb36c063de4, 0x79de85ee92ff097f, 0x70c118c1f94dc352,
		0x78a384b157b4d9a2, 0x306f760c1229ffa7, 0x605aa111c0f95d34, 0xd320d86d2a519956,
		0xcc4fdd1a7d908b66, 0x9cf2689063dbd80c, 0x8ffc389cb473e63e, 0xf21f9de58d297d1c,
	},
}

func TestSipHash(t *testing.T) {
	key := sipKey{0x0706050403020100, 0x0f0e0d0c0b0a0908}
	for rounds, vectors := range sipVectors {
		t.Run(fmt.Sprintf("%d-%d", rounds[0], rounds[1]), func(t *testing.T) {
			var in []byte
			for n, want := range vectors {
				if got := key.sum(in, rounds[0], rounds[1]); got != want {
					t.Errorf("%d octets: %016x, want %016x", n, got, want)
				}
				in = append(in, byte(n))
			}
		})
	}
	if got, want := key.hash(nil), sipVectors[[2]int{1, 3}][0]; got != want {
		t.Errorf("hash is %016x, want SipHash-1-3: %016x", got, want)
	}
}

func TestKeysDiffer(t *testing.T) {
	if a, b := NewBuilder(Options{}), NewBuilder(Options{}); a.key == b.key || a.key == (sipKey{}) {
		t.Errorf("two builders have the keys %x and %x", a.key, b.key)
	}
}

// TestHashOfSixteen compares the way that is written out with the general one.
func TestHashOfSixteen(t *testing.T) {
	for range 1000 {
		k := newSipKey()
		p := make([]byte, 16)
		rand.Read(p)
		if got, want := k.hash(p), k.sum(p, 1, 3); got != want {
			t.Fatalf("hash of %x: %x, want %x", p, got, want)
		}
	}
}
