package proxy

import "time"

// longAgo is a deadline that wakes whoever waits, and is told apart from one that
// has passed.
var longAgo = time.Unix(1, 0)

// deadline remembers one that was set, so that it is set again only once a part
// of it is gone: for a connection with a request every millisecond that is once
// in thousands. What waits for it ends no earlier than its limit, and at most an
// eighth of that later.
type deadline struct{ until time.Time }

// due returns when to set the deadline to for something that may take limit from
// now, unless the one in force will do.
func (d *deadline) due(now time.Time, limit time.Duration) (time.Time, bool) {
	if left := d.until.Sub(now); left >= limit && left <= limit+limit/8 {
		return time.Time{}, false
	}
	d.until = now.Add(limit + limit/8)
	return d.until, true
}

// known says whether the connection's deadline is the one remembered.
func (d *deadline) known() bool { return !d.until.IsZero() }

// reset says that the connection's deadline is not the one remembered.
func (d *deadline) reset() { d.until = time.Time{} }
