package proxy

import "time"

// awaited is what has come of waiting for a request.
type awaited int8

const (
	ends  awaited = iota // the connection
	stays                // open, and quiet for a while
	comes                // its first byte is there
)

// quietAfter is how long nothing has to come for a connection to be quiet. One
// with requests more often than that keeps its goroutine's stack.
const quietAfter = 500 * time.Millisecond

// await waits for the first byte of a request.
func (c *conn1) await() awaited {
	c.limit = c.timeouts(c.listener).Idle.Std()
	if c.x != nil || c.ahead { // something is there already
		if c.isOver() {
			return ends
		}
		return comes
	}
	patience := c.limit
	if c.Readable != nil {
		patience = min(patience, quietAfter)
	}
	now := time.Now()
	until, due := time.Time{}, false
	if c.since.IsZero() {
		c.since = now
		until, due = c.reading.due(now, patience)
	} else {
		// Something came, but no request: of TLS's own, or a part of a record. The
		// time it is given goes on.
		until, due = earlier(now.Add(patience), c.since.Add(c.limit)), true
		c.reading.reset()
	}
	if !c.expect(until, due) {
		return ends
	}
	n, err := c.Conn.Conn.Read(c.first[:])
	over := c.expected()
	c.ahead = n == 1
	switch {
	case c.ahead:
		c.since = time.Time{}
		return comes
	case !over && c.Readable != nil && isTimeout(err) && time.Since(c.since) < c.limit:
		return stays
	}
	return ends
}

// calm waits on a connection that is quiet. It returns false when that has ended,
// and is closed.
func (c *conn1) calm() bool {
	c.reading.reset()
	if c.expect(c.since.Add(c.limit), true) {
		err := c.Readable()
		if over := c.expected(); err == nil && !over {
			return true
		}
	}
	c.close()
	return false
}

// expect begins to wait, with another deadline if due; not on a connection that is
// to end. From here to expected, drain interrupts the waiting.
func (c *conn1) expect(until time.Time, due bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ending == atOnce {
		return false
	}
	c.waiting = true
	if due {
		c.Conn.Conn.SetReadDeadline(until)
	}
	return true
}

func (c *conn1) expected() (over bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waiting = false
	return c.ending == atOnce
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
