package proxy

import (
	"io"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/edge/http1"
)

// bodyState is a client's body on its way to a target, as far as it did not go
// out with the head. A goroutine of its own carries it, so that a target may
// answer before it has all.
type bodyState struct {
	pending bool          // there is more than went with the head
	done    chan struct{} // closed when the goroutine has ended; nil without one

	reading atomic.Bool // waiting for the client
	whole   atomic.Bool // read to its end, and sent
	late    atomic.Bool // some of it went to a target that had answered already
	failure atomic.Pointer[error]
}

// complete says whether there is nothing more of the body to read.
func (b *bodyState) complete() bool { return !b.pending || b.whole.Load() }

// failed returns why the client's body could not be read, if so.
func (b *bodyState) failed() error {
	if err := b.failure.Load(); err != nil {
		return *err
	}
	return nil
}

// sendBody begins to carry the rest of the body to c.
func (x *exchange) sendBody(g *TargetGroup, c *targetConn) {
	x.body.done = make(chan struct{})
	x.watchIdle(x.idle.limit)
	go func() {
		defer close(x.body.done)
		x.carryBody(g, c)
	}()
}

// Room around the data of a chunk for its framing.
const (
	chunkBefore = 10 // 8 digits and CR LF
	chunkAfter  = 2
)

func (x *exchange) carryBody(g *TargetGroup, c *targetConn) {
	b := buffers.Get().(*buffer)
	defer buffers.Put(b)
	chunked := x.req.Length < 0
	for {
		x.body.reading.Store(true)
		n, err := x.side.read(b[chunkBefore : len(b)-chunkAfter])
		x.body.reading.Store(false)
		x.received.Add(int64(n))
		x.moved()
		if n > 0 {
			piece := b[chunkBefore : chunkBefore+n]
			if chunked {
				piece = frameChunk(b[:], n)
			}
			if x.idle.answered.Load() {
				x.body.late.Store(true)
			}
			if _, werr := c.Write(piece); werr != nil {
				return // the target's answer, or the lack of one, says why
			}
			x.moved()
		}
		if err == io.EOF {
			if chunked {
				if _, werr := c.Write(x.appendRequestTrailers([]byte("0\r\n"), x.side.trailers())); werr != nil {
					return
				}
			}
			x.bodySent(g, c)
			return
		}
		if err != nil {
			x.body.failure.CompareAndSwap(nil, &err)
			x.cutTarget()
			return
		}
	}
}

// bodySent begins the target's time to answer, and the look-out for a client that
// goes away.
func (x *exchange) bodySent(g *TargetGroup, c *targetConn) {
	x.body.whole.Store(true)
	x.life.Lock()
	if !x.idle.answered.Load() && !x.parted {
		c.SetReadDeadline(time.Now().Add(g.answer))
	}
	x.life.Unlock()
	x.side.watch(x)
}

// frameChunk makes a chunk of the n bytes behind the room at b's begin.
func frameChunk(b []byte, n int) []byte {
	var line [chunkBefore]byte
	size := http1.AppendChunkSize(line[:0], n)
	begin := chunkBefore - len(size)
	copy(b[begin:], size)
	b[chunkBefore+n], b[chunkBefore+n+1] = '\r', '\n'
	return b[begin : chunkBefore+n+2]
}

// finishBody ends the carrying. A client that is about done gets a moment: what
// it has yet to send must not pass for its next request.
func (x *exchange) finishBody() {
	if x.body.done == nil {
		return
	}
	if !x.body.whole.Load() {
		x.life.Lock()
		if x.cut != nil && !x.parted {
			x.cut.SetWriteDeadline(time.Now().Add(lingerTime))
		}
		x.life.Unlock()
		x.side.hurry()
	}
	<-x.body.done
}
