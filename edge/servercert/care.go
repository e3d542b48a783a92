package servercert

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/sallyport/sallyport/revocation/ocsp"
)

// care is what a certificate needs besides its renewal: a fresh OCSP answer to
// staple (RFC 6066, section 8), and a word to the operator when its end is near.
type care struct {
	manager     *Manager
	certificate *Certificate
	key         string // of the answer in the store
	host        string // "" for all of an entry's
	planned     bool   // renewed by itself, so that a word is needed only when it was not
	nudge       chan struct{}
	once        sync.Once

	mu       sync.Mutex
	answer   ocsp.Answer
	problem  string
	failures int
	next     time.Time // when the responder may be asked again
	stale    bool      // the answer is not stapled any more
	about    *Pair     // whose leaf all this is about
	told     int       // days
	over     bool      // told that it has expired
}

// maxAnswer bounds an OCSP answer, in bytes.
const maxAnswer = ocsp.MaxResponse

// newResponders is the client that asks OCSP responders. It follows no redirect: the
// certificate names who is asked.
func newResponders() *http.Client {
	return &http.Client{Timeout: 15 * time.Second, CheckRedirect: noRedirect}
}

func (c *care) init() { c.once.Do(func() { c.nudge = make(chan struct{}, 1) }) }

// look makes run look at once.
func (c *care) look() {
	c.init()
	select {
	case c.nudge <- struct{}{}:
	default:
	}
}

// run takes care of what current returns until ctx is done. staple is called with
// a pair and an answer for it, nil when there is none any more.
func (c *care) run(ctx context.Context, current func() *Pair, staple func(*Pair, []byte)) {
	c.init()
	for {
		next := c.step(ctx, current(), staple)
		timer := time.NewTimer(time.Until(next))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-c.nudge:
			timer.Stop()
		case <-timer.C:
		}
	}
}

// far is beyond anything that is planned.
const far = 24 * time.Hour

// step does what is due and returns when to look again.
func (c *care) step(ctx context.Context, pair *Pair, staple func(*Pair, []byte)) time.Time {
	now := time.Now()
	next := now.Add(far)
	if pair == nil {
		return next
	}
	c.mu.Lock()
	if c.about == nil || c.about.Leaf() != pair.Leaf() {
		c.answer, c.problem, c.failures, c.next, c.stale, c.told, c.over = ocsp.Answer{}, "", 0, time.Time{}, false, 0, false
	}
	c.about = pair
	c.mu.Unlock()
	return earliest(next, c.remind(pair, now), c.refresh(ctx, pair, now, staple))
}

func earliest(first time.Time, others ...time.Time) time.Time {
	for _, t := range others {
		if !t.IsZero() && t.Before(first) {
			first = t
		}
	}
	return first
}

// remind tells the operator that the end comes near.
func (c *care) remind(pair *Pair, now time.Time) time.Time {
	leaf := pair.Leaf()
	days, next := milestone(leaf, now)
	log := c.manager.log.With("certificate", c.certificate.name, "host", c.host, "not_after", leaf.NotAfter)
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case !now.Before(leaf.NotAfter):
		if !c.over {
			c.over = true
			log.Error("certificate has expired")
		}
		return time.Time{}
	case days == 0 || days == c.told:
	case c.planned && now.Before(lastChance(leaf)) && now.Before(renewAt(leaf).Add(leaf.NotAfter.Sub(leaf.NotBefore)/20)):
		log.Info("certificate comes to its end; its renewal is planned", "days_left", days)
	default:
		log.Warn("certificate comes to its end", "days_left", days)
	}
	c.told = days
	return next
}

// refresh sees to a fresh OCSP answer. A certificate that names no responder needs
// none.
func (c *care) refresh(ctx context.Context, pair *Pair, now time.Time, staple func(*Pair, []byte)) time.Time {
	leaf, issuer := pair.Leaf(), pair.issuer()
	if len(leaf.OCSPServer) == 0 || issuer == nil || !now.Before(leaf.NotAfter) {
		return time.Time{}
	}
	c.mu.Lock()
	known, next := c.answer, c.next
	stapled := known.Status == ocsp.Good && !c.stale
	ends := stapled && !now.Before(known.Expires)
	c.stale = c.stale || ends
	c.mu.Unlock()
	if ends {
		staple(pair, nil) // clients refuse what is out of date
	}
	if now.Before(next) {
		if stapled && !ends {
			return earliest(next, known.Expires)
		}
		return next
	}
	question, err := ocsp.NewQuestion(leaf, issuer)
	if err != nil {
		c.failed(pair, err, now)
		return now.Add(far)
	}
	if known.Status == ocsp.Unknown { // the first look: one from before a restart may do
		if der, err := c.manager.store.Load(c.key); err == nil {
			if answer, err := question.Validate(der, ocsp.Check{Now: now}); err == nil && now.Before(c.due(answer)) {
				return c.take(pair, answer, der, now, staple)
			}
		} else if !errors.Is(err, fs.ErrNotExist) {
			c.manager.log.Warn("kept OCSP answer not read", "certificate", c.certificate.name, "host", c.host, "cause", err)
		}
	}
	der, answer, err := c.ask(ctx, leaf.OCSPServer[0], question)
	if err != nil {
		if ctx.Err() != nil {
			return now
		}
		return c.failed(pair, err, now)
	}
	next = c.take(pair, answer, der, now, staple)
	if answer.Status == ocsp.Good {
		if err := c.manager.store.Save(c.key, der); err != nil {
			c.manager.log.Warn("OCSP answer not kept", "certificate", c.certificate.name, "host", c.host, "cause", err)
		}
	}
	return next
}

// due is when an answer is asked for anew: half-way, so that there is time to
// fail.
func (c *care) due(a ocsp.Answer) time.Time { return a.ThisUpdate.Add(a.Expires.Sub(a.ThisUpdate) / 2) }

// pauseAfter is how long a responder is left alone after an answer, whatever that
// says: it may hand out one that is old, or short-lived, again and again.
func pauseAfter(a ocsp.Answer, now time.Time) time.Duration {
	return max(time.Minute, min(time.Hour, a.Expires.Sub(a.ThisUpdate)/4), a.Expires.Sub(now)/4)
}

// take puts a new answer in force, and returns when there is something to do about
// it. Only one that says good is stapled.
func (c *care) take(pair *Pair, answer ocsp.Answer, der []byte, now time.Time, staple func(*Pair, []byte)) time.Time {
	next := c.due(answer)
	if floor := now.Add(pauseAfter(answer, now)); next.Before(floor) {
		next = floor
	}
	c.mu.Lock()
	changed := c.answer.Status != answer.Status
	c.answer, c.problem, c.failures, c.next, c.stale = answer, "", 0, next, false
	c.mu.Unlock()
	log := c.manager.log.With("certificate", c.certificate.name, "host", c.host)
	if answer.Status != ocsp.Good {
		if changed {
			log.Error("certificate is not good, says its CA", "status", answer.Status.String(), "revoked_at", answer.RevokedAt)
		}
		staple(pair, nil)
		return next
	}
	c.certificate.counts.stapled.Add(1)
	log.Debug("OCSP answer stapled", "next_update", answer.NextUpdate)
	staple(pair, der)
	return earliest(next, answer.Expires)
}

func (c *care) failed(pair *Pair, err error, now time.Time) time.Time {
	c.certificate.counts.stapleFailed.Add(1)
	c.mu.Lock()
	defer c.mu.Unlock()
	level := slog.LevelWarn
	if c.failures > 0 {
		level = slog.LevelDebug // said already; status has the cause
	}
	c.failures++
	c.problem = err.Error()
	c.next = now.Add(backoff(c.failures, false))
	c.manager.log.Log(context.Background(), level, "OCSP answer not refreshed", "certificate", c.certificate.name, "host", c.host, "cause", err, "next_try", c.next)
	if c.answer.Status == ocsp.Good && !c.stale {
		return earliest(c.next, c.answer.Expires)
	}
	return c.next
}

// revoked says whether the CA says so of this certificate.
func (c *care) revoked(pair *Pair) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.about != nil && pair != nil && c.about.Leaf() == pair.Leaf() && c.answer.Status == ocsp.Revoked
}

func (c *care) status() *Staple {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.problem != "" && c.answer.Status != ocsp.Good:
		return &Staple{Status: c.problem}
	case c.answer.Status == ocsp.Unknown:
		return nil
	}
	return &Staple{Status: c.answer.Status.String(), ThisUpdate: c.answer.ThisUpdate, NextUpdate: c.answer.NextUpdate}
}

// ask asks a responder (RFC 6960, appendix A.1) and judges its answer.
func (c *care) ask(ctx context.Context, responder string, question *ocsp.Question) ([]byte, ocsp.Answer, error) {
	body, _, err := question.Request(ocsp.RequestOptions{})
	if err != nil {
		return nil, ocsp.Answer{}, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, responder, bytes.NewReader(body))
	if err != nil {
		return nil, ocsp.Answer{}, fmt.Errorf("ask OCSP responder: %w", err)
	}
	request.Header.Set("Content-Type", "application/ocsp-request")
	response, err := c.manager.responders.Do(request)
	if err != nil {
		return nil, ocsp.Answer{}, fmt.Errorf("ask OCSP responder: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, ocsp.Answer{}, fmt.Errorf("ask OCSP responder %s: it answers %s", responder, response.Status)
	}
	der, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err != nil {
		return nil, ocsp.Answer{}, fmt.Errorf("read answer of OCSP responder %s: %w", responder, err)
	}
	answer, err := question.Validate(der, ocsp.Check{Now: time.Now()})
	if err != nil {
		return nil, ocsp.Answer{}, fmt.Errorf("OCSP responder %s: %w", responder, err)
	}
	return der, answer, nil
}
