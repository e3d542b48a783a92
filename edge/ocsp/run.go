package ocsp

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/sallyport/sallyport/revocation/ocsp"
)

const renewInterval = 10 * time.Second

// Run asks responders until ctx is done, and returns its error when all that it
// started has stopped. It can be called once. Those who wait then are told.
func (c *Client) Run(ctx context.Context) error {
	c.mu.Lock()
	if c.state != made {
		c.mu.Unlock()
		return errRan
	}
	c.state, c.ctx = running, ctx
	c.dispatch()
	c.mu.Unlock()
	last := make(chan struct{})
	var saving sync.WaitGroup
	if c.dir != "" {
		saving.Go(func() { c.saveAll(last) })
	}
	c.renew(ctx)

	c.mu.Lock()
	c.state = stopped // nobody is asked from here on
	http := c.settings.http
	c.mu.Unlock()
	c.workers.Wait()
	close(last)
	saving.Wait()
	http.CloseIdleConnections()

	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range c.entries {
		if e.flight != nil {
			e.land(errStopped)
		}
	}
	return ctx.Err()
}

// learn takes down what came of asking one responder; after a failure the next is
// asked. It says whether the certificate was not known to be revoked before. The
// lock is held.
func (c *Client) learn(e *entry, answer ocsp.Answer, response []byte, err error, now time.Time) (tell bool) {
	f := e.flight
	f.asked = true
	if err == nil && e.have && answer.ThisUpdate.Before(e.answer.ThisUpdate) {
		err = fmt.Errorf("ask %s: %w", f.urls[0], &olderError{answer.ThisUpdate, e.answer.ThisUpdate})
	}
	if err != nil {
		f.failures = append(f.failures, err)
		f.urls = f.urls[1:]
		if !c.enqueue(e, now) {
			c.giveUp(e, now)
		}
		return false
	}
	c.counts.Asked++
	tell = answer.Status == ocsp.Revoked && !(e.have && e.answer.Status == ocsp.Revoked)
	e.answer, e.have, e.failures = answer, true, 0
	c.keep(e, response, now)
	// After half to three quarters of what is left, so not all at once; a responder
	// that signs for minutes is not asked more often than after failures. What is
	// left may be nothing, since Skew is granted.
	left := max(0, answer.Expires.Sub(now))
	e.renewAt = now.Add(left/2 + rand.N(left/4+1))
	e.notBefore = now.Add(min(c.settings.MinBackoff, max(left/2, time.Second)))
	e.land(nil)
	c.file(e, now)
	return tell
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
