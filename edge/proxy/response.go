package proxy

import (
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

// buffers are what bodies are copied through.
var buffers = sync.Pool{New: func() any { return new([32 << 10]byte) }}

// respond passes a target's response on.
func (x *exchange) respond(resp *http.Response) {
	defer resp.Body.Close()
	removeHopByHop(resp.Header)

	announced := x.sendHead(resp)
	if resp.ContentLength == 0 || x.r.Method == http.MethodHead || resp.StatusCode == http.StatusNoContent || resp.StatusCode == http.StatusNotModified {
		return
	}
	x.idle.unsent.Store(true)
	x.watch(flushDelay)
	if !x.copyBody(resp) {
		x.aborted = true
		return
	}
	x.trail(resp.Trailer, announced)
}

// sendHead sends the response's head and returns how many trailer fields it
// announces.
func (x *exchange) sendHead(resp *http.Response) (announced int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	h := x.w.Header()
	for name, values := range resp.Header {
		h[name] = values
	}
	if resp.StatusCode == http.StatusNoContent {
		delete(h, "Content-Length") // RFC 9110, section 8.6; HTTP/2 would announce a body that cannot come
	}
	if _, ok := h["Content-Type"]; !ok {
		h["Content-Type"] = nil // or net/http guesses one
	}
	if announced = len(resp.Trailer); announced > 0 {
		names := make([]string, 0, announced)
		for name := range resp.Trailer {
			names = append(names, name)
		}
		h["Trailer"] = []string{strings.Join(names, ", ")}
	}
	x.record.ResponseProcessing = x.sinceAnswer()
	x.writeHead(resp.StatusCode)
	return announced
}

// sinceAnswer returns how long ago the target's response began.
func (x *exchange) sinceAnswer() time.Duration {
	if x.record.RequestProcessing < 0 || x.record.TargetProcessing < 0 {
		return 0
	}
	return max(0, time.Since(x.started)-x.record.RequestProcessing-x.record.TargetProcessing)
}

// copyBody passes the body on as it comes, and says whether it came whole.
// Everything but the last piece of a body of known length is flushed at once.
func (x *exchange) copyBody(resp *http.Response) bool {
	buf := buffers.Get().(*[32 << 10]byte)
	defer buffers.Put(buf)
	left := resp.ContentLength
	for {
		n, err := resp.Body.Read(buf[:])
		x.moved()
		if n > 0 {
			left -= int64(n)
			if werr := x.write(buf[:n], left != 0 && err == nil); werr != nil {
				x.stopped(werr, clientDeaf)
				return false
			}
		}
		if err == io.EOF {
			return true
		}
		if err != nil {
			x.stopped(err, targetIdle)
			return false
		}
	}
}

// write sends a piece of the body.
func (x *exchange) write(p []byte, flush bool) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.idle.unsent.Store(false)
	x.idle.writing.Store(true)
	defer x.idle.writing.Store(false)
	n, err := x.w.Write(p)
	x.record.SentBytes += int64(n)
	if err == nil && flush {
		err = x.w.(flusher).FlushError()
	}
	x.moved()
	return err
}

// flusher is what net/http's response writers are.
type flusher interface{ FlushError() error }

// flush sends a head whose body keeps it waiting.
func (x *exchange) flush() {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.over {
		return
	}
	x.idle.writing.Store(true)
	defer x.idle.writing.Store(false)
	x.w.(flusher).FlushError() // the next write meets the same error
}

// stopped notes why a response ended in the middle; side is whose error it is.
func (x *exchange) stopped(err error, side idleFault) {
	switch who := x.idle.who(); {
	case who == targetIdle:
		x.record.ErrorReason = ReasonTargetIdle
	case who != nobodyIdle, side == clientDeaf && errors.Is(err, os.ErrDeadlineExceeded):
		x.record.ErrorReason = ReasonClientIdle
	case side == clientDeaf || x.r.Context().Err() != nil:
		x.record.ErrorReason = ReasonClientClosed
	default:
		x.record.ErrorReason = ReasonTargetClosed
		x.record.ErrorDetail = err.Error()
	}
}

// trail passes the target's trailers on: those announced under their names,
// others by net/http's way of doing so late.
func (x *exchange) trail(trailer http.Header, announced int) {
	if len(trailer) == 0 {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	h := x.w.Header()
	prefix := ""
	if len(trailer) != announced {
		prefix = http.TrailerPrefix
	}
	for name, values := range trailer {
		if len(values) > 0 {
			h[prefix+name] = values
		}
	}
	// A body shorter than net/http's buffer would be sent with its length, and
	// without trailers.
	if err := x.w.(flusher).FlushError(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		x.record.ErrorReason = ReasonClientClosed
	}
}
