package ocsp

import (
	"container/list"
	"time"

	"github.com/sallyport/sallyport/revocation/ocsp"
)

// class says for whose sake a certificate may be forgotten: for others' of its
// class alone.
type class int

const (
	ordinary class = iota
	live           // of a client that is in; bounded by the limits on connections
	revoked        // said to be by its responder; what is forgotten could come back by an old staple
	classes
)

const (
	// liveFor is how long after Live was last called for a certificate its client
	// counts as in: several times as long as callers leave between calls.
	liveFor = 2 * time.Minute
	// tellFullEvery is how often it is logged that revoked certificates are forgotten.
	tellFullEvery = time.Minute
)

// entry is what is known of one certificate. All but id, question and named are
// guarded by the Client's lock.
type entry struct {
	id       string
	question *ocsp.Question
	named    []string // responders, by the certificate
	class    class
	place    *list.Element
	seen     time.Time // last asked about
	lived    time.Time // by Live
	without  time.Time // since when Live knows neither Good nor Revoked

	answer    ocsp.Answer // of a responder
	have      bool
	stapled   ocsp.Answer // by a client
	renewAt   time.Time
	notBefore time.Time // after a failure: not to be asked before then
	failures  int
	err       error
	flight    *flight // nil: no question is under way
}

// counts says whether what a responder said may be relied on.
func (e *entry) counts(now time.Time) bool {
	return e.have && (e.answer.Fresh(now) || e.answer.Status == ocsp.Revoked && e.answer.Reason != ocsp.CertificateHold)
}

func (e *entry) live(now time.Time) bool { return now.Sub(e.lived) <= liveFor }

func (e *entry) classAt(now time.Time) class {
	switch {
	case e.have && e.answer.Status == ocsp.Revoked:
		return revoked
	case e.live(now):
		return live
	}
	return ordinary
}

// touch notes that e was asked about. The lock is held.
func (c *Client) touch(e *entry, now time.Time) {
	e.seen = now
	c.file(e, now)
	c.lists[e.class].MoveToFront(e.place)
}

// file puts e into the list of its class, where it is not there. The lock is held.
func (c *Client) file(e *entry, now time.Time) {
	is := e.classAt(now)
	if e.place != nil {
		if is == e.class {
			return
		}
		c.lists[e.class].Remove(e.place)
	}
	e.class, e.place = is, c.lists[is].PushFront(e)
	c.bound(int(is), now)
}

// bound forgets what is too much of a class, but nothing that is being asked
// about: its answer would be lost. The lock is held.
func (c *Client) bound(of int, now time.Time) {
	most := c.settings.MaxEntries
	switch class(of) {
	case live:
		return
	case revoked:
		most = c.settings.MaxRevoked
	}
	l := &c.lists[of]
	for place := l.Back(); l.Len() > most && place != l.Front(); {
		e := place.Value.(*entry)
		place = place.Prev()
		if e.flight != nil {
			continue
		}
		c.forget(e)
		if class(of) == revoked && now.Sub(c.toldFull) >= tellFullEvery {
			c.toldFull = now
			c.settings.Log.Warn("more revoked certificates than OCSP answers are kept of; the one not asked about for longest is forgotten", "kept", most)
		}
	}
}

// forget drops an entry. The lock is held.
func (c *Client) forget(e *entry) {
	c.lists[e.class].Remove(e.place)
	delete(c.entries, e.id)
}

// renewAll asks again about what was asked about lately, and forgets what nobody
// asked about for long and says nothing any more.
func (c *Client) renewAll(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range c.entries {
		c.file(e, now)
		switch lately := now.Sub(e.seen) <= c.settings.KeepFresh; {
		case lately && e.have && !now.Before(e.renewAt):
			c.ask(e, now)
		case !lately && !e.counts(now) && e.flight == nil && c.entries[e.id] == e:
			c.forget(e)
		}
	}
	for name, h := range c.hosts {
		if h.busy == 0 && len(h.line) == 0 && (h.failures == 0 || now.Sub(h.notBefore) > c.settings.MaxBackoff) {
			delete(c.hosts, name)
		}
	}
}
