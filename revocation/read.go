package revocation

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"time"
)

// Parse reads every CRL in data as [Read] does, into memory and without bounds:
// the size of data is the caller's to bound. data may be changed afterwards.
func Parse(data []byte) ([]*List, error) {
	r := newReading(context.Background(), unbounded)
	r.input.over(data)
	return r.lists()
}

// Read reads every CRL from in, which may hold one list in DER, or any number of
// PEM blocks labelled X509 CRL with text around them, with LF or CRLF and with a
// UTF-8 byte order mark. The lists are in the order of the input. It needs about
// half a megabyte of memory and what o.Dir does not take.
//
// All or nothing: no list at all, one defect anywhere, a list over the bounds of
// o, or another label is an error, which names the block, the field and what was
// wanted. What is taken and what is not follows RFC 5280 section 5 and is told
// in the package documentation. Signatures are not verified, only their
// algorithm judged. When ctx ends, so does Read, with its error, once in returns
// from the Read it is in. An error of o.Dir is an error of Read.
func Read(ctx context.Context, in io.Reader, o Options) ([]*List, error) {
	o, err := o.filled()
	if err != nil {
		return nil, err
	}
	r := newReading(ctx, o)
	r.input.from(in)
	return r.lists()
}

// reading is one call of Read.
type reading struct {
	ctx   context.Context
	o     Options
	input window
	done  Progress  // up to the list being read
	told  time.Time // when o.Progress was last
	now   *listReader
	made  []string // names of files in o.Dir that were not there before
}

func newReading(ctx context.Context, o Options) *reading {
	return &reading{ctx: ctx, o: o, told: time.Now()}
}

// lists reads all of the input.
func (r *reading) lists() (lists []*List, err error) {
	r.input.turn = r.turn
	if err := r.ctx.Err(); err != nil {
		return nil, err
	}
	binary, err := isDER(&r.input)
	switch {
	case err != nil:
	case binary:
		var l *List
		l, err = r.list(&r.input)
		lists = []*List{l}
	default:
		lists, err = r.blocks()
	}
	if err != nil {
		if r.o.Dir != nil {
			r.o.Dir.remove(r.made)
		}
		return nil, err
	}
	r.tell()
	return lists, nil
}

// blocks reads PEM.
func (r *reading) blocks() (lists []*List, err error) {
	text := &pemText{w: &r.input, max: r.o.MaxSize}
	if err := text.skipMark(); err != nil {
		return nil, err
	}
	var block window
	for n := 1; ; n++ {
		found, err := text.next()
		if err == nil && !found {
			break
		}
		if err == nil && n > r.o.MaxLists {
			err = fmt.Errorf("more than %d CRLs", r.o.MaxLists)
		}
		var l *List
		if err == nil {
			block.from(text)
			l, err = r.list(&block)
		}
		if err != nil {
			return nil, fmt.Errorf("PEM block %d: %w", n, err)
		}
		lists = append(lists, l)
	}
	if len(lists) == 0 {
		return nil, errNoList
	}
	return lists, nil
}

func (r *reading) list(w *window) (*List, error) {
	r.done.List++
	r.now = &listReader{w: w, reading: r}
	l, err := r.now.read()
	r.done.Entries += r.now.entries.count
	r.now = nil
	return l, err
}

// turn comes before each look at the input.
func (r *reading) turn() error {
	if err := r.ctx.Err(); err != nil {
		return err
	}
	if r.o.Progress != nil && time.Since(r.told) >= 100*time.Millisecond {
		r.tell()
		r.told = time.Now()
	}
	return nil
}

func (r *reading) tell() {
	if r.o.Progress == nil {
		return
	}
	p := r.done
	p.Bytes = r.input.base + int64(r.input.end)
	if r.now != nil {
		p.Entries += r.now.entries.count
	}
	r.o.Progress(p)
}

// isDER tells a list in DER, however broken, from text that begins with the same
// octet, the digit 0. A second octet below 0x80 would make a list shorter than
// any text that has one in it; from 0x80 to 0x9f it is no character of Latin-1,
// nor of UTF-8 behind a digit.
func isDER(w *window) (bool, error) {
	if two, err := w.has(2); err != nil || !two {
		return bytes.Equal(w.rest(), []byte{tagSequence}), err
	}
	first, second := w.buf[w.at], w.buf[w.at+1]
	if first != tagSequence || second >= 0x80 {
		return first == tagSequence && second < 0xa0, nil
	}
	longer, err := w.has(2 + int(second) + 1)
	return !longer, err
}
