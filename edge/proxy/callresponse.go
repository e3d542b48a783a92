package proxy

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/sallyport/sallyport/edge/http1"
)

var (
	errStatus   = errors.New("read response: malformed status")
	errSwitches = errors.New("read response: 101 in HTTP/2")
	errLength   = errors.New("read response: malformed or repeated Content-Length")
	errBody     = errors.New("read response: a body where there can be none")
)

// readHead makes x.resp of the response's head, which is judged as one of HTTP/1.1
// is. net/http has seen to its names and values.
func (c *call) readHead() error {
	res, r := c.res, &c.x.resp
	*r = http1.Response{
		Status: res.StatusCode, Minor: 1, Length: http1.Unknown,
		Fields: make([]http1.Field, 0, len(res.Header)+len(res.Trailer)+1),
	}
	// net/http takes a sign and zeros for part of a number.
	if status := strconv.Itoa(res.StatusCode); len(status) != 3 || len(res.Status) < 4 || res.Status[:4] != status+" " {
		return errStatus
	}
	if lengths := res.Header["Content-Length"]; len(lengths) > 1 || len(lengths) == 1 && res.ContentLength < 0 {
		return errLength
	}
	if err := addFields(r, res.Header); err != nil {
		return err
	}
	for name := range res.Trailer {
		r.Fields = append(r.Fields, http1.Field{Name: "Trailer", Value: name, Kind: http1.Trailer})
	}
	if http1.HasBody(c.req.Method, r.Status) {
		if r.Length = res.ContentLength; len(res.Trailer) > 0 && c.x.req.Major == 1 {
			r.Length = http1.Unknown // by HTTP/1.1 only chunks have trailers
		}
		return nil
	}
	if r.Length = http1.None; res.ContentLength >= 0 && r.Status != http.StatusNoContent && len(res.Header["Content-Length"]) > 0 {
		r.Length = res.ContentLength
	}
	if c.req.Method == http.MethodHead {
		return nil // net/http drops what comes
	}
	// It must end here: whoever has had the head of it would not look for more. The
	// body that a 304 has the length of is never there.
	var room [1]byte
	switch n, err := res.Body.Read(room[:]); {
	case n > 0:
		return errBody
	case err != io.EOF && err != io.ErrUnexpectedEOF:
		return err
	}
	return nil
}

// holdBack is how long a response's head waits for the body. What comes within it
// goes to the client with the head in one write, and if it proves to be wrong,
// nothing of it does.
const holdBack = time.Millisecond

// heldHead is the head of a response that may go out without the body, if that
// takes its time.
type heldHead struct {
	mu     sync.Mutex
	timer  *time.Timer
	sent   bool
	closed bool // the exchange's goroutine sees to it
	err    error
}

// hold has the head go out unless close is called before.
func (c *call) hold(now time.Time) {
	h := &c.head
	h.mu.Lock()
	defer h.mu.Unlock()
	h.timer = time.AfterFunc(c.group.hold, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.closed {
			return
		}
		c.x.shared, h.sent = true, true
		c.x.watchIdle(c.x.idle.limit)
		if h.err = c.begin(now); h.err == nil {
			h.err = c.x.flush()
		}
	})
}

// close says whether the head has gone out.
func (h *heldHead) close() (sent bool, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	if h.timer != nil {
		h.timer.Stop()
	}
	return h.sent, h.err
}

// begin sends the head of the response; it came at the time given.
func (c *call) begin(came time.Time) error {
	err := c.x.begin(c.x.resp.Length)
	c.x.record.ResponseProcessing = since(came, time.Now())
	return err
}

// respond passes the target's response on; its head came at the time given.
func (c *call) respond(came time.Time) {
	x := c.x
	if !http1.HasBody(c.req.Method, x.resp.Status) {
		if err := c.begin(came); err != nil {
			x.stopped(err, clientDeaf)
			return
		}
		x.finish(nil, true)
		return
	}
	b, giveBack := c.room()
	defer giveBack()
	length := x.resp.Length
	c.hold(came)
	n, err := c.readFirst(b, length)
	sent, sendErr := c.head.close()
	switch {
	case sendErr != nil:
		x.stopped(sendErr, clientDeaf)
		return
	case !sent && err != nil && err != io.EOF:
		c.failure = err
		x.fail(err)
		return
	case !sent:
		if sendErr = c.begin(came); sendErr != nil {
			x.stopped(sendErr, clientDeaf)
			return
		}
	}
	watched := sent
	watch := func() {
		if !watched {
			watched, x.shared = true, true
			x.watchIdle(x.idle.limit)
		}
	}
	if x.req.Major > 1 && n > 0 && (length < 0 || length > smallBody) {
		watch() // flow control may hold up the first piece
	}
	for {
		if n > 0 {
			if err := x.write(b[:n]); err != nil {
				x.stopped(err, clientDeaf)
				return
			}
		}
		switch {
		case err == io.EOF:
			x.finish(c.trailers(), true)
			return
		case err != nil:
			x.stopped(err, targetIdle)
			return
		}
		watch()
		if err := x.flush(); err != nil {
			x.stopped(err, clientDeaf)
			return
		}
		n, err = c.res.Body.Read(b)
		x.moved()
	}
}

// narrowBuffers are for responses with a narrow window.
var narrowBuffers = sync.Pool{New: func() any { return new([narrowWindow]byte) }}

// room is what a response passes through, until it is given back.
func (c *call) room() (b []byte, giveBack func()) {
	if c.wide {
		b := buffers.Get().(*buffer)
		return b[:], func() { buffers.Put(b) }
	}
	n := narrowBuffers.Get().(*[narrowWindow]byte)
	return n[:], func() { narrowBuffers.Put(n) }
}

// readFirst reads what may go out together with the head: the first piece, or all
// of a body whose length is known, as far as there is room.
func (c *call) readFirst(p []byte, length int64) (n int, err error) {
	for n < len(p) && err == nil {
		var more int
		more, err = c.res.Body.Read(p[n:])
		if n += more; length < 0 {
			break
		}
	}
	return n, err
}

// trailers are those of the response, once its body has ended.
func (c *call) trailers() []http1.Field {
	var fields []http1.Field
	for name, values := range c.res.Trailer {
		for _, value := range values {
			fields = append(fields, http1.Field{Name: name, Value: value})
		}
	}
	return fields
}
