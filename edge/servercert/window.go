package servercert

import (
	"context"
	"errors"
	"time"

	"github.com/mholt/acmez/v3/acme"
)

// windowDue says whether the CA is to be asked when it wants the certificate to be
// renewed.
func (m *managed) windowDue(now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.pair != nil && !now.Before(m.asked) && now.Before(m.pair.Leaf().NotAfter)
}

// windowInterval is how often a CA is asked that does not say how often, windowTime
// how long it may take.
const (
	windowInterval = 6 * time.Hour
	windowTime     = time.Minute
)

// askWindow asks the CA when it wants the certificate to be renewed. One that does
// not say leaves it to us.
func (m *managed) askWindow(ctx context.Context) {
	m.mu.Lock()
	pair, directory := m.pair, m.ca
	m.mu.Unlock()
	leaf := pair.Leaf()
	tenth := leaf.NotAfter.Sub(leaf.NotBefore) / 10
	var window acme.RenewalInfo
	err := errors.New("its CA is not configured any more")
	if from := m.entry.caOf(directory); from != nil {
		ctx, cancel := context.WithTimeout(ctx, min(windowTime, tenth)) // a renewal may be due meanwhile
		defer cancel()
		window, err = from.renewalInfo(ctx, leaf)
	}
	now := time.Now()
	log := m.entry.manager.log.With("certificate", m.entry.certificate.name, "host", m.host)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked = now.Add(min(windowInterval, max(tenth, time.Second)))
	if err != nil {
		m.asked = now.Add(min(windowInterval, max(tenth, windowTime)))
		log.Debug("CA has not said when to renew", "cause", err)
		return
	}
	if at := window.RetryAfter; at != nil && at.After(now) && at.Before(now.Add(far)) {
		// Not as often as a CA may say by mistake (RFC 9773 section 4.3.2).
		m.asked = now.Add(max(at.Sub(now), min(windowTime, max(tenth, time.Second))))
	}
	if m.window.HasWindow() && m.window.SameWindow(window) {
		return // the time chosen at first stays
	}
	m.window = window
	if window.SuggestedWindow.End.Before(renewAt(leaf)) {
		log.Info("CA wants the certificate to be renewed early", "at", window.SelectedTime, "explanation", window.ExplanationURL)
	}
}
