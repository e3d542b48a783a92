package bpf

import (
	"fmt"
)

// Count is packets and their bytes, Ethernet headers included.
type Count struct {
	Packets, Bytes uint64
}

// Counters is what has come to the interfaces.
type Counters struct {
	// Verdicts has every Verdict. It counts from when the maps were made, so
	// it goes on when a process takes over from another.
	Verdicts map[Verdict]Count
	// EventsLost counts events that Events did not get, since Open.
	EventsLost uint64
}

// Counters reads them. They are kept for each CPU and added up here: while
// packets come in, they are not of one moment.
func (f *Filter) Counters() (Counters, error) {
	c := Counters{Verdicts: make(map[Verdict]Count)}
	err := f.reading(func() error {
		var counts []xdpCount
		for v := range Verdicts() {
			if err := f.maps.Counts.Lookup(uint32(v), &counts); err != nil {
				return err
			}
			var sum Count
			for _, n := range counts {
				sum.Packets += n.Packets
				sum.Bytes += n.Bytes
			}
			c.Verdicts[v] = sum
		}
		var tellings []xdpTelling
		if err := f.maps.Tellings.Lookup(uint32(0), &tellings); err != nil {
			return err
		}
		for _, t := range tellings {
			c.EventsLost += t.Lost
		}
		return nil
	})
	if err != nil {
		return Counters{}, fmt.Errorf("read counters: %w", err)
	}
	return c, nil
}
