package segment

import (
	"runtime"
	"runtime/debug"
)

// eachStep is how many rows are copied at a time.
const eachStep = 1024

// Each calls yield with every distinct serial and its entry, in no order that
// means anything, until yield returns false. The serial is yield's for the time
// of the call. The error is a [*DamagedError]; what was yielded before it was
// right.
func (s *Segment) Each(yield func(serial []byte, e Entry) bool) error {
	defer runtime.KeepAlive(s) // the body is not the garbage collector's
	if damage := s.damaged(); damage != nil {
		return damage
	}
	rows := make([]copied, 0, eachStep)
	var arena []byte
	for k := range s.tables {
		t := &s.tables[k]
		for first := 0; first < int(t.count); first += eachStep {
			count := min(eachStep, int(t.count)-first)
			var damage *DamagedError
			if rows, arena, damage = s.copyRows(t, first, count, rows[:0], arena[:0]); damage != nil {
				return damage
			}
			for i := range rows {
				if r := &rows[i]; !yield(arena[r.from:r.to], r.entry) {
					return nil
				}
			}
		}
	}
	return nil
}

// copied is a row outside of the body: its serial is part of an arena.
type copied struct {
	from, to int
	entry    Entry
}

// copyRows copies rows out of the body, so that a page that cannot be read is
// met here and not by whoever looks at them.
func (s *Segment) copyRows(t *table, first, count int, rows []copied, arena []byte) (_ []copied, _ []byte, damage *DamagedError) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer s.caught(&damage)
	start := t.rows + first*t.stride
	if damage := s.check(start, count*t.stride); damage != nil {
		return nil, nil, damage
	}
	for i := range count {
		at := s.body[start+i*t.stride:][:t.stride]
		serial := unextend(at[:t.width])
		if t.kind == long {
			if serial, damage = s.octets(t, at); damage != nil {
				return nil, nil, damage
			}
		}
		rows = append(rows, copied{from: len(arena), to: len(arena) + len(serial), entry: s.packing.entry(at[t.width:])})
		arena = append(arena, serial...)
	}
	return rows, arena, nil
}

// unextend takes off what extend has put before a minimal serial.
func unextend(key []byte) []byte {
	for len(key) > 1 && !minimal(key) {
		key = key[1:]
	}
	return key
}
