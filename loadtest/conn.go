package loadtest

import (
	"context"
	"net"
	"net/netip"
	"sync/atomic"
	"time"
)

// road is the way to the server that all connections of a run take.
type road struct {
	ctx      context.Context // of the run: its end breaks every connection
	plan     *Plan
	address  netip.AddrPort
	request  *request
	verifier *verifier
	clients  *clients

	open       atomic.Int64               // connections
	negotiated atomic.Pointer[negotiated] // of the first connection
}

// conn is a connection on which a handshake has returned. In TLS 1.3 the server
// may yet refuse the client: its judgement comes with the answer.
type conn struct {
	road   *road
	tls    secured
	raw    net.Conn
	forget func() bool
	h2     *http2Conn // nil: HTTP/1.1
	users  int        // of a link's connection; the link's lock guards it
}

// dial connects and makes a handshake within the plan's timeout. It writes the
// moments, and an error, to o.
func (r *road) dial(s *securer, o *outcome) *conn {
	deadline := o.begun.Add(r.plan.Timeout)
	o.dialled = time.Now()
	dialer := net.Dialer{Deadline: deadline, KeepAlive: -1}
	raw, err := dialer.DialContext(r.ctx, "tcp", r.address.String())
	if err != nil {
		o.err, o.connecting, o.ended = err, true, time.Now()
		return nil
	}
	o.connected = time.Now()
	r.open.Add(1)
	c := &conn{road: r, raw: raw}
	c.forget = context.AfterFunc(r.ctx, func() { raw.Close() })
	if err := c.handshake(s, deadline, o); err != nil {
		o.err, o.ended = err, time.Now()
		c.close()
		return nil
	}
	return c
}

func (c *conn) handshake(s *securer, deadline time.Time, o *outcome) error {
	if err := c.raw.SetDeadline(deadline); err != nil {
		return err
	}
	var err error
	if c.tls, err = s.secure(c.raw); err != nil {
		return err
	}
	if err := c.tls.Handshake(); err != nil {
		return err
	}
	o.shaken = time.Now()
	n := c.tls.negotiated()
	o.resumed = n.resumed
	if c.road.negotiated.Load() == nil {
		c.road.negotiated.CompareAndSwap(nil, &n)
	}
	switch protocol := c.road.plan.Protocol; {
	case protocol == HTTP2 && n.alpn != "h2", protocol == HTTP1 && n.alpn == "h2":
		return faultf("wrong protocol", "the server picked %q, want %s", n.alpn, protocol)
	case n.alpn == "h2":
		if c.h2, err = newHTTP2Conn(c.tls); err == nil {
			// From now on each request has a deadline of its own. A connection that is
			// closed already tells the first one why.
			_ = c.raw.SetDeadline(time.Time{})
		}
	}
	return err
}

// exchange sends the request and reads the answer, within the plan's timeout
// from o.begun. It reports whether the connection can be used on. reader is for
// HTTP/1.1, and may be used by one connection at a time; after first use of the
// connection it must be the same.
func (c *conn) exchange(reader *responseReader, o *outcome) bool {
	deadline := o.begun.Add(c.road.plan.Timeout)
	if c.h2 != nil {
		return c.h2.exchange(c.road.ctx, deadline, c.road.request, o)
	}
	if o.err = c.raw.SetDeadline(deadline); o.err != nil {
		o.ended = time.Now()
		return false
	}
	o.sent = time.Now()
	reader.first = time.Time{}
	var writeErr error
	o.out, writeErr = c.road.request.write(c.tls)
	// A server that refuses may close before it was sent everything: what it said
	// is still there to be read.
	res, err := reader.read(c.road.request.method == "HEAD")
	o.ended, o.first = time.Now(), reader.first
	o.in, o.status = res.body, res.status
	if err != nil && writeErr != nil && !isAlert(err) {
		err = writeErr
	}
	o.err = err
	return err == nil && writeErr == nil && res.keepAlive
}

// broken says that the connection cannot be used on.
func (c *conn) broken() bool { return c.h2 != nil && c.h2.broken() }

// close closes the connection, and returns when nothing reads from it any more.
func (c *conn) close() {
	c.forget()
	c.road.open.Add(-1)
	switch {
	case c.road.ctx.Err() != nil || c.tls == nil:
		c.raw.Close()
		if c.h2 != nil {
			c.h2.close()
		}
	case c.h2 != nil:
		c.h2.close()
	default:
		c.tls.Close()
	}
}
