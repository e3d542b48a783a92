package loadtest

import "sync"

// link is the way to one connection that units share, which is made anew when it
// breaks. It is safe for concurrent use, by as many as there are streams.
type link struct {
	road    *road
	securer *securer
	reader  responseReader // of HTTP/1.1, which has one user

	mu   sync.Mutex
	conn *conn
}

// get returns the connection, for release. If it has to make one, o gets the
// moments of that; nil with o.err if it cannot.
func (l *link) get(o *outcome) *conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn != nil && l.conn.broken() {
		l.leave()
	}
	if l.conn == nil {
		l.securer.who = l.road.clients.take()
		c := l.road.dial(l.securer, o)
		if c == nil {
			return nil
		}
		if c.h2 == nil {
			l.reader.reset(c.tls)
		}
		l.conn = c
	}
	l.conn.users++
	return l.conn
}

// release gives the connection back; good says that it can be used on.
func (l *link) release(c *conn, good bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c.users--
	switch {
	case c == l.conn && !good:
		l.leave()
	case c != l.conn && c.users == 0:
		c.close()
	}
}

// leave has a new connection made next time. The old one ends with its last
// user.
func (l *link) leave() {
	if l.conn.users == 0 {
		l.conn.close()
	}
	l.conn = nil
}

// open makes the connection before the clock runs. A failure is the first unit's
// to meet again.
func (l *link) open(o *outcome) {
	if c := l.get(o); c != nil {
		l.release(c, true)
	}
}

func (l *link) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn != nil {
		l.leave()
	}
}
