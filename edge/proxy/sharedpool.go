package proxy

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/edge/http1"
)

// sharedPool keeps the connections of HTTP/2 to one target. Requests share them:
// a second one is made only once the target takes no more streams on the first.
type sharedPool struct {
	transport *http.Transport // makes connections; it pools none
	target    *target
	limit     time.Duration // of a connection's making, TLS included

	// conns is replaced, never changed: a connection tells of its state while it
	// is asked for room, when mu must not be held.
	conns atomic.Pointer[[]*sharedConn]

	closed atomic.Bool

	mu     sync.Mutex
	making *making // the connection that is being made, nil if none is
}

// sharedConn is one connection. Its goroutine is net/http's, and ends with it.
type sharedConn struct {
	*http.ClientConn
	pool    *sharedPool
	used    atomic.Bool // by an earlier request
	retired atomic.Bool // it takes no more, and ends with its last call
	// calls have a place on it. What InFlight says is another thing: it counts a
	// stream that was given up until the target has shown a sign of life.
	calls atomic.Int32
}

// making is what all wait for that have found no room.
type making struct {
	done chan struct{}
	err  error // once done
}

const (
	// targetWindow is how much of a response is taken from a target that its
	// client has not read yet. The connection has no such limit: with one, a few
	// clients that do not read would stop the responses of all others.
	targetWindow = 256 << 10
	targetFrame  = 32 << 10
)

func newSharedPool(t *target, connect, answer time.Duration) *sharedPool {
	p := &sharedPool{target: t, limit: connect}
	p.conns.Store(new([]*sharedConn))
	// As far as the transport knows HTTP/2 is agreed on, whatever is below it.
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) { return ctx.Value(connKey{}).(net.Conn), nil }
	p.transport = &http.Transport{
		DialContext:            dial,
		DialTLSContext:         dial,
		Protocols:              protocols,
		DisableCompression:     true,
		IdleConnTimeout:        t.pool.limit,
		MaxResponseHeaderBytes: http1.MaxResponseHead,
		ExpectContinueTimeout:  expectContinue,
		HTTP2: &http.HTTP2Config{
			MaxReceiveBufferPerStream: targetWindow,
			MaxReadFrameSize:          targetFrame,
			WriteByteTimeout:          answer,
			// No pings: gRPC servers end connections with streams that are merely
			// quiet if they get more than a few.
		},
	}
	return p
}

// connKey is that of a connection in the context of its use.
type connKey struct{}

// connect connects to the target, which must speak HTTP/2 and say so first.
func (p *sharedPool) connect(ctx context.Context) (*http.ClientConn, error) {
	raw, err := new(net.Dialer).DialContext(ctx, "tcp", p.target.host)
	if err != nil {
		return nil, err
	}
	if p.target.tls != nil {
		secure := tls.Client(raw, p.target.tls)
		if err := secure.HandshakeContext(ctx); err != nil {
			raw.Close()
			return nil, err
		}
		raw = secure
		if got := secure.ConnectionState().NegotiatedProtocol; got != "h2" {
			raw.Close()
			return nil, fmt.Errorf("target agreed on protocol %q in TLS: want h2", got)
		}
	}
	conn := newSettingsConn(raw)
	c, err := p.transport.NewClientConn(context.WithValue(ctx, connKey{}, conn), p.target.scheme, p.target.host)
	if err != nil {
		conn.Close()
		return nil, err
	}
	select {
	case <-conn.known:
		return c, nil
	case <-conn.gone:
		err = errNoSettings
	case <-ctx.Done():
		err = ctx.Err()
	}
	c.Close()
	return nil, err
}

// take returns a connection with a place for one call, which has to leave it; used
// says whether it has had an earlier one. An error is a *connectError.
func (p *sharedPool) take(ctx context.Context) (c *sharedConn, used bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, p.limit)
	defer cancel()
	for {
		conns := p.conns.Load()
		if c := p.reserve(*conns); c != nil {
			return c, c.used.Swap(true), nil
		}
		m := p.make(conns)
		if m == nil {
			continue
		}
		select {
		case <-m.done:
			if m.err != nil {
				return nil, false, m.err
			}
		case <-ctx.Done():
			return nil, false, &connectError{ctx.Err()}
		}
	}
}

// reserve returns the first connection with room, so that the last ones fall idle.
func (p *sharedPool) reserve(conns []*sharedConn) *sharedConn {
	for _, c := range conns {
		if c.retired.Load() {
			continue
		}
		if c.calls.Add(1); c.Reserve() != nil {
			c.leave()
			continue
		}
		if p.closed.Load() {
			c.retired.Store(true) // this request was under way when the pool was closed
		}
		return c
	}
	return nil
}

// make begins to make a connection, unless one is being made already. It returns
// nil if there are others now than seen, where there was no room.
func (p *sharedPool) make(seen *[]*sharedConn) *making {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.making != nil:
		return p.making
	case p.conns.Load() != seen:
		return nil
	}
	m := &making{done: make(chan struct{})}
	p.making = m
	go p.run(m)
	return m
}

// run makes the connection m, for whoever waits for it.
func (p *sharedPool) run(m *making) {
	defer close(m.done)
	ctx, cancel := context.WithTimeout(context.Background(), p.limit)
	defer cancel()
	client, err := p.connect(ctx)
	c := &sharedConn{ClientConn: client, pool: p}
	p.mu.Lock()
	p.making = nil
	if err != nil {
		m.err = &connectError{err}
	} else {
		p.replace(append(slices.Clone(*p.conns.Load()), c))
	}
	p.mu.Unlock()
	if err == nil {
		client.SetStateHook(c.changed) // at once, if it has ended since
	}
}

// replace puts conns in force; mu is held.
func (p *sharedPool) replace(conns []*sharedConn) { p.conns.Store(&conns) }

// changed is called by the connection when it has ended, and more often.
func (c *sharedConn) changed(*http.ClientConn) {
	if c.Err() != nil {
		c.pool.drop(c)
	}
}

func (p *sharedPool) drop(c *sharedConn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.replace(slices.DeleteFunc(slices.Clone(*p.conns.Load()), func(other *sharedConn) bool { return other == c }))
}

// leave gives back the place of a call that is over.
func (c *sharedConn) leave() {
	if c.calls.Add(-1) == 0 && c.retired.Load() {
		c.Close()
	}
}

// retire gives the connection no more requests, and closes it after its last.
func (c *sharedConn) retire() {
	if c.retired.Store(true); c.calls.Load() == 0 {
		c.Close()
	}
}

// close retires all connections. Who has yet to take one has it for that one
// request.
func (p *sharedPool) close() {
	p.closed.Store(true)
	for _, c := range *p.conns.Load() {
		c.retire()
	}
}
