package fetch

import (
	"context"
	"errors"
	"net/url"
	"sync"
	"time"
)

// source is one URL. Its goroutine is the only one that fetches it, so there is
// never more than one fetch of it under way.
type source struct {
	fetcher   *Fetcher
	url       string
	host      string
	allows    func(host string) bool // hosts of redirects; nil: all
	accept    Accept
	spool     spool
	poke      chan struct{}
	done      chan struct{}
	cancel    context.CancelFunc // set when it is started
	removed   bool               // guarded by the Fetcher's lock
	previous  <-chan struct{}    // the source of this URL before, which may be at its files
	notBefore time.Time

	mu     sync.Mutex
	status Status

	// Of the goroutine.
	kept *kept     // what was accepted last; nil: nothing
	part *part     // of a download that broke; nil: none
	next time.Time // as the consumer said with kept
	late int       // fetches since next that brought nothing new
	// plainly has the file asked for whole, since the server refused a condition or
	// what looked like one.
	plainly bool
}

// Status tells how the source stands.
func (s *source) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status
}

// ended says whether the goroutine is done with everything.
func (s *source) ended() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

func (s *source) update(change func(*Status)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.status)
}

func (s *source) run(ctx context.Context) {
	if s.previous != nil {
		<-s.previous
	}
	defer s.drop()
	wait := s.restore(ctx)
	for {
		s.update(func(st *Status) { st.NextAttempt = time.Now().Add(wait) })
		if !s.sleep(ctx, wait) || !s.fetcher.slots.take(ctx, s.host) {
			return
		}
		wait = s.attempt(ctx)
		s.fetcher.slots.give(s.host)
	}
}

// sleep waits for wait, or until it is poked and may be. It is false when ctx is
// done.
func (s *source) sleep(ctx context.Context, wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-timer.C:
			return true
		case <-s.poke:
			if last := s.Status().LastAttempt; time.Since(last) >= s.fetcher.options.MinBackoff {
				return true
			}
		}
	}
}

// restore offers the consumer what is kept and says how long it will do.
func (s *source) restore(ctx context.Context) time.Duration {
	now := time.Now()
	wait := max(0, s.notBefore.Sub(now))
	k, err := s.spool.load()
	if err == nil && k != nil {
		// It waits for no download: what is on the disk harms nobody else.
		s.next, err = s.accept(ctx, s.spool.body(), func() error { return nil })
	}
	if err != nil {
		// It is fetched whole, and takes the place of what could not be used.
		s.fetcher.options.Log.Warn("kept file refused", "url", s.url, "error", err)
		s.update(func(st *Status) { st.LastError = "use kept file: " + err.Error() })
		return wait
	}
	if k == nil {
		return wait
	}
	s.kept = k
	s.update(func(st *Status) { st.LastSuccess, st.LastChange, st.Bytes = k.Checked, k.Fetched, k.Size })
	now = time.Now()
	due := k.Checked.Add(s.fetcher.options.MaxInterval)
	if !s.next.IsZero() && s.next.Before(due) {
		due = s.next
	}
	return max(wait, early(max(0, due.Sub(now))))
}

// attempt fetches once and says how long to wait then.
func (s *source) attempt(ctx context.Context) time.Duration {
	o := &s.fetcher.options
	s.update(func(st *Status) { st.LastAttempt, st.Fetching = time.Now(), true })
	before := s.part.length()
	changed, err := s.fetch(ctx)
	if s.part != nil {
		s.fetcher.room.mark(s.part, true, false)
	}
	now := time.Now()
	if ctx.Err() != nil {
		s.update(func(st *Status) { st.Fetching = false })
		return 0
	}
	if err != nil {
		var failures int
		s.update(func(st *Status) {
			st.Failed++
			// A download that goes on where it broke is no failure of the server's.
			if st.Failures++; s.part.length() > before && before > 0 {
				st.Failures = 1
			}
			failures = st.Failures
			st.Fetching, st.LastError, st.Received = false, err.Error(), s.part.length()
		})
		wait := o.backoff(failures)
		o.Log.Warn("fetch failed", "url", s.url, "error", err, "failures", failures, "next_attempt", now.Add(wait))
		return wait
	}
	if changed {
		s.late = 0
		o.Log.Info("fetched", "url", s.url, "bytes", s.kept.Size, "next_update", s.next)
	} else if !s.next.IsZero() && !s.next.After(now) {
		s.late++
	}
	s.update(func(st *Status) {
		st.Fetching, st.LastError, st.Failures, st.Received = false, "", 0, 0
		st.LastSuccess, st.LastChange, st.Bytes = now, s.kept.Fetched, s.kept.Size
	})
	return o.afterSuccess(now, s.next, s.late)
}

// fetch is changed when another file has been accepted. Without an error there
// is one.
func (s *source) fetch(ctx context.Context) (changed bool, err error) {
	limited, cancel := context.WithTimeout(ctx, s.fetcher.options.Timeout)
	defer cancel()
	unchanged, err := s.download(limited)
	if err == nil {
		s.plainly = false
	}
	if err != nil {
		var wrapped *url.Error
		if errors.As(err, &wrapped) {
			err = wrapped.Err // the rest is the URL, which everybody knows
		}
		return false, err
	}
	if unchanged {
		k := *s.kept
		k.URL, k.Checked = s.url, time.Now()
		s.kept = &k
		return false, s.spool.save(s.kept)
	}
	return s.take(ctx)
}

// take has the consumer look at the download, and puts it in the place of what
// was kept.
func (s *source) take(ctx context.Context) (changed bool, err error) {
	p := s.part
	s.part = nil
	defer p.discard()
	if !s.fetcher.room.mark(p, false, true) {
		return false, s.fetcher.room.noRoom()
	}
	if err := p.file.Sync(); err != nil {
		return false, err
	}
	k := p.kept(s.url, time.Now())
	if s.kept != nil && k.SHA256 == s.kept.SHA256 {
		k.Fetched = s.kept.Fetched
		s.kept = k
		return false, s.spool.save(k)
	}
	replaced := false
	keep := func() error {
		if replaced {
			return nil
		}
		if err := s.spool.replace(p, k); err != nil {
			s.kept = nil // perhaps another one is there now: it is fetched whole
			return err
		}
		s.kept, replaced = k, true
		return nil
	}
	next, err := s.accept(ctx, p.file.Name(), keep)
	if err == nil {
		err = keep()
	}
	if err != nil {
		if replaced {
			s.kept = nil // the server must not say that it is the newest
		}
		return false, err
	}
	s.next = next
	return true, nil
}
