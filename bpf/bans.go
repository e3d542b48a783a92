package bpf

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"github.com/cilium/ebpf"
)

// Ban is one banned host or network.
type Ban struct {
	// Prefix is what is banned; its host bits do not count, and IPv4-in-IPv6
	// is IPv4. An IPv4 address and an IPv6 prefix of Options.IPv6Prefix are
	// hosts, anything shorter or longer is a network.
	Prefix netip.Prefix
	// Until is when packets pass again, to the millisecond; the zero time is
	// never. It follows the time that passes, not the wall clock's settings.
	Until time.Time
	// Since is for whoever lists bans, in whole seconds; zero is now.
	Since time.Time
	// Reason is a number that this package keeps and does not know.
	Reason uint8
	// Packets and Bytes that the ban has met: dropped, or in dry run let
	// through.
	Packets, Bytes uint64
}

// batch is how many entries go to or from the kernel at once: enough for the
// cost of the call not to show, few enough not to keep others waiting (some
// milliseconds).
const batch = 4096

// Ban puts b in force, or in place of the ban of the same prefix; then the
// counts of the old are added to those of b, except for packets met in between.
// It returns ErrFull when there is no room: Reap may make some.
func (f *Filter) Ban(b Ban) error {
	e, err := entryOf(b, now())
	if err != nil {
		return fmt.Errorf("ban: %w", err)
	}
	err = f.changing(func() error {
		old, found, err := f.exact(e.prefix)
		if err != nil {
			return err
		}
		if found {
			e.value.Packets += old.Packets
			e.value.Bytes += old.Bytes
		}
		_, err = f.put([]entry{e})
		return err
	})
	if err != nil {
		return fmt.Errorf("ban %v: %w", e.prefix, err)
	}
	return nil
}

// BanAll puts bans in force in their order, a few thousand at a time, and returns
// how many were before the first that could not be: those are in the kernel, and
// none behind them that was not there before. Hosts side by side are faster than
// hosts between networks. Unlike Ban, it puts exactly what it
// is given, counts included. A batch with a prefix that is none is refused
// whole.
func (f *Filter) BanAll(bans []Ban) (int, error) {
	done := 0
	entries := make([]entry, 0, min(len(bans), batch))
	for chunk := range slices.Chunk(bans, batch) {
		entries = entries[:0]
		now := now()
		for _, b := range chunk {
			e, err := entryOf(b, now)
			if err != nil {
				return done, fmt.Errorf("ban: %w", err)
			}
			entries = append(entries, e)
		}
		err := f.changing(func() error {
			n, err := f.put(entries)
			done += n
			return err
		})
		if err != nil {
			return done, fmt.Errorf("ban %d of %d: %w", done+1, len(bans), err)
		}
	}
	return done, nil
}

// Unban lifts the ban of exactly this prefix and says whether there was one.
// Larger and smaller networks that are banned stay so.
func (f *Filter) Unban(p netip.Prefix) (bool, error) {
	p, err := plain(p)
	if err != nil {
		return false, fmt.Errorf("unban: %w", err)
	}
	err = f.changing(func() error {
		if f.hosts.include(p) {
			return f.maps.Hosts.Delete(addressKey(p.Addr()))
		}
		return f.maps.Networks.Delete(networkKey(p))
	})
	switch {
	case errors.Is(err, ebpf.ErrKeyNotExist):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("unban %v: %w", p, err)
	}
	return true, nil
}

// Lookup returns the ban that a packet from the address would meet now, and
// whether there is one. It does not ask whether the address is exempt.
func (f *Filter) Lookup(a netip.Addr) (Ban, bool, error) {
	a = a.Unmap().WithZone("")
	if !a.IsValid() {
		return Ban{}, false, errors.New("look up ban: want an address")
	}
	now := now()
	var e entry
	found := false
	err := f.reading(func() (err error) {
		e.prefix = f.hosts.of(a)
		if f.hosts.include(e.prefix) {
			if e.value, found, err = get(f.maps.Hosts, addressKey(e.prefix.Addr())); err != nil || found && now.boot < e.value.Until {
				return err
			}
		}
		k := networkKey(netip.PrefixFrom(a, a.BitLen()))
		for {
			if e.value, found, err = get(f.maps.Networks, k); err != nil || !found {
				return err
			}
			k.Head = k.Head>>32<<32 | uint64(e.value.Bits)
			if now.boot < e.value.Until {
				e.prefix = k.prefix().Masked()
				return nil
			}
			k.Head--
		}
	})
	if err != nil {
		return Ban{}, false, fmt.Errorf("look up ban of %v: %w", a, err)
	}
	if !found {
		return Ban{}, false, nil
	}
	return e.ban(now), true, nil
}

// exact returns the entry of p, expired or not.
func (f *Filter) exact(p netip.Prefix) (xdpBan, bool, error) {
	if f.hosts.include(p) {
		return get(f.maps.Hosts, addressKey(p.Addr()))
	}
	k := networkKey(p)
	v, found, err := get(f.maps.Networks, k)
	return v, found && v.Bits == k.bits(), err
}

func get[K any](m *ebpf.Map, k K) (xdpBan, bool, error) {
	var v xdpBan
	switch err := m.Lookup(k, &v); {
	case errors.Is(err, ebpf.ErrKeyNotExist):
		return v, false, nil
	case err != nil:
		return v, false, err
	}
	return v, true, nil
}

// entry is a ban as the kernel has it.
type entry struct {
	prefix netip.Prefix
	value  xdpBan
}

func entryOf(b Ban, now instant) (entry, error) {
	p, err := plain(b.Prefix)
	if err != nil {
		return entry{}, err
	}
	if b.Since.IsZero() {
		b.Since = now.wall
	}
	return entry{prefix: p, value: xdpBan{
		Until:   now.until(b.Until),
		Since:   uint32(min(max(b.Since.Unix(), 0), 1<<32-1)),
		Reason:  b.Reason,
		Packets: b.Packets,
		Bytes:   b.Bytes,
	}}, nil
}

func (e entry) ban(now instant) Ban {
	return Ban{
		Prefix:  e.prefix,
		Until:   now.time(e.value.Until),
		Since:   time.Unix(int64(e.value.Since), 0),
		Reason:  e.value.Reason,
		Packets: e.value.Packets,
		Bytes:   e.value.Bytes,
	}
}

// put puts entries in force, in their order, and returns how many: when one fails,
// exactly those before it are in the kernel. Hosts that follow one another go at
// once.
func (f *Filter) put(entries []entry) (int, error) {
	keys := make([]xdpAddress, 0, len(entries))
	values := make([]xdpBan, 0, len(entries))
	done := 0
	for done < len(entries) {
		keys, values = keys[:0], values[:0]
		for _, e := range entries[done:] {
			if !f.hosts.include(e.prefix) {
				break
			}
			keys = append(keys, addressKey(e.prefix.Addr()))
			values = append(values, e.value)
		}
		if len(keys) == 0 {
			if err := f.putNetwork(entries[done], ebpf.UpdateAny); err != nil {
				return done, err
			}
			done++
			continue
		}
		n, err := putAll(f.maps.Hosts, keys, values)
		done += n
		if err != nil {
			return done, fmt.Errorf("%d hosts: %w", f.options.MaxBans, err)
		}
	}
	return done, nil
}

// putMissing puts in force those entries whose prefixes are not banned yet.
func (f *Filter) putMissing(entries []entry) error {
	for _, e := range entries {
		var err error
		if f.hosts.include(e.prefix) {
			err = full(f.maps.Hosts.Update(addressKey(e.prefix.Addr()), e.value, ebpf.UpdateNoExist))
		} else {
			err = f.putNetwork(e, ebpf.UpdateNoExist)
		}
		if err != nil && !errors.Is(err, ebpf.ErrKeyExist) {
			return err
		}
	}
	return nil
}

func (f *Filter) putNetwork(e entry, flags ebpf.MapUpdateFlags) error {
	k := networkKey(e.prefix)
	e.value.Bits = k.bits()
	if err := full(f.maps.Networks.Update(k, e.value, flags)); err != nil {
		return fmt.Errorf("%d networks: %w", f.options.MaxPrefixes, err)
	}
	return nil
}

// patience is how often an entry is tried again for which the kernel had no
// memory at hand: what it has set aside is refilled while we wait, and a
// machine that is out of memory shows in the last try.
const patience = 10

func putAll(m *ebpf.Map, keys []xdpAddress, values []xdpBan) (int, error) {
	done := 0
	for tries := 0; done < len(keys); {
		n, err := m.BatchUpdate(keys[done:], values[done:], nil)
		if n > 0 {
			tries = 0
		}
		done += n
		switch {
		case errors.Is(err, syscall.ENOMEM) && tries < patience:
			tries++
			time.Sleep(time.Millisecond << tries)
		case err != nil:
			return done, full(err)
		}
	}
	return done, nil
}

// full names the errors by which hash tables and tries refuse one more.
func full(err error) error {
	if errors.Is(err, syscall.E2BIG) || errors.Is(err, syscall.ENOSPC) {
		return ErrFull
	}
	return err
}
