package proxy

import (
	"context"
	"sync"
)

// Session is a connection being served. For a caller with many of them it can be
// served a goroutine at a time: one with the stack that requests need while they
// come, one with next to none while it waits. Its methods are for one goroutine
// at a time.
type Session struct {
	client *client
	http1  *conn1 // nil for HTTP/2
}

// Begin makes a Session of c; it starts nothing. The caller calls Serve, and then
// what Serve says, until the connection has ended.
func (s *Server) Begin(c *Conn) *Session {
	k := &Session{client: newClient(s, c)}
	if c.ALPN != "h2" {
		k.http1 = newConn1(k.client)
	}
	return k
}

// Serve serves requests. It returns true when none has come for a while: Wait is
// to be called then. It returns false when the connection has ended, is closed,
// and everything that was started on it has ended too.
func (k *Session) Serve() (quiet bool) {
	if k.http1 == nil {
		k.client.server.serveHTTP2(k.client)
	} else if k.http1.burst() {
		return true
	}
	k.client.wait()
	return false
}

// Wait waits for more, and needs little stack for it. It returns true when Serve
// is to be called again, false when the connection has ended and is closed.
func (k *Session) Wait() (more bool) {
	if k.http1.calm() {
		return true
	}
	k.client.wait()
	return false
}

// ServeConn serves a connection until it ends, and closes it. It returns when
// everything it started on the connection has ended, tunnels included. When ctx
// is done it is as if End were called.
func (s *Server) ServeConn(ctx context.Context, c *Conn) {
	defer context.AfterFunc(ctx, c.End)()
	k := s.Begin(c)
	for k.Serve() && k.Wait() {
	}
}

// ending tells a connection that it is to end. It does what a context of its own
// would, which with its children takes a kilobyte of every idle connection.
type ending struct {
	mu   sync.Mutex
	how  leave
	then func(leave)
}

// leave is how a connection is to end.
type leave uint8

const (
	notYet    leave = iota
	afterNext       // when it has answered one more request
	atOnce          // as soon as what is under way is over
)

// End makes the connection take no new request: HTTP/1.1 says Connection: close
// on the response in flight, HTTP/2 sends GOAWAY, an idle connection is closed at
// once. Requests in flight, tunnels among them, go on: to cut them, close the
// net.Conn. Any goroutine may call it, more than once, also before the connection
// is served. It returns at once.
func (c *Conn) End() { c.ending.raise(atOnce) }

// EndAfterNext is End for who can wait: where the client could have sent a request
// before it can know of the end, that is answered. So HTTP/1.1 stays open for one
// more request, whose response says Connection: close; a new connection of HTTP/2
// gets its GOAWAY behind its first request. Who does not ask again stays until
// the idle timeout, or until End.
func (c *Conn) EndAfterNext() { c.ending.raise(afterNext) }

func (e *ending) raise(how leave) {
	e.mu.Lock()
	then := e.then
	raised := how > e.how
	e.how = max(e.how, how)
	e.mu.Unlock()
	if raised && then != nil {
		then(how)
	}
}

// onEnd has End and EndAfterNext call then, each once at most, or does so now if
// one was called already.
func (c *Conn) onEnd(then func(leave)) {
	e := &c.ending
	e.mu.Lock()
	e.then = then
	how := e.how
	e.mu.Unlock()
	if how != notYet && then != nil {
		then(how)
	}
}
