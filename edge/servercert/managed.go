package servercert

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mholt/acmez/v3/acme"
)

// managed is one name for which CAs are asked. run owns its schedule.
type managed struct {
	entry    *acmeEntry
	host     string
	onDemand bool
	care     care
	poke     chan struct{} // a client waits, or an operator
	wanted   atomic.Bool   // some client was shown it since it was issued
	permit   atomic.Bool   // the rule was asked for the next order already

	mu       sync.Mutex
	pair     *Pair
	ca       string // directory of the CA that issued it
	failure  *failure
	failures int       // in a row
	refused  bool      // on_demand allows the name no longer
	retry    time.Time // after failures
	window   acme.RenewalInfo
	asked    time.Time     // when the CA is next asked for the window
	attempt  chan struct{} // closed when the attempt under way, or the next, is over
	released bool          // run has ended

	ordered    time.Time // when the pair came, zero if not known
	forRevoked time.Time // when an order last took a revoked pair's place

	byHand     *byHand
	lastByHand time.Time

	unsaved      []byte // the bundle of the pair, as long as the store has not taken it
	unsavedFor   *failure
	saveFailures int
	saveAt       time.Time
}

func newManaged(e *acmeEntry, host string, onDemand bool) *managed {
	m := &managed{entry: e, host: host, onDemand: onDemand, poke: make(chan struct{}, 1), attempt: make(chan struct{})}
	m.care = care{manager: e.manager, certificate: e.certificate, host: host, planned: true, key: m.key(".ocsp")}
	return m
}

func (m *managed) key(suffix string) string {
	return "issued/" + m.entry.certificate.name + "/" + fileName(m.host) + suffix
}

// bundleHost is the host of a kept certificate's file.
func bundleHost(name string) (string, bool) {
	name, ok := strings.CutSuffix(name, ".pem")
	return hostOf(name), ok
}

// takeStored puts what is kept in force.
func (m *managed) takeStored() error {
	storage := &magicStorage{store: m.entry.manager.store, key: m.key(".pem")}
	b, err := storage.load()
	if err != nil {
		return err
	}
	pair, err := m.parse(b)
	if err != nil {
		return fmt.Errorf("load kept certificate %s: %w", m.key(".pem"), err)
	}
	m.put(b, pair)
	return nil
}

// parse checks that a bundle is one for this name.
func (m *managed) parse(b *bundle) (*Pair, error) {
	pair, err := newPair(m.entry.certificate.name, b.cert, b.key)
	if err != nil {
		return nil, err
	}
	if !covers(pair.Leaf(), m.host) {
		return nil, fmt.Errorf("it is for %s", namesOf(pair.Leaf()))
	}
	pair.wanted = &m.wanted
	return pair, nil
}

// put puts a pair in force.
func (m *managed) put(b *bundle, pair *Pair) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pair, m.ca, m.ordered, m.forRevoked = pair, b.issuedBy(), b.ordered, b.forRevoked
	m.window, m.asked = acme.RenewalInfo{}, time.Time{}
	m.wanted.Store(false)
}

// state returns the pair in force, or why there is none.
func (m *managed) state() (*Pair, string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.failure != nil {
		return m.pair, m.failure.text
	}
	return m.pair, ""
}

func (m *managed) current() *Pair {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.pair
}

// staple puts an OCSP answer to the pair, unless another has taken its place.
func (m *managed) staple(pair *Pair, answer []byte) {
	m.mu.Lock()
	if m.pair == pair {
		m.pair = pair.stapled(answer)
	}
	m.mu.Unlock()
	m.entry.publish()
	if m.care.revoked(pair) {
		m.wake()
	}
}

func (m *managed) wake() {
	select {
	case m.poke <- struct{}{}:
	default:
	}
}

// run has the certificate issued and renewed until ctx is done, or until nobody
// wants it any more.
func (m *managed) run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	var careful sync.WaitGroup
	defer m.release()
	defer careful.Wait()
	defer cancel()
	careful.Go(func() { m.care.run(ctx, m.current, m.staple) })
	for {
		timer := time.NewTimer(time.Until(m.next(time.Now())))
		awaited := false
		select {
		case <-ctx.Done():
		case <-m.poke:
			awaited = true
		case <-timer.C:
		}
		timer.Stop()
		if ctx.Err() != nil {
			return
		}
		now := time.Now()
		if m.windowDue(now) && !m.isDue(now, awaited) {
			m.askWindow(ctx)
			now = time.Now()
		}
		if m.keepDue(now) {
			m.keep() // it says itself what came of it
		}
		switch {
		case m.wantedByHand() != nil:
			m.endByHand(m.try(context.WithValue(ctx, byHandKey{}, true)))
		case m.lapses(now):
			return
		case m.isDue(now, awaited) && m.awake():
			if m.try(ctx) == nil {
				m.endByHand(nil) // whoever has asked meanwhile has what they want
			}
		}
	}
}

// isDue says whether the CAs are to be asked now; awaited that a client may wait
// for it.
func (m *managed) isDue(now time.Time, awaited bool) bool {
	if due := m.due(); !due.IsZero() {
		return !now.Before(due)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return awaited && m.pair == nil && !now.Before(m.retry)
}

// due is when a certificate is to be asked for; zero for not until a client wants
// one.
func (m *managed) due() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.failures > 0 && m.pair == nil && m.onDemand:
		return time.Time{}
	case m.failures > 0:
		return m.retry
	case m.pair == nil, keyOf(m.pair.Leaf()) != string(m.entry.cfg.KeyType):
		return time.Unix(0, 0)
	}
	at := renewAt(m.pair.Leaf())
	if m.window.HasWindow() {
		at = earliest(lastChance(m.pair.Leaf()), m.window.SelectedTime)
	}
	now := time.Now()
	if floor := m.floor(now); at.Before(floor) {
		at = floor
	}
	if m.care.revoked(m.pair) {
		again := time.Unix(0, 0)
		if !m.forRevoked.After(now) && !m.forRevoked.IsZero() {
			again = m.forRevoked.Add(revokedInterval)
		}
		return earliest(at, again)
	}
	return at
}

// floor is when a fresh certificate may be replaced at the earliest, whoever says
// that it should be: the CA's window, or a clock that is far off, will say so of its
// successor, too. A time in the future is a clock's mistake. m.mu is held.
func (m *managed) floor(now time.Time) time.Time {
	if m.pair == nil || m.ordered.IsZero() || m.ordered.After(now) {
		return time.Time{}
	}
	leaf := m.pair.Leaf()
	return m.ordered.Add(min(maxFloor, leaf.NotAfter.Sub(leaf.NotBefore)/6))
}

// next is when there is something to do.
func (m *managed) next(now time.Time) time.Time {
	due := m.due()
	m.mu.Lock()
	defer m.mu.Unlock()
	next := now.Add(far)
	if !due.IsZero() {
		next = earliest(next, due)
		if m.onDemand && m.pair != nil && !m.wanted.Load() && !due.After(now) {
			next = now.Add(m.drowsy(now))
		}
	}
	if m.pair != nil {
		next = earliest(next, m.asked)
		if m.asked.IsZero() {
			next = now
		}
	} else if m.onDemand && m.failures > 0 {
		next = earliest(next, m.failure.at.Add(forgetAfter))
	}
	if m.unsaved != nil {
		next = earliest(next, m.saveAt)
	}
	if m.refused && m.pair == nil {
		next = now // it lapses
	}
	return next
}

// try asks the CAs now, and notes what came of it.
func (m *managed) try(ctx context.Context) error {
	had := m.current()
	err := m.permitted(ctx)
	if err == nil {
		err = m.order(ctx)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	now := time.Now()
	m.mu.Lock()
	log := m.entry.manager.log.With("certificate", m.entry.certificate.name, "host", m.host)
	m.refused = errors.Is(err, ErrNotAllowed)
	if err != nil {
		m.failures++
		refused, notBefore := waitFor(err)
		var fault *storeError
		var limit *limitedError
		switch {
		case m.refused, errors.As(err, &fault):
			refused = true // it will take somebody to mend that
		case errors.As(err, &limit):
			notBefore = limit.until
		}
		wait := backoff(m.failures, refused)
		if m.pair != nil {
			wait = retryIn(m.failures, refused, m.pair.Leaf())
		}
		m.retry = now.Add(wait)
		if notBefore.After(m.retry) {
			m.retry = notBefore
		}
		m.failure = &failure{strings.ReplaceAll(err.Error(), "\n", "; "), now}
		m.entry.certificate.counts.failed.Add(1)
		if m.pair == nil {
			log.Error("certificate not obtained", "cause", m.failure.text, "failures", m.failures, "next_try", m.retry)
		} else {
			log.Error("certificate not renewed; the old one stays", "cause", m.failure.text, "failures", m.failures, "next_try", m.retry, "not_after", m.pair.Leaf().NotAfter)
		}
	} else {
		m.failure, m.failures, m.retry = nil, 0, time.Time{}
		what, count := "certificate renewed", &m.entry.certificate.counts.renewed
		if had == nil {
			what, count = "certificate obtained", &m.entry.certificate.counts.obtained
		}
		count.Add(1)
		log.Info(what, "ca", m.ca, "not_after", m.pair.Leaf().NotAfter, "serial", fmt.Sprintf("%x", m.pair.Leaf().SerialNumber))
	}
	over := m.attempt
	m.attempt = make(chan struct{})
	m.mu.Unlock()
	m.entry.publish() // before anybody who waits looks
	close(over)
	m.care.look()
	return err
}

func (m *managed) status() Status {
	due := m.due()
	m.mu.Lock()
	defer m.mu.Unlock()
	s := Status{Certificate: m.entry.certificate.name, Host: m.host, Source: "acme", OnDemand: m.onDemand, CA: m.ca}
	s.describe(m.pair)
	s.Staple = m.care.status()
	if m.unsaved != nil {
		s.Unsaved, s.LastError, s.LastErrorAt = true, m.unsavedFor.text, m.unsavedFor.at
	}
	if m.failure != nil {
		s.LastError, s.LastErrorAt = m.failure.text, m.failure.at
	}
	if due.After(time.Unix(0, 0)) {
		s.NextTry = due
	}
	return s
}
