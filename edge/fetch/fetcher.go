package fetch

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// Fetcher keeps the files of its URLs fresh. It may be used by many goroutines.
type Fetcher struct {
	options Options
	client  *http.Client
	slots   *slots
	room    *room

	mu      sync.Mutex
	ctx     context.Context // of Run; nil before
	sources map[string]*source
	leaving map[string]chan struct{} // removed, and not yet done with their files
	banned  map[string]time.Time     // removed while failing: not to be asked before then
	running sync.WaitGroup
}

var (
	errKnown   = errors.New("URL is there already")
	errRunning = errors.New("Fetcher has run already")
	errStopped = errors.New("Fetcher has stopped")
)

// New makes a Fetcher, and the directory if it is not there. It starts nothing.
func New(o Options) (*Fetcher, error) {
	o, err := o.filled()
	if err == nil {
		err = prepareDir(o.Dir)
	}
	if err != nil {
		return nil, fmt.Errorf("make fetcher: %w", err)
	}
	return &Fetcher{
		options: o,
		client:  o.Network.Client(),
		slots:   newSlots(o.Parallel),
		room:    &room{limit: o.MaxParts},
		sources: map[string]*source{},
		leaving: map[string]chan struct{}{},
		banned:  map[string]time.Time{},
	}, nil
}

// Run fetches until ctx is done, and returns its error when all that it started
// has stopped. It can be called once.
func (f *Fetcher) Run(ctx context.Context) error {
	f.mu.Lock()
	if f.ctx != nil {
		f.mu.Unlock()
		return errRunning
	}
	f.ctx = ctx
	for _, s := range f.sources {
		f.start(s)
	}
	f.mu.Unlock()
	<-ctx.Done()
	// Add starts nothing once ctx is done; it looks with the lock held.
	f.mu.Lock()
	//lint:ignore SA2001 an Add that did not see it has started its source now
	f.mu.Unlock()
	f.running.Wait()
	return ctx.Err()
}

// start runs s. The lock is held.
func (f *Fetcher) start(s *source) {
	ctx, cancel := context.WithCancel(f.ctx)
	s.cancel = cancel
	f.running.Go(func() {
		defer cancel()
		s.run(ctx)
		f.mu.Lock()
		defer f.mu.Unlock()
		if s.removed {
			s.spool.remove()
		}
		if f.leaving[s.url] == s.done {
			delete(f.leaving, s.url)
		}
		close(s.done)
	})
}

// Add has the file at rawURL kept fresh for accept, before or during Run. A URL
// that is there already, or not one that can be fetched, is an error; so is one
// more than MaxURLs. What was kept of the URL is offered to accept first.
func (f *Fetcher) Add(rawURL string, accept Accept) error {
	return f.AddWithin(rawURL, nil, accept)
}

// AddWithin is Add for a URL whose redirects may lead only to hosts that allows
// says yes to; nil: to any. It is called by goroutines of the Fetcher.
func (f *Fetcher) AddWithin(rawURL string, allows func(host string) bool, accept Accept) error {
	u, err := url.Parse(rawURL)
	if err == nil {
		err = CheckURL(u)
	}
	if err != nil {
		return fmt.Errorf("fetch %q: %w", rawURL, err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.sources[rawURL] != nil:
		err = errKnown
	case len(f.sources) >= f.options.MaxURLs:
		err = fmt.Errorf("there are %d URLs already", len(f.sources))
	case f.ctx != nil && f.ctx.Err() != nil:
		err = errStopped
	}
	if err != nil {
		return fmt.Errorf("fetch %q: %w", rawURL, err)
	}
	s := &source{
		fetcher: f, url: rawURL, host: strings.ToLower(u.Hostname()), allows: allows, accept: accept, spool: spoolOf(f.options.Dir, rawURL),
		poke: make(chan struct{}, 1), done: make(chan struct{}),
		previous: f.leaving[rawURL], notBefore: f.banned[rawURL],
	}
	s.status.URL = rawURL
	delete(f.banned, rawURL)
	f.sources[rawURL] = s
	if f.ctx != nil {
		f.start(s)
	}
	return nil
}

// Remove ends the fetching of rawURL and removes what is kept of it, also of one
// that was never added. It waits for nothing: an Accept under way has its
// context ended. A URL that failed is not asked again before its time, if it is
// added again.
func (f *Fetcher) Remove(rawURL string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.sources[rawURL]
	delete(f.sources, rawURL)
	switch {
	case s != nil && s.cancel != nil && !s.ended():
		// Its goroutine may be at the files: it removes them.
		s.removed = true
		s.cancel()
		f.leaving[rawURL] = s.done
		f.ban(rawURL, s.Status())
	case f.leaving[rawURL] == nil:
		spoolOf(f.options.Dir, rawURL).remove()
	}
}

// ban remembers when a URL that fails may be asked again. The lock is held.
func (f *Fetcher) ban(rawURL string, status Status) {
	if status.Failures == 0 {
		return
	}
	now := time.Now()
	for other, until := range f.banned {
		if now.After(until) {
			delete(f.banned, other)
		}
	}
	// Bounded as the URLs are: beyond that the oldest knowledge is worth least.
	if len(f.banned) < f.options.MaxURLs {
		f.banned[rawURL] = status.NextAttempt
	}
}

// Refresh has rawURL fetched now rather than when it is due, unless it was tried
// within MinBackoff. It says whether there is such a URL, and waits for nothing.
func (f *Fetcher) Refresh(rawURL string) bool {
	f.mu.Lock()
	s := f.sources[rawURL]
	f.mu.Unlock()
	if s == nil {
		return false
	}
	select {
	case s.poke <- struct{}{}:
	default: // poked already
	}
	return true
}

// Status tells how every URL stands, in the order of the URLs.
func (f *Fetcher) Status() []Status {
	f.mu.Lock()
	var all []Status
	for _, s := range f.sources {
		all = append(all, s.Status())
	}
	f.mu.Unlock()
	slices.SortFunc(all, func(a, b Status) int { return strings.Compare(a.URL, b.URL) })
	return all
}

// Kept are the URLs of which the directory has a file, added or not: what a
// consumer that learns of URLs as it goes can add again after a restart, or
// remove.
func (f *Fetcher) Kept() ([]string, error) { return keptURLs(f.options.Dir) }

// KeptFile is where a Fetcher of dir keeps what was accepted of rawURL last; it
// need not be there. Whoever reads it has to judge it as an Accept does. An
// opened file stays what it is, whatever is accepted meanwhile.
func KeptFile(dir, rawURL string) string { return spoolOf(dir, rawURL).body() }

// Status is how one URL stands.
type Status struct {
	URL         string    `json:"url"`
	LastAttempt time.Time `json:"last_attempt,omitzero"`
	LastSuccess time.Time `json:"last_success,omitzero"` // accepted, or nothing new
	LastChange  time.Time `json:"last_change,omitzero"`  // another file was accepted; over restarts too
	NextAttempt time.Time `json:"next_attempt,omitzero"`
	LastError   string    `json:"last_error,omitempty"` // of the last attempt; empty where it succeeded
	Failures    int       `json:"failures"`             // in a row
	Failed      uint64    `json:"failed"`               // since the URL was added
	Bytes       int64     `json:"bytes"`                // of the file that is kept; 0: none
	Received    int64     `json:"received"`             // of a download that is not complete
	Fetching    bool      `json:"fetching"`
}
