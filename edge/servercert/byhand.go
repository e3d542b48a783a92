package servercert

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// byHandInterval is how often a name may be renewed by hand: a script in a loop must
// not use up what a CA allows.
const byHandInterval = time.Minute

// byHand is a renewal by hand that all who ask for one meanwhile share.
type byHand struct {
	over chan struct{}
	err  error // once over
}

// renewNow has the certificate renewed by hand, and waits for it.
func (m *managed) renewNow(ctx context.Context) error {
	m.entry.mu.Lock()
	running := m.entry.running
	m.entry.mu.Unlock()
	if running == nil {
		return errors.New("renewals are not running")
	}
	one, err := m.joinByHand(time.Now())
	if err != nil {
		return err
	}
	m.wake()
	select {
	case <-one.over:
		return one.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (m *managed) joinByHand(now time.Time) (*byHand, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.released {
		return nil, errReleased
	}
	if m.byHand == nil {
		if at := m.lastByHand.Add(byHandInterval); now.Before(at) {
			return nil, fmt.Errorf("renewed by hand at %s already: want %s between", m.lastByHand.UTC().Format(time.RFC3339), byHandInterval)
		}
		m.byHand = &byHand{over: make(chan struct{})}
	}
	return m.byHand, nil
}

// wantedByHand is the renewal by hand that is not over, nil for none.
func (m *managed) wantedByHand() *byHand {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.byHand
}

// endByHand tells all who wait what came of it.
func (m *managed) endByHand(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.byHand == nil {
		return
	}
	if err == nil { // who has mended what an attempt failed for need not wait
		m.lastByHand = time.Now()
	}
	m.byHand.err = err
	close(m.byHand.over)
	m.byHand = nil
}

var errReleased = errors.New("the name is not looked after any more")

// release lets go of all who wait for an attempt that will not be made.
func (m *managed) release() {
	if err := m.keep(); err != nil {
		m.entry.manager.log.Error("certificate not kept: it is lost", "certificate", m.entry.certificate.name, "host", m.host, "cause", err)
	}
	m.endByHand(errReleased)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.released = true
	close(m.attempt)
	m.attempt = make(chan struct{})
}
