package bpf

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"github.com/cilium/ebpf"
)

// load puts the program into the kernel with a table of its own. Once it is there
// nobody changes the table: what another says takes another program.
func (s *Steering) load(t *Table, sockets []*net.TCPListener) (*steered, error) {
	spec, err := loadSteer()
	if err != nil {
		return nil, err
	}
	slots, list := slotsOf(sockets)
	spec.Maps[steerMapPlaces].MaxEntries = uint32(max(t.entries, 1))
	spec.Maps[steerMapSockets].MaxEntries = uint32(len(list) + 1) // and one that stays empty

	if err := s.countFor(t); err != nil {
		return nil, err
	}
	loaded := &steered{table: t}
	options := ebpf.CollectionOptions{MapReplacements: map[string]*ebpf.Map{steerMapSteered: s.counts}}
	if err := spec.LoadAndAssign(&loaded.objects, &options); err != nil {
		return nil, fmt.Errorf("load sk_lookup program: %w", err)
	}
	if err := loaded.fill(list, slots); err != nil {
		return nil, errors.Join(err, loaded.close())
	}
	return loaded, nil
}

// fill writes the table into the maps.
func (s *steered) fill(list []*net.TCPListener, slots []int) error {
	t := s.table
	for slot, l := range list {
		if err := putSocket(s.objects.Sockets, uint32(slot), l); err != nil {
			return err
		}
	}
	for class, in := range t.classes {
		for _, i := range in {
			key, value := placeKey(class+1, t.destinations[i].Prefix), steerSteering{Destination: t.destinations[i].key(), Socket: uint64(slots[i])}
			if err := s.objects.Places.Put(key, value); err != nil {
				return fmt.Errorf("steer %v: %w", t.destinations[i], err)
			}
		}
	}
	var classes steerPortClasses
	for i, class := range t.classOf {
		for port := t.starts[i]; port < t.end(i); port++ {
			classes.OfPort[port] = uint16(class)
		}
	}
	if err := s.objects.Classes.Put(uint32(0), &classes); err != nil {
		return fmt.Errorf("write classes of ports: %w", err)
	}
	return nil
}

// slotsOf returns the slot of each destination's socket, and the sockets by slot.
// What has none gets the slot behind them.
func slotsOf(sockets []*net.TCPListener) (slots []int, list []*net.TCPListener) {
	slots = make([]int, len(sockets))
	known := map[*net.TCPListener]int{}
	for i, l := range sockets {
		if l == nil {
			slots[i] = -1
			continue
		}
		slot, ok := known[l]
		if !ok {
			slot = len(list)
			known[l] = slot
			list = append(list, l)
		}
		slots[i] = slot
	}
	for i := range slots {
		if slots[i] < 0 {
			slots[i] = len(list)
		}
	}
	return slots, list
}

func putSocket(m *ebpf.Map, slot uint32, l *net.TCPListener) error {
	raw, err := l.SyscallConn()
	if err != nil {
		return err
	}
	var put error
	if err := raw.Control(func(fd uintptr) { put = m.Put(slot, uint64(fd)) }); err != nil {
		return fmt.Errorf("socket %v: %w", l.Addr(), err)
	}
	if errors.Is(put, syscall.EOPNOTSUPP) {
		return fmt.Errorf("socket %v: %w: want TCP, not MPTCP, and a socket that listens", l.Addr(), put)
	}
	if put != nil {
		return fmt.Errorf("socket %v: %w", l.Addr(), put)
	}
	return nil
}

// placeKey is the key of a prefix, for the ports of a class.
func placeKey(class int, p netip.Prefix) steerPlace {
	bits, family := 32+p.Bits(), uint64(familyIPv6) // class and family stand before the address
	if p.Addr().Is4() {
		bits, family = bits+mappedBits, familyIPv4
	}
	return steerPlace{Head: family<<48 | uint64(class)<<32 | uint64(bits), Address: steerAddress{Bytes: p.Addr().As16()}}
}

// key is what a destination is counted under.
func (d Destination) key() steerDestination {
	return steerDestination{Prefix: steerAddress{Bytes: d.Prefix.Addr().As16()}, Bits: uint32(d.Prefix.Bits()), First: d.First, Last: d.Last}
}
