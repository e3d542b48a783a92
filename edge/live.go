package edge

import (
	"context"
	"crypto/sha256"
	"time"

	"github.com/sallyport/sallyport/edge/connlog"
	"github.com/sallyport/sallyport/edge/reason"
	"github.com/sallyport/sallyport/edge/truststore"
)

// A connection that was let in stays only while its client would be let in
// again: not once its certificate is revoked or past its notAfter, its anchor is
// gone, or its clients are judged otherwise. Then it takes no more requests at
// once, those under way may finish within finishTime, and what is left is cut,
// WebSockets among it: within a second it is over.
const (
	finishTime = 800 * time.Millisecond
	// sweepEvery is for what no event tells of, such as a clock that was set.
	sweepEvery = 30 * time.Second
)

// endSoon ends a connection within a second, also one that is being drained with
// more patience.
func (c *Conn) endSoon(why connlog.End, cause string) {
	for {
		old := c.ending.Load()
		if old != nil && !patient(*old) {
			return
		}
		if c.ending.CompareAndSwap(old, &why) {
			break
		}
	}
	c.endCause.Store(&cause)
	c.finish()
	time.AfterFunc(finishTime, func() { c.wire.Close() })
}

// patient says whether a connection that ends so may take its time: not for its
// client's sake.
func patient(end connlog.End) bool { return end == connlog.Drained || end == connlog.MaxAge }

// limitLife ends a connection when its client's certificate, or the listener's
// patience, does, whichever is first.
func (c *Conn) limitLife(now time.Time) {
	age := c.policy.cfg.Timeouts.MaxConnectionAge.Std()
	if c.verified != nil {
		if valid := c.verified.NotAfter.Sub(now); age <= 0 || valid < age {
			c.life = time.AfterFunc(valid, func() { c.endSoon(connlog.Expired, "the certificate's notAfter is past") })
			return
		}
	}
	if age > 0 {
		c.life = time.AfterFunc(age, func() { c.endSoon(connlog.MaxAge, "max_connection_age") })
	}
}

// killSessions takes the certificate's TLS sessions away. They would be refused
// on resumption in any case; so they take up no room either.
func (c *Conn) killSessions() {
	if len(c.presented) > 0 {
		c.tickets.KillCertificate(sha256.Sum256(c.presented[0].Raw))
	}
}

// recheck ends a connection whose client would not be let in now. It is called
// for every connection when anything has changed that it depends on, and once
// for each that comes in while that happens.
func (s *Server) recheck(c *Conn, now time.Time) {
	if end := c.ending.Load(); end != nil && !patient(*end) {
		return
	}
	current := c.socket.policy.Load().admissions.of(c.hello.serverName)
	if !c.judgedAs(current) {
		c.endSoon(connlog.PolicyChanged, "clients of this listener and host are judged otherwise now")
		return
	}
	if c.verified == nil {
		return
	}
	// Of a listener that was taken away, the policy is the last it had; what the
	// trust store says is always what it says now.
	store := s.generation.Load().stores[c.admission.mutual.TrustStore]
	if store == nil {
		c.endSoon(connlog.PolicyChanged, "the trust store is gone")
		return
	}
	err := store.StillAdmits(c.verified, now)
	if err == nil {
		return
	}
	code, _ := reason.Of(err)
	switch code {
	case reason.ClientCertExpired:
		c.endSoon(connlog.Expired, err.Error())
	case reason.ClientCertUntrusted:
		c.endSoon(connlog.AnchorRemoved, err.Error())
	case reason.ClientCertOcspProcessingError:
		c.endSoon(connlog.Unvouched, err.Error())
	default:
		c.endSoon(connlog.Revoked, err.Error())
	}
	c.killSessions()
}

// sweepLater asks for a sweep of all connections, and returns at once.
func (s *Server) sweepLater() {
	select {
	case s.sweeps <- struct{}{}:
	default: // one is due already, and will see what this one would
	}
}

// sweeper names the task that sweeps when a trust store changes.
type sweeper struct{ store *truststore.Store }

// sweepOnChange asks for a sweep whenever the store's CAs, CRLs or revocations
// change.
func (s *Server) sweepOnChange(ctx context.Context, store *truststore.Store) error {
	for {
		changed := store.Changed()
		s.sweepLater()
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		}
	}
}

// sweepConnections rechecks all connections when asked to, until ctx is done.
func (s *Server) sweepConnections(ctx context.Context) {
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.sweeps:
		case <-ticker.C:
		}
		now := time.Now()
		for _, c := range s.connections.all() {
			if c.admitted.Load() {
				s.recheck(c, now)
			}
		}
	}
}
