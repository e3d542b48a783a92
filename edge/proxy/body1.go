package proxy

import (
	"io"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/edge/http1"
)

// body1 is the body of a request of HTTP/1.1, as far as it was not read.
type body1 struct {
	left    int64 // of one with a length
	chunked bool
	chunks  http1.Decoder
	held    bool // waits for 100 Continue, which was not sent
	// spoiled says that it cannot be read on. The goroutine of the body sets it.
	spoiled atomic.Bool
}

// whole says whether the body was read to its end.
func (b *body1) whole() bool {
	if b.chunked {
		return b.chunks.Done()
	}
	return b.left == 0 && !b.spoiled.Load()
}

// buffered takes what came with the head.
func (c *conn1) buffered() (p []byte, whole bool, err error) {
	b := &c.body
	b.held = c.x.about.expects && c.x.req.Minor > 0
	p = c.x.in[c.r:c.w]
	if len(p) > 0 {
		b.held = false
	}
	n, taken, err := b.take(p)
	c.r += taken
	if err == nil && !b.whole() {
		// The time for the head is over; that for the body is the idle timer's.
		c.Conn.Conn.SetReadDeadline(time.Time{})
	}
	return p[:n], b.whole(), err
}

// take takes the framing off p, in place.
func (b *body1) take(p []byte) (data, taken int, err error) {
	if !b.chunked {
		n := int(min(b.left, int64(len(p))))
		b.left -= int64(n)
		return n, n, nil
	}
	data, taken, found := b.chunks.Decode(p)
	if found.Class != http1.Compliant {
		b.spoiled.Store(true)
		return data, taken, &malformedError{found.Reason}
	}
	return data, taken, nil
}

// read reads the body.
func (c *conn1) read(p []byte) (int, error) {
	b := &c.body
	for {
		if b.whole() {
			return 0, io.EOF
		}
		if !b.chunked && int64(len(p)) > b.left {
			p = p[:b.left]
		}
		n, err := c.Conn.Conn.Read(p)
		if n == 0 && err != nil {
			b.spoiled.Store(true)
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return 0, err
		}
		data, taken, err := b.take(p[:n])
		if taken < n {
			c.rest = append([]byte(nil), p[taken:n]...)
		}
		switch {
		case err != nil:
			return data, err
		case b.whole():
			return data, io.EOF
		case data > 0:
			return data, nil
		}
	}
}

func (c *conn1) trailers() []http1.Field { return c.body.chunks.Trailers }

// proceed sends 100 Continue.
func (c *conn1) proceed() error {
	c.body.held = false
	return c.send([]byte("HTTP/1.1 100 Continue\r\n\r\n"))
}

// hurry bounds the time for the rest of the body.
func (c *conn1) hurry() { c.Conn.Conn.SetReadDeadline(time.Now().Add(lingerTime)) }

// discard reads the rest of a body away that nobody wants. It says whether it
// came to the end.
func (c *conn1) discard() bool {
	b := &c.body
	if b.spoiled.Load() || b.held || b.left > maxDiscard {
		return false
	}
	if c.r < c.w {
		if _, taken, err := b.take(c.x.in[c.r:c.w]); err != nil {
			return false
		} else if c.r += taken; b.whole() {
			return true
		}
	}
	c.hurry()
	room := buffers.Get().(*buffer)
	defer buffers.Put(room)
	for read := 0; read <= maxDiscard; {
		n, err := c.read(room[:])
		c.x.received.Add(int64(n))
		read += n
		if err != nil {
			return err == io.EOF
		}
	}
	return false
}
