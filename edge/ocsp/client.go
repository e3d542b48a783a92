package ocsp

import (
	"container/list"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sallyport/sallyport/revocation/ocsp"
)

// Client may be used by many goroutines.
type Client struct {
	mu       sync.Mutex
	settings *settings
	entries  map[string]*entry
	lists    [classes]list.List // of *entry, the one asked about last in front
	state    state
	counts   Status
	toldFull time.Time // when it was last logged that revoked certificates are forgotten

	hosts   map[string]*host
	lines   []*host // those for which questions wait, the one whose turn is next first
	waiting int     // questions in all lines
	asking  int     // questions under way
	workers sync.WaitGroup
	ctx     context.Context // of Run

	dir          string                 // "" keeps nothing
	unsaved      map[string]*keptAnswer // by the entry's id: what the directory does not have yet
	save         chan struct{}          // holds one when there is something new
	saveFailures int                    // in a row; of saveAll alone
}

type state uint8

const (
	made state = iota
	running
	stopped
)

// Status counts what a Client did.
type Status struct {
	Entries   int    `json:"entries"`
	Revoked   int    `json:"revoked"`  // of them, those of revoked certificates
	Hits      uint64 `json:"hits"`     // look-ups that were answered
	Misses    uint64 `json:"misses"`   // and those that were not
	Asked     uint64 `json:"asked"`    // questions to responders
	Failures  uint64 `json:"failures"` // of them, those without an answer that counts
	Dropped   uint64 `json:"dropped"`  // not asked: too many were waiting, or the host had failed of late
	LastError string `json:"last_error,omitempty"`
}

var (
	errNoResponder = errors.New("certificate names no OCSP responder that may be asked")
	errBusy        = errors.New("too many OCSP questions are waiting")
	errStopped     = errors.New("OCSP client does not run")
	errRan         = errors.New("OCSP client has run already")
	errWaiting     = errors.New("OCSP responder has not answered yet")
)

// New makes a Client. It starts nothing: until Run is called nobody is asked.
func New(o Options) (*Client, error) {
	s, err := newSettings(o)
	if err != nil {
		return nil, err
	}
	return &Client{settings: s, entries: map[string]*entry{}, hosts: map[string]*host{},
		dir: o.Dir, unsaved: map[string]*keptAnswer{}, save: make(chan struct{}, 1)}, nil
}

// Lookup says at once what is known of leaf, which issuer issued. known is false,
// and the Answer the zero one, where nothing is; then a responder is asked in the
// background. The caller must have verified leaf's chain.
func (c *Client) Lookup(leaf, issuer *x509.Certificate) (a ocsp.Answer, known bool) {
	a, known, _, _ = c.lookup(leaf, issuer)
	return a, known
}

// Known says what responders have said of leaf. Where they have said nothing,
// nobody is asked.
func (c *Client) Known(leaf, issuer *x509.Certificate) (a ocsp.Answer, known bool) {
	q, err := ocsp.NewQuestion(leaf, issuer)
	if err != nil {
		return a, false
	}
	now := time.Now()
	e := c.find(q, leaf, now, false)
	defer c.mu.Unlock()
	if e == nil || !e.have {
		return a, false
	}
	if !e.answer.Fresh(now) {
		c.ask(e, now)
	}
	if e.counts(now) {
		return e.answer, true
	}
	return a, false
}

// Note remembers, for Live alone, a response that came with leaf, was judged and
// says Good: nobody needs to be asked while it is fresh. It is no answer to
// anybody else, who may not have brought it.
func (c *Client) Note(leaf, issuer *x509.Certificate, stapled ocsp.Answer) {
	q, err := ocsp.NewQuestion(leaf, issuer)
	if err != nil || stapled.Status != ocsp.Good {
		return
	}
	e := c.find(q, leaf, time.Now(), true)
	defer c.mu.Unlock()
	if stapled.Expires.After(e.stapled.Expires) {
		e.stapled = stapled
	}
}

// Live is Lookup for a client that is in, and is to be called again and again
// while it is: so long its certificate is not forgotten for others' sake. Where
// neither a responder nor a staple is known to say Good or Revoked, without is
// when that was first found, or now while the first question about it is under
// way; else it is zero.
func (c *Client) Live(leaf, issuer *x509.Certificate) (a ocsp.Answer, known bool, without time.Time) {
	q, err := ocsp.NewQuestion(leaf, issuer)
	if err != nil {
		return a, false, without
	}
	now := time.Now()
	e := c.find(q, leaf, now, true)
	defer c.mu.Unlock()
	if !e.live(now) {
		e.without = time.Time{} // of clients that are long gone
	}
	e.lived = now
	c.touch(e, now)
	switch {
	case e.counts(now) && e.answer.Status == ocsp.Revoked:
		a, known = e.answer, true
	case e.stapled.Fresh(now):
		a, known = e.stapled, true
	case e.counts(now):
		a, known = e.answer, true
	}
	if !a.Fresh(now) {
		c.ask(e, now)
	}
	switch {
	case known && a.Status != ocsp.Unknown:
		e.without = time.Time{}
	case e.without.IsZero():
		e.without = now
	}
	if !e.without.IsZero() && e.flight != nil && e.failures == 0 {
		return a, known, now // nobody is without an answer for having asked only now
	}
	return a, known, e.without
}

// Wait is Lookup that waits for the responder until ctx is done, which is to have
// a deadline. The error says why nothing is known. After a failure of late it
// comes at once.
func (c *Client) Wait(ctx context.Context, leaf, issuer *x509.Certificate) (ocsp.Answer, error) {
	a, known, over, err := c.lookup(leaf, issuer)
	if known {
		return a, nil
	}
	if over == nil {
		return ocsp.Answer{}, err
	}
	select {
	case <-over:
	case <-ctx.Done():
		return ocsp.Answer{}, fmt.Errorf("%w: %w", errWaiting, context.Cause(ctx))
	}
	if a, known, _, err = c.lookup(leaf, issuer); known {
		return a, nil
	}
	if err == nil {
		err = errWaiting
	}
	return ocsp.Answer{}, err
}

// lookup gives what is known, and else what to wait for or why there is nothing.
func (c *Client) lookup(leaf, issuer *x509.Certificate) (a ocsp.Answer, known bool, over chan struct{}, err error) {
	q, err := ocsp.NewQuestion(leaf, issuer)
	if err != nil {
		return a, false, nil, err
	}
	now := time.Now()
	e := c.find(q, leaf, now, true)
	defer c.mu.Unlock()
	if !e.have || !e.answer.Fresh(now) {
		c.ask(e, now)
	}
	if e.counts(now) {
		c.counts.Hits++
		return e.answer, true, nil, nil
	}
	c.counts.Misses++
	if e.flight != nil {
		over = e.flight.over
	}
	return a, false, over, e.err
}

// Status tells what the Client did so far.
func (c *Client) Status() Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.counts
	s.Entries, s.Revoked = len(c.entries), c.lists[revoked].Len()
	return s
}
