package segment

import "encoding/binary"

// Entry is what is kept beside a serial.
type Entry struct {
	At     int64 // seconds since 1970, within 2^59 of it
	Reason uint8 // 0 to 15
}

// ExactTimes is the largest number of entries, equal serials counted each, of
// which [Segment.Find] gives At to the second.
const ExactTimes = 131072

// The tables of larger lists hold an Entry in two octets: four bits of reason
// and how many days it is before the latest.
const (
	maxAge     = 1<<12 - 1 // days
	secondsDay = 24 * 60 * 60
	maxAt      = 1 << 59
	maxReason  = 15
)

// packing is how the entries of a segment are written beside their serials.
type packing struct {
	Days   uint64 // 0: to the second, 1: to the day
	Latest int64  // day of the latest entry, in days since 1970
}

func newPacking(entries int, latest int64) packing {
	if entries <= ExactTimes {
		return packing{}
	}
	return packing{Days: 1, Latest: day(latest)}
}

// day is the UTC day of a time, rounded down before 1970 too.
func day(at int64) int64 {
	days := at / secondsDay
	if at%secondsDay < 0 {
		days--
	}
	return days
}

func (p packing) width() int {
	if p.Days != 0 {
		return 2
	}
	return 8
}

// append writes e behind row.
func (p packing) append(row []byte, e Entry) []byte {
	if p.Days == 0 {
		return binary.LittleEndian.AppendUint64(row, uint64(e.At)<<4|uint64(e.Reason))
	}
	age := min(p.Latest-day(e.At), maxAge)
	return binary.LittleEndian.AppendUint16(row, uint16(age)<<4|uint16(e.Reason))
}

// entry reads what append wrote.
func (p packing) entry(b []byte) Entry {
	if p.Days == 0 {
		word := binary.LittleEndian.Uint64(b)
		return Entry{At: int64(word) >> 4, Reason: uint8(word & maxReason)}
	}
	word := binary.LittleEndian.Uint16(b)
	return Entry{At: (p.Latest - int64(word>>4)) * secondsDay, Reason: uint8(word & maxReason)}
}
