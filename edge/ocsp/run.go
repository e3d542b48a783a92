package ocsp

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/sallyport/sallyport/revocation/ocsp"
)

// Run asks responders until ctx is done, and returns its error when all that it
// started has stopped. It can be called once. Those who wait then are told.
func (c *Client) Run(ctx context.Context) error {
	c.mu.Lock()
	if c.state != made {
		c.mu.Unlock()
		return errRan
	}
	c.state = running
	c.mu.Unlock()
	var workers sync.WaitGroup
	for range c.options.Parallel {
		workers.Go(func() { c.work(ctx) })
	}
	c.renew(ctx)
	workers.Wait()

	c.mu.Lock()
	defer c.mu.Unlock()
	c.state = stopped // nothing is queued from here on
	for {
		select {
		case e := <-c.queue:
			e.land(errStopped)
		default:
			return ctx.Err()
		}
	}
}

func (c *Client) work(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case e := <-c.queue:
			answer, err := c.exchange(ctx, e)
			c.learn(ctx, e, answer, err)
		}
	}
}

// land ends the flight. The lock is held.
func (e *entry) land(err error) {
	e.err = err
	close(e.flight)
	e.flight = nil
}

// learn takes down what came of a question.
func (c *Client) learn(ctx context.Context, e *entry, answer ocsp.Answer, err error) {
	if c.learnLocked(ctx, e, answer, err) && c.options.Revoked != nil {
		c.options.Revoked()
	}
}

// learnLocked says whether the certificate was not known to be revoked before.
func (c *Client) learnLocked(ctx context.Context, e *entry, answer ocsp.Answer, err error) (revoked bool) {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if ctx.Err() != nil {
		e.land(errStopped)
		return false
	}
	c.counts.Asked++
	if err == nil && e.have && answer.ThisUpdate.Before(e.answer.ThisUpdate) {
		err = &olderError{answer.ThisUpdate, e.answer.ThisUpdate}
	}
	if err != nil {
		c.counts.Failures++
		c.counts.LastError = err.Error()
		e.failures++
		wait := c.options.MinBackoff
		for i := 1; i < e.failures && wait < c.options.MaxBackoff; i++ {
			wait *= 2
		}
		e.notBefore = now.Add(min(wait, c.options.MaxBackoff))
		c.options.Log.Warn("OCSP question failed", "responders", e.urls, "error", err, "next_attempt", e.notBefore)
		e.land(err)
		return false
	}
	revoked = answer.Status == ocsp.Revoked && !(e.have && e.answer.Status == ocsp.Revoked)
	e.answer, e.have, e.failures = answer, true, 0
	// After half to three quarters of what is left, so not all at once; a responder
	// that signs for minutes is not asked more often than after failures. What is
	// left may be nothing, since Skew is granted.
	left := max(0, answer.Expires.Sub(now))
	e.renewAt = now.Add(left/2 + rand.N(left/4+1))
	e.notBefore = now.Add(min(c.options.MinBackoff, max(left/2, time.Second)))
	e.land(nil)
	return revoked
}

// renew looks for answers that expire soon until ctx is done.
func (c *Client) renew(ctx context.Context) {
	ticker := time.NewTicker(renewInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			c.renewAll(time.Now())
		}
	}
}

// renewAll asks again about what was asked about lately, and forgets what nobody
// asked about for long and says nothing any more.
func (c *Client) renewAll(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range c.entries {
		switch lately := now.Sub(e.seen) <= c.options.KeepFresh; {
		case lately && e.have && !now.Before(e.renewAt):
			c.ask(e, now)
		case !lately && !e.counts(now) && e.flight == nil:
			c.forget(e)
		}
	}
}
