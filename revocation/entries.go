package revocation

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sallyport/sallyport/revocation/internal/segment"
)

// entryReader reads a revokedCertificates and stages its entries.
type entryReader struct {
	staged     *segment.Builder
	max        int  // how many entries there may be
	extensions bool // whether they may have any: version 2
	months     *[utcMonths + 1]int32

	count   int
	removal int    // number of the first entry with removeFromCRL, 0: none
	unknown []byte // id of the first critical extension not understood
}

// read reads the entries up to a position.
func (r *entryReader) read(w *window, end int64) error {
	for w.pos() < end {
		there := w.rest()
		there = there[:min(int64(len(there)), end-w.pos())]
		taken, err := r.readPlain(there)
		w.at += taken
		if err == nil && w.pos() < end {
			err = r.readOne(w, end) // of another form, or not all there
		}
		if err != nil {
			return fmt.Errorf("entry %d: %w", r.count, err)
		}
	}
	return nil
}

// plainReason is crlEntryExtensions with a reasonCode that is not critical, but
// for its value, and nothing else.
const plainReason = "\x30\x0c\x30\x0a\x06\x03\x55\x1d\x15\x04\x03\x0a\x01"

// utcTimeSize is the size of a UTCTime, its header included.
const utcTimeSize = 2 + 13

// readPlain takes entries off b while they are of the form that nearly all have:
// lengths of one octet, a UTCTime, no extension or a reasonCode only. What looks
// any other way, wrong or not, it leaves to readOne.
func (r *entryReader) readPlain(b []byte) (taken int, err error) {
	for {
		rest := b[taken:]
		if len(rest) < minEntry || rest[0] != tagSequence || rest[1] >= 0x80 || rest[2] != tagInteger {
			return taken, nil
		}
		size, length := 2+int(rest[1]), int(rest[3])
		if len(rest) < size || length == 0 || 4+length+utcTimeSize > size {
			return taken, nil
		}
		serial, tail := rest[4:4+length], rest[4+length:size]
		if length > 1 && (serial[0] == 0 && serial[1] < 0x80 || serial[0] == 0xff && serial[1] >= 0x80) {
			return taken, nil
		}
		reason := byte(0)
		switch len(tail) {
		case utcTimeSize:
		case utcTimeSize + len(plainReason) + 1:
			reason = tail[len(tail)-1]
			if string(tail[utcTimeSize:len(tail)-1]) != plainReason || !r.extensions ||
				reason > byte(AACompromise) || reason == 7 || reason == byte(RemoveFromCRL) {
				return taken, nil
			}
		default:
			return taken, nil
		}
		at, ok := r.utcTime(tail)
		if !ok {
			return taken, nil
		}
		if err := r.stage(serial, segment.Entry{At: at, Reason: reason}); err != nil {
			return taken, err
		}
		taken += size
	}
}

// readOne takes one entry of any form.
func (r *entryReader) readOne(w *window, end int64) error {
	number := r.count + 1
	_, whole, err := w.element(tagSequence, end)
	if err == nil && len(whole) < minEntry {
		err = fmt.Errorf("%d bytes: want a serial and a date", len(whole))
	}
	var e entry
	if err == nil {
		in := der(whole)
		e, err = in.entry(r.extensions)
	}
	if err != nil {
		r.count = number
		return err
	}
	if Reason(e.says.Reason) == RemoveFromCRL && r.removal == 0 {
		r.removal = number
	}
	if r.unknown == nil {
		r.unknown = bytes.Clone(e.unknown)
	}
	return r.stage(e.serial, e.says)
}

func (r *entryReader) stage(serial []byte, e segment.Entry) error {
	if r.count++; r.count > r.max {
		return fmt.Errorf("want at most %d entries", r.max)
	}
	return r.staged.Add(serial, e)
}

// finish tells the list of its entries, once its extensions are known.
func (r *entryReader) finish(l *List) error {
	if r.removal > 0 && l.base == nil {
		return fmt.Errorf("entry %d: %w", r.removal, errRemoval)
	}
	l.entries, l.unknownEntry = r.count, r.unknown
	return nil
}

var errRemoval = errors.New("reasonCode removeFromCRL in a list that is no delta")

// utcMonths are the months that a UTCTime can be in, from January 1950 on.
const utcMonths = 100 * 12

// monthDays are the days from the Unix epoch to the first of each of these
// months and of the one after them: the calendar, so that an entry of a long list
// need not work it out.
var monthDays = sync.OnceValue(func() *[utcMonths + 1]int32 {
	days := new([utcMonths + 1]int32)
	for i := range days {
		days[i] = int32(time.Date(1950, time.Month(1+i), 1, 0, 0, 0, 0, time.UTC).Unix() / secondsPerDay)
	}
	return days
})

const secondsPerDay = 24 * 60 * 60

// utcTime reads the UTCTime that b begins with as Unix seconds. It is parseTime
// for those in a hurry; where it is not ok, parseTime has to say why.
func (r *entryReader) utcTime(b []byte) (at int64, ok bool) {
	if b[0] != tagUTCTime || b[1] != utcTimeSize-2 || b[utcTimeSize-1] != 'Z' {
		return 0, false
	}
	date, ok := digitPairs(binary.LittleEndian.Uint64(b[2:]))   // YYMMDDhh
	clock, ok2 := digitPairs(binary.LittleEndian.Uint64(b[6:])) // DDhhmmss
	year, month, day := date&0xff, date>>16&0xff-1, date>>32&0xff
	hour, minute, second := date>>48&0xff, clock>>32&0xff, clock>>48&0xff
	if !ok || !ok2 || month > 11 || hour > 23 || minute > 59 || second > 59 {
		return 0, false
	}
	if year += 50; year >= 100 { // 1950 to 2049
		year -= 100
	}
	first, next := r.months[year*12+month], r.months[year*12+month+1]
	if day == 0 || day > uint64(next-first) {
		return 0, false
	}
	return (int64(first)+int64(day)-1)*secondsPerDay + int64(hour*3600+minute*60+second), true
}

// digitPairs reads eight decimal digits, the first in the lowest byte, as four
// numbers of two, each in the lower byte of 16 bits.
func digitPairs(x uint64) (pairs uint64, ok bool) {
	x ^= 0x3030303030303030
	ok = (x|(x+0x0606060606060606))&0xf0f0f0f0f0f0f0f0 == 0
	return (x*10 + x>>8) & 0x00ff00ff00ff00ff, ok
}
