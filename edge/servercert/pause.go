package servercert

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"
	"time"
)

// pauses are when CAs may be asked again, for all entries that use them. They are
// in the store, too: an edge that is restarted over and over must not ask each
// time. Any number of goroutines may use them.
type pauses struct {
	store Store
	log   *slog.Logger

	mu    sync.Mutex
	known map[string]*pause // by directory
}

// pause is one CA's.
type pause struct {
	Directory string              `json:"directory"`
	Until     time.Time           `json:"until,omitzero"` // as the CA has asked for
	Hosts     map[string]*refusal `json:"hosts,omitempty"`
}

// refusal is a name that the CA has refused a certificate for.
type refusal struct {
	Failures int       `json:"failures"` // in a row
	Until    time.Time `json:"until"`
}

// refusalMemory is how long after its pause a refusal still counts as one of a row.
const refusalMemory = 24 * time.Hour

func pauseKey(directory string) string {
	sum := sha256.Sum256([]byte(directory))
	return "pauses/" + hex.EncodeToString(sum[:8]) + ".json"
}

// of returns what is known of a CA; p.mu is held.
func (p *pauses) of(directory string) *pause {
	if one := p.known[directory]; one != nil {
		return one
	}
	one := &pause{}
	data, err := p.store.Load(pauseKey(directory))
	if err == nil {
		err = json.Unmarshal(data, one)
	}
	if err == nil && one.Directory != directory {
		err = fmt.Errorf("it is of %q", one.Directory)
	}
	if err != nil {
		one = &pause{Directory: directory}
		if !errors.Is(err, fs.ErrNotExist) {
			p.log.Warn("kept pauses of CA not usable", "ca", directory, "cause", err)
		}
	}
	for host, r := range one.Hosts {
		if r == nil {
			delete(one.Hosts, host)
		}
	}
	if one.Hosts == nil {
		one.Hosts = map[string]*refusal{}
	}
	p.known[directory] = one
	return one
}

// keep puts what has changed on disk; p.mu is held.
func (p *pauses) keep(one *pause, now time.Time) {
	for host, r := range one.Hosts {
		if now.After(r.Until.Add(refusalMemory)) {
			delete(one.Hosts, host)
		}
	}
	data, err := json.MarshalIndent(one, "", "  ")
	if err == nil {
		err = p.store.Save(pauseKey(one.Directory), data)
	}
	if err != nil {
		p.log.Warn("pauses of CA not kept", "ca", one.Directory, "cause", err)
	}
}

// asked notes that the CA wants to be left alone until then.
func (p *pauses) asked(directory string, until time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	one := p.of(directory)
	if !one.Until.Equal(until) {
		one.Until = until
		p.keep(one, time.Now())
	}
}

// refused notes that the CA has refused the host; wait is for how long after so
// many refusals in a row.
func (p *pauses) refused(directory, host string, now time.Time, wait func(failures int) time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	one := p.of(directory)
	r := one.Hosts[host]
	if r == nil {
		r = &refusal{}
		one.Hosts[host] = r
	}
	r.Failures = max(r.Failures, 0) + 1
	r.Until = now.Add(wait(r.Failures))
	p.keep(one, now)
}

// issued forgets the refusals of a host.
func (p *pauses) issued(directory, host string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if one := p.of(directory); one.Hosts[host] != nil {
		delete(one.Hosts, host)
		p.keep(one, time.Now())
	}
}

// until is when the CA may be asked for the host again; with byHand its refusals of
// the host do not count. A time further off than any pause is a clock's mistake.
func (p *pauses) until(directory, host string, byHand bool, now time.Time) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	one := p.of(directory)
	at := one.Until
	if r := one.Hosts[host]; r != nil && !byHand && r.Until.After(at) {
		at = r.Until
	}
	if at.After(now.Add(maxRetryAfter)) {
		return time.Time{}
	}
	return at
}
