package ocsp

import (
	"container/list"
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/sallyport/sallyport/edge/fetch"
	"github.com/sallyport/sallyport/revocation/ocsp"
)

// Options of a Client. The zero value can be used.
type Options struct {
	Network fetch.Network

	// Responder is asked in the place of those that certificates name; empty:
	// those. Hosts says of which hosts (without port) they may be; nil: of any.
	Responder string
	Hosts     func(host string) bool

	// Hash and Nonce are those of requests; see ocsp.RequestOptions. With Nonce a
	// response has to have it.
	Hash  crypto.Hash
	Nonce bool

	// MaxAge and Delegate are those of ocsp.Check.
	MaxAge   time.Duration
	Delegate func(delegate *x509.Certificate) error

	// MaxEntries is how many certificates are remembered; the one not asked about
	// for longest goes first. 0: 10000.
	MaxEntries int

	// Parallel is how many responders are asked at once. 0: 8.
	Parallel int

	// Timeout is for one responder. 0: 10 s.
	Timeout time.Duration

	// MinBackoff and MaxBackoff bound how long a failure is remembered. 0: 10 s, 10 min.
	MinBackoff, MaxBackoff time.Duration

	// KeepFresh is for how long after it was last asked about a certificate's
	// answer is renewed before it expires. 0: 1 h.
	KeepFresh time.Duration

	// Revoked is called when an answer says Revoked about a certificate of which
	// none did before. It has to return soon. Nil: nobody is told.
	Revoked func()

	// Log is told of failures. Nil: nobody.
	Log *slog.Logger
}

// Client may be used by many goroutines.
type Client struct {
	options Options
	http    *http.Client
	queue   chan *entry

	mu      sync.Mutex
	entries map[string]*entry
	recent  *list.List // of *entry, the one asked about last in front
	state   state
	counts  Status
}

type state uint8

const (
	made state = iota
	running
	stopped
)

// entry is what is known of one certificate. All but question and urls are
// guarded by the Client's lock.
type entry struct {
	id       string
	question *ocsp.Question
	urls     []string
	place    *list.Element
	seen     time.Time

	answer    ocsp.Answer
	have      bool
	renewAt   time.Time
	notBefore time.Time // after a failure: not to be asked before then
	failures  int
	err       error
	flight    chan struct{} // closed when the question under way is over; nil: none is
}

// Status counts what a Client did.
type Status struct {
	Entries   int    `json:"entries"`
	Hits      uint64 `json:"hits"`     // look-ups that were answered
	Misses    uint64 `json:"misses"`   // and those that were not
	Asked     uint64 `json:"asked"`    // questions to responders
	Failures  uint64 `json:"failures"` // of them, those without an answer that counts
	Dropped   uint64 `json:"dropped"`  // not asked, because too many were waiting
	LastError string `json:"last_error,omitempty"`
}

const (
	maxQueue      = 1024
	maxResponders = 2 // of those that a certificate names
	renewInterval = 10 * time.Second
)

var (
	errNoResponder = errors.New("certificate names no OCSP responder that may be asked")
	errBusy        = errors.New("too many OCSP questions are waiting")
	errStopped     = errors.New("OCSP client does not run")
	errRan         = errors.New("OCSP client has run already")
	errWaiting     = errors.New("OCSP responder has not answered yet")
)

// New makes a Client. It starts nothing: until Run is called nobody is asked.
func New(o Options) (*Client, error) {
	if o.Responder != "" {
		u, err := url.Parse(o.Responder)
		if err == nil {
			err = fetch.CheckURL(u)
		}
		if err != nil {
			return nil, fmt.Errorf("make OCSP client: responder %q: %w", o.Responder, err)
		}
	}
	if o.MaxEntries < 0 || o.Parallel < 0 || min(o.Timeout, o.MinBackoff, o.MaxBackoff, o.KeepFresh, o.MaxAge) < 0 {
		return nil, errors.New("make OCSP client: an option is negative")
	}
	if o.MaxEntries == 0 {
		o.MaxEntries = 10000
	}
	if o.Parallel == 0 {
		o.Parallel = 8
	}
	for value, zero := range map[*time.Duration]time.Duration{&o.Timeout: 10 * time.Second,
		&o.MinBackoff: 10 * time.Second, &o.MaxBackoff: 10 * time.Minute, &o.KeepFresh: time.Hour} {
		if *value == 0 {
			*value = zero
		}
	}
	if o.MaxBackoff < o.MinBackoff {
		return nil, fmt.Errorf("make OCSP client: longest backoff %s: want at least the shortest, %s", o.MaxBackoff, o.MinBackoff)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Client{options: o, http: o.Network.Client(), queue: make(chan *entry, maxQueue),
		entries: map[string]*entry{}, recent: list.New()}, nil
}

// Lookup says at once what is known of leaf, which issuer issued. known is false,
// and the Answer the zero one, where nothing is; then a responder is asked in the
// background. The caller must have verified leaf's chain.
func (c *Client) Lookup(leaf, issuer *x509.Certificate) (a ocsp.Answer, known bool) {
	a, known, _, _ = c.lookup(leaf, issuer)
	return a, known
}

// Known is Lookup for a certificate that was looked up before. Of any other
// nothing is known, and nobody is asked.
func (c *Client) Known(leaf, issuer *x509.Certificate) (a ocsp.Answer, known bool) {
	q, err := ocsp.NewQuestion(leaf, issuer)
	if err != nil {
		return a, false
	}
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entries[q.ID()]
	if e == nil {
		return a, false
	}
	c.recent.MoveToFront(e.place)
	e.seen = now
	if !e.have || !e.answer.Fresh(now) {
		c.ask(e, now)
	}
	if e.counts(now) {
		return e.answer, true
	}
	return a, false
}

// Wait is Lookup that waits for the responder until ctx is done, which is to have
// a deadline. The error says why nothing is known. After a failure of late it
// comes at once.
func (c *Client) Wait(ctx context.Context, leaf, issuer *x509.Certificate) (ocsp.Answer, error) {
	a, known, flight, err := c.lookup(leaf, issuer)
	if known {
		return a, nil
	}
	if flight == nil {
		return ocsp.Answer{}, err
	}
	select {
	case <-flight:
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

// lookup gives what is known, and else the flight to wait for or why there is none.
func (c *Client) lookup(leaf, issuer *x509.Certificate) (a ocsp.Answer, known bool, flight chan struct{}, err error) {
	q, err := ocsp.NewQuestion(leaf, issuer)
	if err != nil {
		return a, false, nil, err
	}
	id, now := q.ID(), time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entries[id]
	if e == nil {
		e = &entry{id: id, question: q, urls: c.responders(leaf)}
		e.place = c.recent.PushFront(e)
		c.entries[id] = e
		if c.recent.Len() > c.options.MaxEntries {
			c.forget(c.recent.Back().Value.(*entry))
		}
	} else {
		c.recent.MoveToFront(e.place)
	}
	e.seen = now
	if !e.have || !e.answer.Fresh(now) {
		c.ask(e, now)
	}
	if e.counts(now) {
		c.counts.Hits++
		return e.answer, true, nil, nil
	}
	c.counts.Misses++
	return a, false, e.flight, e.err
}

// counts says whether what is known may be relied on.
func (e *entry) counts(now time.Time) bool {
	return e.have && (e.answer.Fresh(now) || e.answer.Status == ocsp.Revoked && e.answer.Reason != ocsp.CertificateHold)
}

// ask has the responder asked, unless it is being asked or has failed of late.
// The lock is held.
func (c *Client) ask(e *entry, now time.Time) {
	if e.flight != nil || now.Before(e.notBefore) {
		return
	}
	switch {
	case len(e.urls) == 0:
		e.err = errNoResponder
		return
	case c.state == stopped:
		e.err = errStopped
		return
	}
	select {
	case c.queue <- e:
		e.flight = make(chan struct{})
	default:
		c.counts.Dropped++
		e.err = errBusy
	}
}

// forget drops an entry; a question under way goes on for those who wait. The
// lock is held.
func (c *Client) forget(e *entry) {
	c.recent.Remove(e.place)
	delete(c.entries, e.id)
}

// responders are the URLs to ask about leaf.
func (c *Client) responders(leaf *x509.Certificate) []string {
	if c.options.Responder != "" {
		return []string{c.options.Responder}
	}
	var urls []string
	for _, raw := range leaf.OCSPServer {
		u, err := url.Parse(raw)
		if err != nil || fetch.CheckURL(u) != nil || c.options.Hosts != nil && !c.options.Hosts(u.Hostname()) {
			continue
		}
		if urls = append(urls, raw); len(urls) == maxResponders {
			break
		}
	}
	return urls
}

// Status tells what the Client did so far.
func (c *Client) Status() Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.counts
	s.Entries = len(c.entries)
	return s
}
