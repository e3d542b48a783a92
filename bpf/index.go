package bpf

import (
	"errors"
	"fmt"
	"maps"

	"github.com/cilium/ebpf"
)

// indexed is a set of keys, and an array by which the program sees at once that
// most packets have nothing to do with it. The set is what counts: the array can
// be made of it, and may have more than it, but never less.
type indexed[K comparable, W any] struct {
	set   *ebpf.Map
	array *ebpf.Map
	words int
	// mark notes a key in the words of the array.
	mark func(words []W, key K)
}

func (f *Filter) scope() indexed[xdpEndpoint, xdpListeners] {
	return indexed[xdpEndpoint, xdpListeners]{f.maps.Scope, f.maps.Ports, 2 * portWords, markPort}
}

func (f *Filter) exempt() indexed[xdpNetwork, uint64] {
	return indexed[xdpNetwork, uint64]{f.maps.Exempt, f.maps.ExemptBytes, firstByteWords, markFirstBytes}
}

// As the program has them.
const (
	portsPerWord   = 64
	portWords      = 65536 / portsPerWord
	firstByteWords = 8
)

func markPort(words []xdpListeners, e xdpEndpoint) {
	word, bit := &words[e.Port/portsPerWord], uint64(1)<<(e.Port%portsPerWord)
	if e.Address.addr().Is6() {
		word = &words[portWords+e.Port/portsPerWord]
	}
	if e.Address.addr().IsUnspecified() {
		word.Any |= bit
		return
	}
	word.Exact |= bit
	if word.OfOne == 0 {
		word.One = e.Address
	}
	if word.One == e.Address {
		word.OfOne |= bit
	}
}

// markFirstBytes marks those that addresses of the network begin with: one, or
// several if it is larger than a /8.
func markFirstBytes(words []uint64, k xdpNetwork) {
	bits, first, half := int(k.bits())-familyBits, k.Address.Bytes[0], firstByteWords/2
	if k.Head>>32 == familyIPv4 {
		bits, first, half = bits-mappedBits, k.Address.Bytes[12], 0
	}
	for n := range 1 << max(0, 8-bits) {
		b := int(first) + n
		words[half+b/64] |= 1 << (b % 64)
	}
}

// replace makes the keys of the set those of want. What is new is there before
// anything old is gone.
func replace[K comparable, W any](x indexed[K, W], want map[K]bool) error {
	have, err := keysOf[K](x.set)
	if err != nil {
		return err
	}
	for k := range want {
		if err := x.set.Put(k, uint32(1)); err != nil {
			return fmt.Errorf("%d entries: %w", x.set.MaxEntries(), full(err))
		}
	}
	both := maps.Clone(have)
	maps.Copy(both, want)
	if err := x.write(both); err != nil {
		return err
	}
	for k := range have {
		if want[k] {
			continue
		}
		if err := x.set.Delete(k); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return err
		}
	}
	return x.write(want)
}

// rebuild makes the array of the set, as whoever changed it last may not have
// come to an end.
func (x indexed[K, W]) rebuild() error {
	keys, err := keysOf[K](x.set)
	if err != nil {
		return err
	}
	return x.write(keys)
}

// write makes the array that of these keys.
func (x indexed[K, W]) write(keys map[K]bool) error {
	words, numbers := make([]W, x.words), make([]uint32, x.words)
	for k := range keys {
		x.mark(words, k)
	}
	for i := range numbers {
		numbers[i] = uint32(i)
	}
	if _, err := x.array.BatchUpdate(numbers, words, nil); err != nil {
		return fmt.Errorf("write %v: %w", x.array, err)
	}
	return nil
}
