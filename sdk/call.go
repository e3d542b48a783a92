package sdk

import (
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/sdk/frame"
)

// call is one call under way. Values of it are used again for later calls, and
// what a hook holds of it carries the turn in which it was given, so that who
// keeps it too long is told, and does not read of another client.
type call struct {
	session *session
	ctx     *callContext
	kind    frame.Type
	id      uint32
	body    []byte
	turn    atomic.Uint64
	epoch   uint64 // of invalidations, when the call began

	cancelled bool // of a concurrent session; guarded by its lock
}

// load takes a frame and begins a turn. The body is not copied.
func (c *call) load(f frame.Frame) error {
	if err := checkFields(f); err != nil {
		return err
	}
	c.kind, c.id, c.body = f.Type, f.ID, f.Body
	c.epoch, c.cancelled = c.session.out.epoch.Load(), false
	c.ctx = c.ctx.begin()
	return nil
}

// connection is what a hook gets for this turn.
func (c *call) connection() Connection { return Connection{c, c.turn.Load()} }

// over ends the turn.
func (c *call) over() {
	c.turn.Add(1)
	c.ctx.end()
}

// checkFields refuses a call that has a field in another form than its kind's.
// Fields that are not known are those of a newer edge, and skipped.
func checkFields(f frame.Frame) error {
	var seen [frame.TagLimit / 64]uint64
	it := f.Fields()
	for tag, value, ok := it.Next(); ok; tag, value, ok = it.Next() {
		kind, good := tag.Kind(), true
		switch kind {
		case 0, frame.List:
			continue
		case frame.Header:
			if _, _, good = frame.Pair(value); good {
				continue
			}
		case frame.Number, frame.Time:
			_, good = frame.Uint(value)
		case frame.Truth:
			_, good = frame.Bool(value)
		case frame.Hash:
			good = len(value) == 32
		}
		if !good {
			return fmt.Errorf("%w: %v: %v of %d bytes", frame.ErrMalformed, f.Type, tag, len(value))
		}
		if seen[tag/64]&(1<<(tag%64)) != 0 {
			return fmt.Errorf("%w: %v: %v twice", frame.ErrMalformed, f.Type, tag)
		}
		seen[tag/64] |= 1 << (tag % 64)
	}
	return it.Err()
}

// ask gives the call behind what a hook holds, once it is clear that the field may
// be asked for.
func (h Connection) ask(tag frame.Tag) *call {
	h.check()
	if !h.call.session.declared.plain[tag] {
		panic(fmt.Sprintf("field %v was not declared: add it to the manifest's Needs", tag))
	}
	return h.call
}

func (h Connection) check() {
	if h.call == nil || h.call.turn.Load() != h.turn {
		panic("used after its hook has returned")
	}
}

// first gives the value of a field that is there once, or nil.
func (c *call) first(tag frame.Tag) []byte {
	it := frame.FieldsOf(c.body)
	for t, value, ok := it.Next(); ok; t, value, ok = it.Next() {
		if t == tag {
			return value
		}
	}
	return nil
}

func (h Connection) text(tag frame.Tag) string { return string(h.ask(tag).first(tag)) }

func (h Connection) number(tag frame.Tag) uint64 {
	n, _ := frame.Uint(h.ask(tag).first(tag))
	return n
}

func (h Connection) truth(tag frame.Tag) bool {
	b, ok := frame.Bool(h.ask(tag).first(tag))
	return ok && b
}

func (h Connection) time(tag frame.Tag) time.Time {
	n, ok := frame.Uint(h.ask(tag).first(tag))
	if !ok {
		return time.Time{}
	}
	return time.Unix(int64(n), 0).UTC()
}

func (h Connection) list(tag frame.Tag) []string {
	var list []string
	it := frame.FieldsOf(h.ask(tag).body)
	for t, value, ok := it.Next(); ok; t, value, ok = it.Next() {
		if t == tag {
			list = append(list, string(value))
		}
	}
	return list
}

// header calls yield with each value of the named header, in order, until that
// returns false.
func (h Connection) header(tag frame.Tag, name string, yield func(value []byte) bool) {
	h.check()
	if !h.call.session.declared.header(tag, name) {
		kind := "header:"
		if tag == frame.TagResponseHeader {
			kind = "response_header:"
		}
		panic(fmt.Sprintf("field %s%s was not declared: add it to the manifest's Needs", kind, strings.ToLower(name)))
	}
	it := frame.FieldsOf(h.call.body)
	for t, value, ok := it.Next(); ok; t, value, ok = it.Next() {
		if t != tag {
			continue
		}
		if n, v, _ := frame.Pair(value); equalFold(n, name) && !yield(v) {
			return
		}
	}
}

// headers calls yield with each header line, in order.
func (h Connection) headers(tag frame.Tag, yield func(name, value string) bool) {
	it := frame.FieldsOf(h.ask(tag).body)
	for t, value, ok := it.Next(); ok; t, value, ok = it.Next() {
		if t != tag {
			continue
		}
		if n, v, _ := frame.Pair(value); !yield(string(n), string(v)) {
			return
		}
	}
}

// equalFold compares the names of headers without regard to the case of ASCII
// letters.
func equalFold(a []byte, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + ('a' - 'A')
	}
	return c
}
