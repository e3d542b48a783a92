package proxy

import (
	"context"
	"crypto/tls"
	"errors"
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
// another is made only once the target takes no more streams on those there are.
type sharedPool struct {
	transport *http.Transport // makes connections; it pools none
	target    *target
	limit     time.Duration // of a connection's making, TLS included, and of the wait for room
	beat      heartbeatLimits
	most      int32 // calls on one connection, whatever the target takes

	// conns is replaced, never changed: requests look for room without mu.
	conns atomic.Pointer[[]*sharedConn]

	closed  atomic.Bool
	waiting atomic.Int32 // how many waiters there are

	// mu is never taken by the state hook of a connection: that runs inside of
	// calls of it, some of which are made with mu held.
	mu      sync.Mutex
	waiters []*waiter // requests that have found no room, the oldest first
	dialing int       // connections that are being made
	streams int       // that the target takes on one, going by the last
}

// sharedConn is one connection. Its goroutine is net/http's, and ends with it.
type sharedConn struct {
	*http.ClientConn
	pool    *sharedPool
	beat    *heartbeat
	used    atomic.Bool // by an earlier request
	retired atomic.Bool // it takes no more, and ends with its last call
	barren  bool        // it ended unused, which was counted; under the pool's mu
	// calls have a place on it, or try for one. What InFlight says is another
	// thing: it counts a stream that was given up until the target has shown a sign
	// of life.
	calls atomic.Int32
}

// waiter is a request that waits for room.
type waiter struct {
	got    chan place // gets one
	barren int        // connections made for it that took no request
}

// place is for one call on a connection, or why there is none.
type place struct {
	conn *sharedConn
	used bool // by an earlier request
	err  error
}

const (
	// maxSharedConns is how many connections there are to one target, at most.
	maxSharedConns = 128
	// assumedStreams is how many streams a target takes on a connection, as long as
	// it has not said (RFC 9113, section 6.5.2, wants 100 at least).
	assumedStreams = 100
	// maxCalls is how many calls share a connection. Targets of gRPC often set no limit;
	// net/http then takes a thousand, all of which one goroutine reads for, and end
	// with the connection.
	maxCalls = 250
	// maxBarren is how many connections are made for a request that end before they
	// have taken one.
	maxBarren = 3
)

var errBarren = errors.New("target ended its connections before they had a request")

const (
	// targetWindow is how much of a response is taken from a target that its
	// client has not read yet. The connection has no such limit: with one, a few
	// clients that do not read would stop the responses of all others.
	targetWindow = 64 << 10
	targetFrame  = 32 << 10
	// wideStreams of a client's connection have windows of that size, and those it
	// opens beside them narrowWindow. Targets are told the size of windows once for
	// a connection, so there are some for either kind.
	wideStreams  = 8
	narrowWindow = 8 << 10
)

// newSharedPool makes a pool for responses that are held up to the given window.
func newSharedPool(t *target, connect, answer time.Duration, window int) *sharedPool {
	p := &sharedPool{target: t, limit: connect, beat: defaultHeartbeat, most: maxCalls, streams: assumedStreams}
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
			MaxReceiveBufferPerStream: window,
			MaxReadFrameSize:          targetFrame,
			WriteByteTimeout:          answer,
			// PINGs are the heartbeat's: net/http's own are sent for as long as nothing
			// comes, also where nothing is to come, and targets of gRPC mind.
		},
	}
	return p
}

// connKey is that of a connection in the context of its use.
type connKey struct{}

// connect connects to the target, which must speak HTTP/2 and say so first.
func (p *sharedPool) connect(ctx context.Context) (*sharedConn, error) {
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
	client, err := p.transport.NewClientConn(context.WithValue(ctx, connKey{}, conn), p.target.scheme, p.target.host)
	if err != nil {
		conn.Close()
		return nil, err
	}
	select {
	case <-conn.known:
		c := &sharedConn{ClientConn: client, pool: p, beat: &conn.beat}
		conn.beat.start(p.beat, c.calls.Load, c.retire)
		conn.whenAway(c.retire)
		return c, nil
	case <-conn.gone:
		err = errNoSettings
	case <-ctx.Done():
		err = ctx.Err()
	}
	client.Close()
	return nil, err
}

// take returns a connection with a place for one call, which has to leave it; used
// says whether it has had an earlier one. It waits for room as long as making a
// connection may take. An error is a *connectError.
func (p *sharedPool) take(ctx context.Context) (c *sharedConn, used bool, err error) {
	if at, ok := p.reserve(); ok {
		return at.conn, at.used, nil
	}
	ctx, cancel := context.WithTimeout(ctx, p.limit)
	defer cancel()
	w := &waiter{got: make(chan place, 1)}
	p.mu.Lock()
	p.queue(append(p.waiters, w))
	p.serve()
	p.mu.Unlock()
	select {
	case at := <-w.got:
		return at.conn, at.used, at.err
	case <-ctx.Done():
	}
	p.mu.Lock()
	if i := slices.Index(p.waiters, w); i >= 0 {
		p.queue(slices.Delete(p.waiters, i, i+1))
		w.got <- place{err: &connectError{fmt.Errorf("wait for room on a connection: %w", ctx.Err())}}
	}
	p.mu.Unlock()
	at := <-w.got // what it was given just now has to be used
	return at.conn, at.used, at.err
}

// reserve finds a place on the first connection with room, so that the last ones
// fall idle.
func (p *sharedPool) reserve() (place, bool) {
	for _, c := range *p.conns.Load() {
		if c.retired.Load() || !c.enter() {
			continue
		}
		// A connection that is retired from here on has this call to wait for.
		if c.retired.Load() || c.Reserve() != nil {
			c.quit()
			continue
		}
		if p.closed.Load() {
			c.retired.Store(true) // this request was under way when the pool was closed
		}
		return place{conn: c, used: c.used.Swap(true)}, true
	}
	return place{}, false
}

// queue puts waiters in force; mu is held, as for all that follow up to update.
func (p *sharedPool) queue(waiters []*waiter) {
	p.waiters = waiters
	p.waiting.Store(int32(len(waiters)))
}

// serve gives the waiters what room there is, and has connections made for those
// who remain.
func (p *sharedPool) serve() {
	for len(p.waiters) > 0 {
		at, ok := p.reserve()
		if !ok {
			break
		}
		p.waiters[0].got <- at
		p.queue(slices.Delete(p.waiters, 0, 1))
	}
	conns := *p.conns.Load()
	if slices.ContainsFunc(conns, (*sharedConn).closedToAll) {
		return // another would be no better
	}
	for p.dialing*p.perConn() < len(p.waiters) && len(conns)+p.dialing < maxSharedConns {
		p.dialing++
		go p.dial()
	}
}

// perConn is how many requests a new connection is expected to take.
func (p *sharedPool) perConn() int {
	if p.closed.Load() {
		return 1
	}
	return p.streams
}

// fail has the requests go without that a connection was made for: for want of it
// they get err, if it is not nil. Else it is held against them.
func (p *sharedPool) fail(err error) {
	n := min(p.perConn(), len(p.waiters))
	waiters := slices.Clone(p.waiters[n:])
	for _, w := range p.waiters[:n] {
		w.barren++
		switch {
		case err != nil:
			w.got <- place{err: &connectError{err}}
		case w.barren == maxBarren:
			w.got <- place{err: &connectError{errBarren}}
		default:
			waiters = append(waiters, w)
		}
	}
	p.queue(waiters)
}

// sweep takes connections out that have ended.
func (p *sharedPool) sweep() {
	old := *p.conns.Load()
	conns := make([]*sharedConn, 0, len(old))
	for _, c := range old {
		ended := c.Err() != nil
		if (ended || c.retired.Load()) && !c.barren && !c.used.Load() {
			c.barren = true
			p.fail(nil)
		}
		if !ended {
			conns = append(conns, c)
		}
	}
	if len(conns) < len(old) {
		p.conns.Store(&conns)
	}
}

// update sees to the waiters after a change.
func (p *sharedPool) update() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sweep()
	p.serve()
}

// dial makes a connection, for whoever waits then.
func (p *sharedPool) dial() {
	ctx, cancel := context.WithTimeout(context.Background(), p.limit)
	defer cancel()
	c, err := p.connect(ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dialing--
	if err != nil {
		p.fail(err)
		p.serve()
		return
	}
	if n := c.Available(); n > 0 {
		p.streams = min(n, int(p.most))
	}
	conns := append(slices.Clone(*p.conns.Load()), c)
	p.conns.Store(&conns)
	c.SetStateHook(c.changed) // at once, if it has ended since
	p.sweep()
	p.serve()
	if p.closed.Load() {
		c.retire() // nobody may have come for it
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

// closedToAll says whether the target takes no streams at all on a connection, as
// it may (RFC 9113, section 6.5.2). Its state may change between the questions: in
// this order there is a call of changed yet to come if it does.
func (c *sharedConn) closedToAll() bool {
	return !c.used.Load() && !c.retired.Load() && c.Available() == 0 && c.InFlight() == 0 && c.Err() == nil
}

// changed is called by the connection when it has ended, when it has more room, and
// when a request is over.
func (c *sharedConn) changed(*http.ClientConn) {
	if c.Err() != nil {
		go c.pool.update()
		return
	}
	c.judge()
	c.tell()
}

// tell has the pool see to those who wait.
func (c *sharedConn) tell() {
	if c.pool.waiting.Load() > 0 {
		go c.pool.update()
	}
}

// judge retires a connection that takes nothing more, although it has nothing to
// do. net/http leaves some of those open.
func (c *sharedConn) judge() {
	if c.used.Load() && !c.retired.Load() && c.calls.Load() == 0 && c.Available() == 0 && c.InFlight() == 0 {
		c.retire()
	}
}

// leave gives back the place of a call that is over.
func (c *sharedConn) leave() {
	c.quit()
	c.judge()
	c.tell() // the hook leaves out changes that make up for each other
}

// enter counts a call in, unless there are as many as may be. It never counts one too
// many, not even for a moment: others would be turned away and not told.
func (c *sharedConn) enter() bool {
	for {
		n := c.calls.Load()
		if n >= c.pool.most {
			return false
		}
		if c.calls.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

func (c *sharedConn) quit() {
	if c.calls.Add(-1) == 0 && c.retired.Load() {
		go c.Close() // it may wait for the network
	}
}

// retire gives the connection no more requests, and closes it after its last. It
// does not block.
func (c *sharedConn) retire() {
	if c.retired.Store(true); c.calls.Load() == 0 {
		go c.Close()
	}
	c.tell()
}
