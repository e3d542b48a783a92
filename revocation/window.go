package revocation

import (
	"errors"
	"fmt"
	"hash"
	"io"
	"sync"
)

// windowSize is how much of an input is in memory at a time.
const windowSize = 256 << 10

// maxField is the most octets that any element of a list may have, other than
// those that hold the entries: what is larger is no CRL but an attempt to fill
// the memory before the signature is looked at. A window has room for the two
// that come before it is known what to do with them, version and algorithm.
const maxField = 64 << 10

// errInputEnds is of an input that ends inside what it said was coming.
var errInputEnds = errors.New("truncated: the input ends")

// window slides over an input of any length: buf[at:end] is read and not yet
// taken. Slices of it hold until the next method that reads.
type window struct {
	r       io.Reader // nil: all of the input is in buf
	buf     []byte
	at, end int
	base    int64 // of buf[0] in the input
	hold    bool  // nothing may leave the buffer yet
	err     error // of r, once it gave one

	// turn is called before each look at r, for a chance to stop. May be nil.
	turn func() error

	// whole is given every byte read, part those from partFrom to partTo. Nil:
	// nothing is. aside says that part is a digest too, so that both can be made
	// while the bytes are read; settle waits for that.
	whole            hash.Hash
	part             io.Writer
	partFrom, partTo int64
	aside            bool
	digesting        sync.WaitGroup
}

// asideFrom is what it takes to be worth another goroutine.
const asideFrom = windowSize / 2

// settle waits until all bytes read are in the digests, and nobody looks at the
// buffer any more.
func (w *window) settle() { w.digesting.Wait() }

// over makes the window one over data, all of which is there.
func (w *window) over(data []byte) {
	w.settle()
	w.buf, w.at, w.end = data, 0, len(data)
	w.reset(nil, io.EOF)
}

// from makes the window one over r, on a buffer that is kept from before.
func (w *window) from(r io.Reader) {
	w.settle()
	if w.r == nil || len(w.buf) < windowSize {
		w.buf = make([]byte, windowSize)
	}
	w.at, w.end = 0, 0
	w.reset(r, nil)
}

// reset makes all but the buffer that of a new window.
func (w *window) reset(r io.Reader, err error) {
	w.r, w.base, w.hold, w.err, w.turn = r, 0, false, err, nil
	w.whole, w.part, w.partFrom, w.partTo, w.aside = nil, nil, 0, 0, false
}

// pos is where in the input the next byte is.
func (w *window) pos() int64 { return w.base + int64(w.at) }

// rest is what can be taken without reading.
func (w *window) rest() []byte { return w.buf[w.at:w.end] }

// need sees to it that n bytes can be taken, n being at most windowSize.
func (w *window) need(n int) error {
	if w.end-w.at >= n {
		return nil
	}
	return w.fill(n)
}

func (w *window) fill(n int) error {
	if w.r == nil {
		return errInputEnds
	}
	w.settle()
	if !w.hold {
		w.base += int64(w.at)
		w.end = copy(w.buf, w.buf[w.at:w.end])
		w.at = 0
	}
	old := w.end
	for idle := 0; w.end-w.at < n && w.err == nil; {
		if w.turn != nil {
			if w.err = w.turn(); w.err != nil {
				break
			}
		}
		var got int
		got, w.err = w.r.Read(w.buf[w.end:])
		w.end += got
		if idle++; got > 0 {
			idle = 0
		} else if idle == 100 && w.err == nil {
			w.err = io.ErrNoProgress
		}
	}
	if err := w.hand(w.buf[old:w.end], w.base+int64(old)); err != nil {
		return err
	}
	switch {
	case w.end-w.at >= n:
		return nil
	case w.err == io.EOF:
		return errInputEnds
	}
	return w.err
}

// hand hands on bytes just read, while the cache still has them.
func (w *window) hand(b []byte, from int64) error {
	if len(b) >= asideFrom && (w.part == nil || w.aside) {
		w.digesting.Go(func() {
			if w.whole != nil {
				w.whole.Write(b) // never fails
			}
			_ = w.handPart(b, from) // nor does this
		})
		return nil
	}
	if w.whole != nil {
		w.whole.Write(b) // never fails
	}
	return w.handPart(b, from)
}

func (w *window) handPart(b []byte, from int64) error {
	if skip := w.partFrom - from; skip > 0 {
		b = b[min(skip, int64(len(b))):]
		from += skip
	}
	if w.part == nil || from >= w.partTo || len(b) == 0 {
		return nil
	}
	_, err := w.part.Write(b[:min(int64(len(b)), w.partTo-from)])
	return err
}

// start begins the digest of all of the input, of which nothing is taken yet.
func (w *window) start(whole hash.Hash) {
	w.settle()
	w.whole = whole
	whole.Write(w.buf[:w.end])
}

// watch hands to, from now on, the bytes between two positions. The window must
// have been on hold since the first of them came, and no longer is. digest says
// that to is one, which never fails.
func (w *window) watch(to io.Writer, digest bool, from, end int64) error {
	w.settle()
	w.hold, w.aside = false, digest
	w.part, w.partFrom, w.partTo = to, from, end
	return w.handPart(w.buf[:w.end], w.base)
}

// has says whether the input has n more bytes, which then can be taken.
func (w *window) has(n int) (bool, error) {
	err := w.need(n)
	if errors.Is(err, errInputEnds) {
		return false, nil
	}
	return err == nil, err
}

// header looks at the next element, which has to end by a position.
func (w *window) header(by int64) (header, error) {
	room := by - w.pos()
	if room < 2 {
		return header{}, errTruncated
	}
	if err := w.need(2); err != nil {
		return header{}, err
	}
	size := 2
	if n := int(w.buf[w.at+1]); n > 0x80 && n <= 0x80+maxHeader-2 {
		if size += n - 0x80; int64(size) > room {
			return header{}, errTruncated
		}
		if err := w.need(size); err != nil {
			return header{}, err
		}
	}
	h, err := parseHeader(w.buf[w.at : w.at+size])
	if err == nil && h.whole() > room {
		err = errTruncated
	}
	return h, err
}

// enter takes the header of an element with this tag that ends by a position,
// and returns where it does.
func (w *window) enter(tag byte, by int64) (end int64, err error) {
	h, err := w.header(by)
	if err != nil {
		return 0, err
	}
	if h.tag != tag {
		return 0, tagError(h.tag, tag)
	}
	w.at += h.size
	return w.pos() + h.length, nil
}

// next takes an element whole that ends by a position, whatever it is.
func (w *window) next(by int64) (tag byte, content, whole []byte, err error) {
	h, err := w.header(by)
	if err == nil && h.whole() > maxField {
		err = fmt.Errorf("%d bytes: want at most %d", h.whole(), maxField)
	}
	if err == nil {
		err = w.need(int(h.whole()))
	}
	if err != nil {
		return 0, nil, nil, err
	}
	whole = w.buf[w.at : w.at+int(h.whole())]
	w.at += len(whole)
	return h.tag, whole[h.size:], whole, nil
}

// element is next for one that must have this tag.
func (w *window) element(want byte, by int64) (content, whole []byte, err error) {
	tag, content, whole, err := w.next(by)
	if err == nil && tag != want {
		return nil, nil, tagError(tag, want)
	}
	return content, whole, err
}

// tag is that of the next element, 0 if none comes before a position.
func (w *window) tag(by int64) (byte, error) {
	if w.pos() >= by {
		return 0, nil
	}
	if err := w.need(1); err != nil {
		return 0, err
	}
	return w.buf[w.at], nil
}
