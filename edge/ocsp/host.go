package ocsp

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

const (
	// maxWaiting is how many questions wait in all, maxLine for one of several hosts.
	maxWaiting = 1024
	maxLine    = maxWaiting / 4
	// enough failures in a row, and a host is left alone for a while.
	enough = 3
)

// host is one on which responders are. It is guarded by the Client's lock.
type host struct {
	name      string
	line      []*entry // questions that wait for it
	busy      int      // and those under way
	failures  int      // in a row
	notBefore time.Time
	err       error // the last failure
}

// flight is a question under way.
type flight struct {
	over     chan struct{} // closed when it is
	urls     []string      // responders not asked yet; the first is next
	failures []error       // of the others
	asked    bool          // somebody was
}

// restError is a host that is left alone.
type restError struct {
	host  string
	until time.Time
	err   error
}

func (e *restError) Error() string {
	return fmt.Sprintf("OCSP responder's host %q is left alone until %s, for it failed: %v", e.host, e.until.UTC().Format(time.RFC3339), e.err)
}

func (e *restError) Unwrap() error { return e.err }

// ask has a responder asked, unless one is being asked or has failed of late. The
// lock is held.
func (c *Client) ask(e *entry, now time.Time) {
	if e.flight != nil || now.Before(e.notBefore) {
		return
	}
	urls := c.settings.responders(e.named)
	switch {
	case len(urls) == 0:
		e.err = errNoResponder
		return
	case c.state == stopped:
		e.err = errStopped
		return
	}
	e.flight = &flight{over: make(chan struct{}), urls: urls}
	if !c.enqueue(e, now) {
		c.giveUp(e, now)
	}
	c.dispatch()
}

// enqueue puts a question into the line of the first host that may be asked, and
// says whether there is one. The lock is held.
func (c *Client) enqueue(e *entry, now time.Time) bool {
	f := e.flight
	for ; len(f.urls) > 0; f.urls = f.urls[1:] {
		h := c.host(f.urls[0])
		switch {
		case now.Before(h.notBefore):
			f.failures = append(f.failures, &restError{h.name, h.notBefore, h.err})
		case c.waiting >= maxWaiting || c.settings.Responder == "" && len(h.line) >= maxLine:
			f.failures = append(f.failures, errBusy)
		default:
			if len(h.line) == 0 {
				c.lines = append(c.lines, h)
			}
			h.line = append(h.line, e)
			c.waiting++
			return true
		}
	}
	return false
}

// host finds or makes the one of a responder's URL. The lock is held.
func (c *Client) host(responder string) *host {
	name := responder
	if u, err := url.Parse(responder); err == nil {
		name = strings.ToLower(u.Host)
	}
	h := c.hosts[name]
	if h == nil {
		h = &host{name: name}
		c.hosts[name] = h
	}
	return h
}

// share is how many questions h may have under way. One that failed has to show
// with a single one that it is back.
func (c *Client) share(h *host) int {
	if h.failures >= enough {
		return 1
	}
	return c.settings.PerHost
}

// dispatch has questions asked, by turns of hosts, as far as there is room. The
// lock is held.
func (c *Client) dispatch() {
	if c.state != running || c.ctx.Err() != nil {
		return
	}
	for i := 0; i < len(c.lines) && c.asking < c.settings.Parallel; {
		h := c.lines[i]
		if h.busy >= c.share(h) {
			i++
			continue
		}
		e := h.line[0]
		h.line = slices.Delete(h.line, 0, 1)
		c.lines = slices.Delete(c.lines, i, i+1)
		if len(h.line) > 0 {
			c.lines = append(c.lines, h)
		}
		c.waiting--
		c.asking++
		h.busy++
		s, responder := c.settings, e.flight.urls[0]
		c.workers.Go(func() { c.work(s, h, e, responder) })
	}
}

// work asks one responder.
func (c *Client) work(s *settings, h *host, e *entry, responder string) {
	answer, response, reached, err := s.exchange(c.ctx, e.question, responder)
	now := time.Now()
	c.mu.Lock()
	c.asking--
	h.busy--
	tell := false
	if c.ctx.Err() != nil {
		e.land(errStopped)
	} else {
		c.weigh(h, reached, err, now)
		tell = c.learn(e, answer, response, err, now)
		c.dispatch()
	}
	told := c.settings.Revoked
	c.mu.Unlock()
	if tell && told != nil {
		told()
	}
}

// weigh takes down whether a host can be asked. When it has failed often enough,
// those who wait for it are sent on: each would cost them its timeout. The lock
// is held.
func (c *Client) weigh(h *host, reached bool, err error, now time.Time) {
	if reached {
		h.failures = 0
		return
	}
	if now.Before(h.notBefore) {
		return // asked before it was left alone
	}
	h.failures++
	h.err = err
	if h.failures < enough {
		return
	}
	h.notBefore = now.Add(c.settings.backoff(h.failures - enough + 1))
	c.settings.Log.Warn("OCSP responder's host is left alone", "host", h.name, "error", err, "next_attempt", h.notBefore)
	line := h.line
	h.line = nil
	c.waiting -= len(line)
	c.lines = slices.DeleteFunc(c.lines, func(other *host) bool { return other == h })
	for _, e := range line {
		if !c.enqueue(e, now) {
			c.giveUp(e, now)
		}
	}
}

// giveUp ends a question that nobody has answered. The lock is held.
func (c *Client) giveUp(e *entry, now time.Time) {
	f := e.flight
	err := errors.Join(f.failures...)
	if f.asked {
		c.counts.Asked++
		c.counts.Failures++
		c.counts.LastError = err.Error()
		e.failures++
		e.notBefore = now.Add(c.settings.backoff(e.failures))
		c.settings.Log.Warn("OCSP question failed", "responders", c.settings.responders(e.named), "error", err, "next_attempt", e.notBefore)
	} else {
		c.counts.Dropped++
	}
	e.land(err)
}

// land ends the flight. The lock is held.
func (e *entry) land(err error) {
	e.err = err
	close(e.flight.over)
	e.flight = nil
}
