package proxy

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"sync"

	"github.com/sallyport/sallyport/edge/config"
)

// What of a request's head is read at most: ALB's 64 KiB.
const maxHeadBytes = 64 << 10

// http2Limits bound what one HTTP/2 connection may take up: streams at once, and
// bytes received that no target has taken yet.
var http2Limits = http.HTTP2Config{
	MaxConcurrentStreams:          128,
	MaxReadFrameSize:              16 << 10,
	MaxReceiveBufferPerStream:     128 << 10,
	MaxReceiveBufferPerConnection: 512 << 10,
}

var onlyHTTP1, onlyHTTP2 = protocols((*http.Protocols).SetHTTP1), protocols((*http.Protocols).SetHTTP2)

func protocols(set func(*http.Protocols, bool)) *http.Protocols {
	p := new(http.Protocols)
	set(p, true)
	return p
}

// serveHTTP1 serves HTTP/1.1. net/http reads the requests, but only as far as
// framedConn has found them to be framed beyond doubt.
func (s *Server) serveHTTP1(c *client) {
	timeouts := c.timeouts(c.Listener())
	c.framed = &framedConn{
		Conn:    c.Conn.Conn,
		idle:    timeouts.Idle.Std(),
		head:    timeouts.RequestHead.Std(),
		refused: c.refused,
	}
	e := engine{conn: c.framed, over: make(chan struct{})}
	e.idle = func() {
		// A request whose body was not read to its end leaves bytes that could
		// pass for the next request.
		if !c.framed.between() {
			c.framed.abandon()
		}
	}
	e.serve(c, timeouts, onlyHTTP1)
}

// serveHTTP2 serves HTTP/2. Its connection must be the *tls.Conn itself: that is
// how net/http knows HTTP/2.
func (s *Server) serveHTTP2(c *client) {
	conn, ok := c.Conn.Conn.(*tls.Conn)
	if !ok {
		s.log.Error("HTTP/2 on a connection that is not TLS", "conn_trace_id", c.TraceID)
		c.Conn.Conn.Close()
		return
	}
	e := engine{conn: conn, over: make(chan struct{}), idle: func() {}}
	e.serve(c, c.timeouts(c.Listener()), onlyHTTP2)
}

// engine is net/http's server on one connection: a server each, because that is
// what net/http can end gracefully.
type engine struct {
	conn   net.Conn
	server http.Server
	idle   func() // a request is over and the connection is kept
	over   chan struct{}
	end    sync.Once

	mu       sync.Mutex
	active   bool // a first request (in HTTP/2: the client's preface) was read
	accepted bool
}

func (e *engine) serve(c *client, timeouts config.Timeouts, protocols *http.Protocols) {
	e.server = http.Server{
		Handler:                      c,
		ErrorLog:                     c.server.protocol,
		ReadHeaderTimeout:            timeouts.RequestHead.Std(),
		IdleTimeout:                  timeouts.Idle.Std(),
		MaxHeaderBytes:               maxHeadBytes,
		DisableGeneralOptionsHandler: true,
		ConnState:                    e.state,
		Protocols:                    protocols,
	}
	if protocols.HTTP2() {
		limits := http2Limits
		limits.WriteByteTimeout = timeouts.Idle.Std()
		e.server.HTTP2 = &limits
	}
	if e.server.Serve(e); !e.accepted {
		e.conn.Close()
		return
	}
	stop := context.AfterFunc(c.ctx, e.drain)
	<-e.over
	stop()
}

// drain takes no more requests.
func (e *engine) drain() {
	e.mu.Lock()
	active := e.active
	e.mu.Unlock()
	if !active {
		// net/http would wait 5 s for a first request, or for ever if an HTTP/2
		// client has not yet made itself known.
		e.conn.Close()
		return
	}
	// Shutdown says what there is to say before it begins to wait; the waiting,
	// which is by polling, is not needed.
	done, cancel := context.WithCancel(context.Background())
	cancel()
	e.server.Shutdown(done)
}

// state follows the connection: net/http calls it.
func (e *engine) state(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateActive:
		e.mu.Lock()
		e.active = true
		e.mu.Unlock()
	case http.StateIdle:
		e.idle()
	case http.StateClosed, http.StateHijacked:
		e.end.Do(func() { close(e.over) })
	}
}

// Accept makes the engine a listener of one connection.
func (e *engine) Accept() (net.Conn, error) {
	if e.accepted {
		return nil, io.EOF
	}
	e.accepted = true
	return e.conn, nil
}

func (e *engine) Close() error   { return nil }
func (e *engine) Addr() net.Addr { return e.conn.LocalAddr() }
