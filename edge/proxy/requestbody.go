package proxy

import (
	"errors"
	"io"
	"sync"
)

// requestBody is a client's body as a stream of HTTP/2 reads it, in a goroutine of
// net/http's: no faster than the target takes it.
type requestBody struct {
	call  *call
	early []byte // what came with the head

	mu      sync.Mutex
	idle    sync.Cond
	reading bool // from the client
	asked   bool // the client was read from
	closed  bool
}

var errBodyClosed = errors.New("read request: body is no longer wanted")

func newRequestBody(c *call) *requestBody {
	b := &requestBody{call: c, early: c.early}
	b.idle.L = &b.mu
	return b
}

// Read reads what came with the head, and then from the client.
func (b *requestBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return 0, errBodyClosed
	}
	pending := b.call.x.body.pending
	if len(b.early) > 0 || !pending {
		n := copy(p, b.early)
		b.early = b.early[n:]
		b.mu.Unlock()
		if len(b.early) == 0 && !pending {
			return n, io.EOF
		}
		return n, nil
	}
	first := !b.asked
	b.reading, b.asked = true, true
	b.mu.Unlock()
	wanted := true
	if first && b.call.holds {
		wanted = b.call.interims.proceed()
	}
	n, err := 0, errBodyClosed
	if wanted {
		n, err = b.readOn(p)
	}
	b.mu.Lock()
	b.reading = false
	b.idle.Broadcast()
	b.mu.Unlock()
	if !wanted {
		// The target has answered without it. An error before that answer is
		// through would cut it short.
		<-b.call.ctx.Done()
	}
	return n, err
}

// readOn reads from the client.
func (b *requestBody) readOn(p []byte) (int, error) {
	x := b.call.x
	x.body.reading.Store(true)
	n, err := x.side.read(p)
	x.body.reading.Store(false)
	x.received.Add(int64(n))
	x.moved()
	switch {
	case err == io.EOF:
		b.call.addTrailers()
		x.body.whole.Store(true)
		b.call.awaitAnswer()
		x.side.watch(x)
	case err != nil && !b.isClosed():
		x.body.failure.CompareAndSwap(nil, &err)
		x.cutTarget()
	}
	return n, err
}

func (b *requestBody) isClosed() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.closed
}

// Close is the stream's word that it wants no more. It waits for a reader that
// waits for the client: so that is hurried.
func (b *requestBody) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	if b.reading {
		b.call.x.side.hurry()
	}
	return nil
}

// shut lets nothing more be read.
func (b *requestBody) shut() {
	if b != nil {
		b.Close()
	}
}

// finish is shut, and waits for the reader. A client that is about done gets a
// moment: what it has yet to send must not pass for its next request.
func (b *requestBody) finish() {
	if b == nil {
		return
	}
	b.Close()
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.reading {
		b.idle.Wait()
	}
}

// begun says whether the client was read from, so that nobody can do it again.
func (b *requestBody) begun() bool {
	if b == nil {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.asked
}
