package bpf

import (
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/cilium/ebpf"
)

// Bans returns every ban, expired ones that were not reaped yet included, in no
// order. It reads some thousands at a time and holds nobody up: a ban that is
// there from the beginning to the end appears once, one that comes or goes
// meanwhile may or may not. An error ends it.
func (f *Filter) Bans() iter.Seq2[Ban, error] {
	return func(yield func(Ban, error) bool) {
		now := now()
		for e, err := range f.entries() {
			if err != nil {
				yield(Ban{}, fmt.Errorf("list bans: %w", err))
				return
			}
			if !yield(e.ban(now), nil) {
				return
			}
		}
	}
}

func (f *Filter) entries() iter.Seq2[entry, error] {
	return func(yield func(entry, error) bool) {
		hosts := newCursor[xdpAddress](f.maps.Hosts)
		for hosts.more {
			if err := f.reading(hosts.next); err != nil {
				yield(entry{}, err)
				return
			}
			for i, k := range hosts.keys {
				if !yield(entry{f.hosts.of(k.addr()), hosts.values[i]}, nil) {
					return
				}
			}
		}
		seen := make(map[xdpNetwork]bool) // a trie is read from its beginning again when the place that was reached is gone
		networks := newCursor[xdpNetwork](f.maps.Networks)
		for networks.more {
			if err := f.reading(networks.next); err != nil {
				yield(entry{}, err)
				return
			}
			for i, k := range networks.keys {
				if !seen[k] && !yield(entry{k.prefix(), networks.values[i]}, nil) {
					return
				}
				seen[k] = true
			}
		}
	}
}

// cursor reads a map of bans, a batch at a time.
type cursor[K any] struct {
	keys   []K
	values []xdpBan
	more   bool

	from   *ebpf.Map
	kernel ebpf.MapBatchCursor
}

func newCursor[K any](from *ebpf.Map) *cursor[K] {
	return &cursor[K]{keys: make([]K, batch), values: make([]xdpBan, batch), more: true, from: from}
}

// next reads the next batch into keys and values, of one length, and says in
// more whether there is another.
func (c *cursor[K]) next() error {
	c.keys, c.values = c.keys[:cap(c.keys)], c.values[:cap(c.values)]
	n, err := c.from.BatchLookup(&c.kernel, c.keys, c.values, nil)
	if errors.Is(err, ebpf.ErrKeyNotExist) {
		c.more, err = false, nil
	}
	c.keys, c.values = c.keys[:n], c.values[:n]
	return err
}

// Reap removes bans that are over at the time given and returns how many.
// Packets pass by them already; this is about the room that they take. It may
// run beside anything, and keeps what changes bans waiting for some
// milliseconds at most.
func (f *Filter) Reap(at time.Time) (int, error) {
	end := now().at(at)
	hosts, err := reap[xdpAddress](f, f.maps.Hosts, end)
	if err != nil {
		return hosts, fmt.Errorf("reap bans of hosts: %w", err)
	}
	networks, err := reap[xdpNetwork](f, f.maps.Networks, end)
	if err != nil {
		return hosts + networks, fmt.Errorf("reap bans of networks: %w", err)
	}
	return hosts + networks, nil
}

// reap looks at a batch and removes from it in one go, lest a ban be renewed in
// between.
func reap[K any](f *Filter, m *ebpf.Map, end uint64) (int, error) {
	reaped := 0
	c := newCursor[K](m)
	for c.more {
		err := f.changing(func() error {
			if err := c.next(); err != nil {
				return err
			}
			var over []K
			for i, v := range c.values {
				if v.Until <= end {
					over = append(over, c.keys[i])
				}
			}
			n, err := deleteAll(m, over)
			reaped += n
			return err
		})
		if err != nil {
			return reaped, err
		}
	}
	return reaped, nil
}

// keysOf returns the keys of a small map.
func keysOf[K comparable](m *ebpf.Map) (map[K]bool, error) {
	keys := make(map[K]bool)
	var k K
	err := m.NextKey(nil, &k)
	// A walk begins anew when the place that it has reached is gone.
	for n := uint32(0); err == nil && n < 2*m.MaxEntries(); n++ {
		keys[k] = true
		err = m.NextKey(k, &k)
	}
	if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return nil, err
	}
	return keys, nil
}

// deleteAll removes entries. One that is gone already, by another process, is
// passed over.
func deleteAll[K any](m *ebpf.Map, keys []K) (int, error) {
	deleted := 0
	for len(keys) > 0 {
		n, err := m.BatchDelete(keys, nil)
		deleted += n
		keys = keys[n:]
		switch {
		case errors.Is(err, ebpf.ErrKeyNotExist):
			keys = keys[1:]
		case err != nil:
			return deleted, err
		}
	}
	return deleted, nil
}
