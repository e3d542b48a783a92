package bpf

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
)

// Destination is where connections go to: every address of a prefix, every port
// from First to Last.
type Destination struct {
	Prefix      netip.Prefix
	First, Last uint16
}

// String returns it as ADDRESS/BITS:FIRST-LAST, in its shortest form.
func (d Destination) String() string {
	host := d.Prefix.String()
	if d.Prefix.IsSingleIP() {
		host = d.Prefix.Addr().String()
	}
	if d.Prefix.Addr().Is6() {
		host = "[" + host + "]"
	}
	port := strconv.Itoa(int(d.First))
	if d.Last != d.First {
		port += "-" + strconv.Itoa(int(d.Last))
	}
	return host + ":" + port
}

// Ports is how many there are.
func (d Destination) Ports() int { return int(d.Last) - int(d.First) + 1 }

// Contains says whether a connection to a goes there.
func (d Destination) Contains(a netip.AddrPort) bool {
	return d.First <= a.Port() && a.Port() <= d.Last && d.Prefix.Contains(a.Addr().Unmap())
}

func (d Destination) check() error {
	switch {
	case !d.Prefix.IsValid() || d.Prefix.Addr().Is4In6() || d.Prefix != d.Prefix.Masked():
		return fmt.Errorf("prefix %v: want an IPv4 or an IPv6 prefix whose further bits are zero", d.Prefix)
	case d.First == 0 || d.First > d.Last:
		return fmt.Errorf("ports %d-%d: want 1 to 65535, the lower one first", d.First, d.Last)
	}
	return nil
}

// Equal says whether d and other meet and neither is the more specific one: they
// have the same prefix, and as many ports.
func (d Destination) Equal(other Destination) bool {
	return d.Prefix == other.Prefix && d.Ports() == other.Ports() && d.First <= other.Last && other.First <= d.Last
}

const (
	// MaxDestinations is how many a Table can have.
	MaxDestinations = 4096
	// maxPlaces bounds what a table of ranges that overlap each other takes in the
	// kernel, at some 100 bytes each.
	maxPlaces = 1 << 18
)

// Table says which of some destinations a connection goes to: of those that
// contain its address and port the one with the longest prefix, and of several
// with that prefix the one with the fewest ports. It is immutable.
type Table struct {
	destinations []Destination

	// The ports, cut wherever a range begins or has ended: piece i goes from
	// starts[i] to before starts[i+1]. Pieces that are in the same ranges are of
	// one class; class 0 is in none.
	starts  []uint32
	classOf []int
	classes [][]int // by class, from 1 on: its destinations, those with longer prefixes first
	entries int
}

// NewTable makes a table. No two destinations may be Equal.
func NewTable(destinations []Destination) (*Table, error) {
	if len(destinations) > MaxDestinations {
		return nil, fmt.Errorf("%d destinations: want at most %d", len(destinations), MaxDestinations)
	}
	t := &Table{destinations: slices.Clone(destinations)}
	var errs []error
	byPrefix := map[netip.Prefix][]Destination{}
	for i, d := range destinations {
		if err := d.check(); err != nil {
			errs = append(errs, fmt.Errorf("destination %d: %w", i, err))
		}
		for _, other := range byPrefix[d.Prefix] {
			if d.Equal(other) {
				errs = append(errs, fmt.Errorf("destinations %v and %v: neither is more specific than the other", other, d))
			}
		}
		byPrefix[d.Prefix] = append(byPrefix[d.Prefix], d)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return t, t.cut()
}

// cut makes the pieces and the classes.
func (t *Table) cut() error {
	t.starts = []uint32{0}
	for _, d := range t.destinations {
		t.starts = append(t.starts, uint32(d.First), uint32(d.Last)+1)
	}
	slices.Sort(t.starts)
	t.starts = slices.DeleteFunc(slices.Compact(t.starts), func(s uint32) bool { return s > 65535 })

	order := make([]int, len(t.destinations))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		x, y := t.destinations[a], t.destinations[b]
		return cmp.Or(cmp.Compare(y.Prefix.Bits(), x.Prefix.Bits()), x.Prefix.Compare(y.Prefix), cmp.Compare(x.Ports(), y.Ports()))
	})
	known := map[string]int{"[]": 0}
	for _, start := range t.starts {
		in := t.in(order, start)
		name := fmt.Sprint(in)
		class, ok := known[name]
		if !ok {
			t.classes = append(t.classes, in)
			class = len(t.classes)
			known[name] = class
			if t.entries += len(in); t.entries > maxPlaces {
				return fmt.Errorf("%d destinations overlap each other's ports too often: want fewer, or the same ranges", len(t.destinations))
			}
		}
		t.classOf = append(t.classOf, class)
	}
	return nil
}

// in returns the destinations of a port, in the order given: of each prefix the
// first.
func (t *Table) in(order []int, port uint32) []int {
	in := []int{}
	for _, i := range order {
		d := t.destinations[i]
		if port < uint32(d.First) || port > uint32(d.Last) {
			continue
		}
		if n := len(in); n > 0 && t.destinations[in[n-1]].Prefix == d.Prefix {
			continue
		}
		in = append(in, i)
	}
	return in
}

// end returns the port behind piece i.
func (t *Table) end(i int) uint32 {
	if i+1 < len(t.starts) {
		return t.starts[i+1]
	}
	return 65536
}

// Destinations are those that the table was made of.
func (t *Table) Destinations() []Destination { return slices.Clone(t.destinations) }

// Lookup returns which destination a connection to a goes to, by its index; false
// if to none. IPv4-in-IPv6 is IPv4.
func (t *Table) Lookup(a netip.AddrPort) (index int, ok bool) {
	piece, found := slices.BinarySearch(t.starts, uint32(a.Port()))
	if !found {
		piece--
	}
	class := t.classOf[piece]
	if class == 0 {
		return 0, false
	}
	addr := a.Addr().Unmap().WithZone("")
	for _, i := range t.classes[class-1] {
		if t.destinations[i].Prefix.Contains(addr) {
			return i, true
		}
	}
	return 0, false
}
