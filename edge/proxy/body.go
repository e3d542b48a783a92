package proxy

import (
	"errors"
	"io"
	"net/http"
	"sync/atomic"

	"github.com/sallyport/sallyport/edge/identity"
)

// requestBody is a client's body on its way to a target. net/http reads it in a
// goroutine of its own, which may outlive the exchange.
type requestBody struct {
	exchange *exchange // nil: the request has no body
	source   io.ReadCloser
	strip    *identity.Stripper
	trailer  http.Header // what goes to the target, filled in at the end

	count   atomic.Int64
	reading atomic.Bool
	done    atomic.Bool // read to its end
	closed  atomic.Bool // the exchange is over
	failure atomic.Pointer[error]
}

var (
	errExchangeOver = errors.New("read body: the exchange is over")
	errBodyTouched  = errors.New("repeat request: its body is already under way")
)

func (b *requestBody) Read(p []byte) (int, error) {
	b.reading.Store(true)
	defer b.reading.Store(false)
	// In this order, so that finish sees either that closed was seen here or that
	// there is a Read to interrupt.
	if b.closed.Load() {
		return 0, errExchangeOver
	}
	n, err := b.source.Read(p)
	b.count.Add(int64(n))
	b.exchange.moved()
	switch {
	case err == io.EOF:
		b.trail()
		b.done.Store(true)
	case err != nil:
		b.failure.CompareAndSwap(nil, &err)
	}
	return n, err
}

// Close is net/http's, which does so after every try: there may be another.
func (b *requestBody) Close() error { return nil }

// again returns the body for another try, if nothing of it was read.
func (b *requestBody) again() (io.ReadCloser, error) {
	if b.count.Load() > 0 || b.done.Load() || b.failure.Load() != nil {
		return nil, errBodyTouched
	}
	return b, nil
}

// complete says whether there is nothing more of the body to read.
func (b *requestBody) complete() bool { return b.exchange == nil || b.done.Load() }

// failed returns why the client's body could not be read, if so.
func (b *requestBody) failed() error {
	if err := b.failure.Load(); err != nil {
		return *err
	}
	return nil
}

// trail passes on the trailer fields that came with the body's end, announced or
// not.
func (b *requestBody) trail() {
	for name, values := range b.exchange.r.Trailer {
		if len(values) > 0 && mayTrail(name, b.strip) {
			b.trailer[name] = values
		}
	}
}

// finish ends the reading. net/http waits for a Read in progress before it lets
// go of the connection, so one is interrupted, and what follows on the
// connection is not taken for a request.
func (b *requestBody) finish() {
	b.closed.Store(true)
	if b.done.Load() || !b.reading.Load() {
		return
	}
	if f := b.exchange.client.framed; f != nil {
		f.abandon()
	}
}
