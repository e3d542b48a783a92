package proxy

import (
	"errors"
	"io"
	"os"
	"time"

	"github.com/sallyport/sallyport/edge/http1"
)

// answered notes that the target's response has begun.
func (x *exchange) answered() {
	x.life.Lock()
	defer x.life.Unlock()
	x.idle.answered.Store(true)
	if x.shared {
		x.moved()
	}
}

// begin sends the head that is in x.resp.
func (x *exchange) begin(length int64) error {
	if x.listener != nil && x.listener.Respond != nil {
		x.listener.Respond(&x.req, &x.resp)
	}
	x.editResponse()
	x.judgedAnswer()
	n, err := x.side.begin(&x.resp, length)
	x.record.ELBStatusCode = x.resp.Status
	x.record.SentBytes += int64(n)
	return err
}

// respond passes the target's response on; m holds what was read of it behind its
// head.
func (x *exchange) respond(m *message, now time.Time) {
	r := &x.resp
	length, chunked, keep := r.Length, r.Chunked, !r.Close
	bodiless := length == 0 || length == http1.None || !http1.HasBody(x.req.Method, r.Status)
	d := decoder{left: length, chunked: chunked}
	var data []byte
	if !bodiless {
		var bad bool
		if data, bad = d.take(m.rest()); bad {
			x.fail(errCoding) // while the client knows of nothing yet
			return
		}
	}
	err := x.begin(length)
	x.record.ResponseProcessing = since(now, time.Now())
	if err != nil {
		x.stopped(err, clientDeaf)
		return
	}
	if bodiless {
		x.finish(nil, keep && len(m.rest()) == 0)
		return
	}
	if x.req.Major > 1 && (length < 0 || length > smallBody) {
		x.watchIdle(x.idle.limit) // flow control may hold up the first piece
	}
	for {
		if len(data) > 0 {
			if err := x.write(data); err != nil {
				x.stopped(err, clientDeaf)
				return
			}
		}
		if d.whole {
			x.finish(d.chunks.Trailers, keep && d.extra == 0)
			return
		}
		piece, err := x.more(m)
		switch {
		case len(piece) > 0:
			var bad bool
			if data, bad = d.take(piece); !bad {
				continue
			}
			err = errCoding
		case err == io.EOF && length < 0 && !chunked:
			x.finish(nil, false)
			return
		case err == io.EOF:
			err = io.ErrUnexpectedEOF
		}
		x.stopped(err, targetIdle)
		return
	}
}

var errCoding = errors.New("read response: malformed chunk")

// smallBody is what net/http keeps of a response of HTTP/2 without waiting.
const smallBody = 2 << 10

// more reads on. Before it waits, what the client may have is sent.
func (x *exchange) more(m *message) ([]byte, error) {
	c := x.target
	if !m.tried {
		// A target that sends head and body apart does so in quick succession.
		m.tried = true
		n, err := c.readAtOnce(m.buf)
		if n > 0 || !isTimeout(err) {
			return m.buf[:n], err
		}
	}
	if !m.streamed {
		m.streamed = true
		x.shared = true // from here on others look on: the timer
		c.deadline.reset()
		x.setReadDeadline(c, time.Time{})
		x.watchIdle(x.idle.limit)
	}
	if err := x.flush(); err != nil {
		return nil, err
	}
	n, err := c.Read(m.buf)
	if x.shared {
		x.moved()
	}
	return m.buf[:n], err
}

// write sends a piece of the body.
func (x *exchange) write(p []byte) error {
	x.idle.writing.Store(true)
	if err := x.side.write(p); err != nil {
		return err // and it stays the client that nothing moves for
	}
	x.idle.writing.Store(false)
	x.record.SentBytes += int64(len(p))
	if x.shared {
		x.moved()
	}
	return nil
}

func (x *exchange) flush() error {
	x.idle.writing.Store(true)
	if err := x.side.flush(); err != nil {
		return &clientError{err}
	}
	x.idle.writing.Store(false)
	x.moved()
	return nil
}

// clientError is what went wrong in sending to the client.
type clientError struct{ cause error }

func (e *clientError) Error() string { return "write response: " + e.cause.Error() }
func (e *clientError) Unwrap() error { return e.cause }

// isClients says whether an error is one of sending to the client.
func isClients(err error) bool {
	var deaf *clientError
	return errors.As(err, &deaf)
}

// finish sends the end of the response; keep says whether the target's connection
// can take another request.
func (x *exchange) finish(trailers []http1.Field, keep bool) {
	keep = keep && x.req.Finding.Class < http1.Ambiguous
	if x.body.done == nil && !x.body.pending {
		// Before the client has its answer: it may be quick to ask again.
		x.leaveTarget(keep)
	}
	x.idle.writing.Store(true)
	if err := x.side.end(x.editTrailers(trailers)); err != nil {
		x.stopped(err, clientDeaf)
	}
	x.idle.writing.Store(false)
	if x.target != nil {
		x.finishBody()
		x.leaveTarget(keep && x.body.complete() && !x.body.late.Load())
	}
}

// leaveTarget gives the target's connection back, or closes it.
func (x *exchange) leaveTarget(keep bool) {
	if !keep {
		x.dropTarget()
		return
	}
	if c := x.letGo(); c != nil {
		if x.shared {
			c.deadline.reset()
		}
		c.pool.put(c, time.Now())
	}
}

// stopped notes why a response ended in the middle; side is whose error it is.
func (x *exchange) stopped(err error, side idleFault) {
	x.dropTarget()
	x.aborted = true
	if isClients(err) {
		side = clientDeaf
	}
	switch who := x.idle.who(); {
	case who == targetIdle:
		x.record.ErrorReason = ReasonTargetIdle
	case who != nobodyIdle, side == clientDeaf && errors.Is(err, os.ErrDeadlineExceeded):
		x.record.ErrorReason = ReasonClientIdle
	case side == clientDeaf || x.isGone() || x.body.failed() != nil:
		x.record.ErrorReason = x.client.gone()
	default:
		x.record.ErrorReason = ReasonTargetClosed
		x.record.ErrorDetail = err.Error()
	}
}

// decoder takes the framing off a response's body.
type decoder struct {
	left    int64 // negative: the connection's end is the body's
	chunked bool
	chunks  http1.Decoder
	whole   bool
	extra   int // bytes that came behind the body
}

// take returns the data in p, which it may move within p.
func (d *decoder) take(p []byte) (data []byte, bad bool) {
	switch {
	case d.chunked:
		n, taken, found := d.chunks.Decode(p)
		d.whole = d.chunks.Done()
		d.extra += len(p) - taken
		return p[:n], found.Class != http1.Compliant
	case d.left < 0:
		return p, false
	}
	n := int(min(d.left, int64(len(p))))
	d.left -= int64(n)
	d.extra += len(p) - n
	d.whole = d.left == 0
	return p[:n], false
}
