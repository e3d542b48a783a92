package revocation

import (
	"bytes"
	"fmt"
	"time"

	"github.com/sallyport/sallyport/revocation/internal/segment"
)

// Entry is what a list says of one certificate.
type Entry struct {
	// Reason is Unspecified where the list gives none.
	Reason Reason
	// RevokedAt is in UTC, to the second in lists of up to 131,072 entries, to the
	// day in larger ones.
	RevokedAt time.Time
}

// Change is a difference between two lists: a serial that one of them has and the
// other has not, or that both have with something else beside it.
type Change struct {
	// Serial is the content octets of the serial number's INTEGER.
	Serial []byte
	// Before and After are what the lists say; nil where one lacks the serial.
	Before, After *Entry
}

// Diff calls yield with every difference in entries between two lists, first what
// is gone or changed, then what is new, in no order beyond that, until yield
// returns false. It takes about a look-up for each entry of both, and memory for
// none. Whether the lists are of one issuer and scope is not looked at. Times
// are compared to the day where one of the lists has them no better.
//
// An error means that one of the lists has turned out to be damaged
// ([List.Damaged]).
func Diff(before, after *List, yield func(Change) bool) error {
	precision := time.Second
	if max(before.entries, after.entries) > segment.ExactTimes {
		precision = 24 * time.Hour
	}
	going := true
	compare := func(in, other *List, change func(serial []byte, in, other *Entry) *Change) error {
		var failed error
		err := in.each(func(serial []byte, e Entry) bool {
			var there *Entry
			found, listed, err := other.find(serial)
			if err != nil {
				failed = err
				return false
			}
			if listed {
				there = &Entry{Reason(found.Reason), time.Unix(found.At, 0).UTC()}
			}
			if c := change(serial, &e, there); c != nil {
				going = yield(*c)
			}
			return going
		})
		if failed != nil {
			return failed
		}
		return err
	}
	err := compare(before, after, func(serial []byte, was, is *Entry) *Change {
		if is != nil && was.Reason == is.Reason && was.RevokedAt.Truncate(precision).Equal(is.RevokedAt.Truncate(precision)) {
			return nil
		}
		return &Change{bytes.Clone(serial), was, is}
	})
	if err != nil || !going {
		return err
	}
	return compare(after, before, func(serial []byte, is, was *Entry) *Change {
		if was != nil {
			return nil
		}
		return &Change{bytes.Clone(serial), nil, is}
	})
}

// each calls yield with every serial of the list, once.
func (l *List) each(yield func(serial []byte, e Entry) bool) error {
	if err := l.Damaged(); err != nil {
		return err
	}
	err := l.segment.Each(func(serial []byte, e segment.Entry) bool {
		return yield(serial, Entry{Reason(e.Reason), time.Unix(e.At, 0).UTC()})
	})
	if err != nil {
		l.damage(err)
		return fmt.Errorf("read entries: %w", l.Damaged())
	}
	return nil
}
