package segment

import (
	"encoding/binary"
	"fmt"
	"runtime/debug"
)

// find is Find, whose caller keeps the mapping.
func (s *Segment) find(serial []byte) (Entry, bool, *DamagedError) {
	if damage := s.damaged(); damage != nil {
		return Entry{}, false, damage
	}
	if len(serial) == 0 || len(serial) > MaxSerial {
		return Entry{}, false, nil
	}
	hash := s.key.hash(serial)
	if !mayHold(s.bits[blockSize*int(place(hash, s.blocks)):], hash) {
		return Entry{}, false, nil
	}
	e, found, damage := s.findRow(serial, hash)
	if !found && damage == nil {
		s.falsePositives.Add(1)
	}
	return e, found, damage
}

// findRow looks the serial up in its table. The other results mean nothing when
// there is damage.
func (s *Segment) findRow(serial []byte, hash uint64) (e Entry, found bool, damage *DamagedError) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer s.caught(&damage)
	t := &s.tables[kindOf(serial)]
	rows, damage := s.bucket(t, hash)
	if damage != nil {
		return Entry{}, false, damage
	}
	// The last octets of a serial differ first, and eight compare as one.
	probe := hash
	var buf [widest]byte
	key := buf[:t.width]
	if t.kind != long {
		extend(key, serial)
		probe = binary.LittleEndian.Uint64(key[t.width-8:])
	}
	for ; len(rows) >= t.stride; rows = rows[t.stride:] {
		row := rows[:t.stride]
		if binary.LittleEndian.Uint64(row[t.width-8:]) != probe {
			continue
		}
		if t.kind != long {
			if string(row[:t.width-8]) != string(key[:t.width-8]) {
				continue
			}
		} else if octets, damage := s.octets(t, row); damage != nil {
			return Entry{}, false, damage
		} else if string(octets) != string(serial) {
			continue
		}
		return s.packing.entry(row[t.width:]), true, nil
	}
	return Entry{}, false, nil
}

// bucket returns the rows among which one with the hash would be.
func (s *Segment) bucket(t *table, hash uint64) ([]byte, *DamagedError) {
	if t.buckets == 0 {
		return nil, nil
	}
	at := t.directory + 4*int(place(hash, t.buckets))
	if damage := s.check(at, 8); damage != nil {
		return nil, damage
	}
	from := binary.LittleEndian.Uint32(s.body[at:])
	to := binary.LittleEndian.Uint32(s.body[at+4:])
	if from > to || to > t.count {
		return nil, s.damage(fmt.Sprintf("bucket from row %d to row %d of %d", from, to, t.count))
	}
	start, size := t.rows+int(from)*t.stride, int(to-from)*t.stride
	if damage := s.check(start, size); damage != nil {
		return nil, damage
	}
	return s.body[start : start+size], nil
}

// octets returns the serial that a row of the long table refers to.
func (s *Segment) octets(t *table, row []byte) ([]byte, *DamagedError) {
	ref := binary.LittleEndian.Uint64(row)
	offset, size := int(ref&(1<<(8*longRef)-1)), int(ref>>(8*longRef))
	if size > MaxSerial || offset+size > t.dataSize {
		return nil, s.damage(fmt.Sprintf("serial of %d octets at %d of %d", size, offset, t.dataSize))
	}
	if damage := s.check(t.data+offset, size); damage != nil {
		return nil, damage
	}
	return s.body[t.data+offset : t.data+offset+size], nil
}
