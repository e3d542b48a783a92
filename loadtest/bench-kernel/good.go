package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/sallyport/sallyport/loadtest"
	"github.com/sallyport/sallyport/loadtest/pki"
)

// inTime is how long a handshake of the good client may take with its request,
// from when it was begun: then it gives up. Less, and it would end so many while
// the edge is busy that it was banned for that.
const inTime = 5 * time.Second

// good is how the good client fared.
type good struct {
	Due  int64         `json:"due"`
	Done int64         `json:"done"` // in time
	Rate float64       `json:"rate"` // done a second
	P50  time.Duration `json:"p50"`  // of those done, from when they were due
	P99  time.Duration `json:"p99"`
	// SettledP99 is the median of the p99 of each second, once bans are in place.
	SettledP99 time.Duration `json:"settled_p99"`
}

// share is the percentage done in time.
func (g *good) share() float64 { return 100 * float64(g.Done) / float64(max(1, g.Due)) }

// runGood runs the plan in a file.
func runGood(file string) (*good, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var p loadtest.Plan
	if err := json.Unmarshal(text, &p); err != nil {
		return nil, fmt.Errorf("parse plan: %w", err)
	}
	r, err := loadtest.Run(context.Background(), p, nil)
	if err != nil {
		return nil, err
	}
	if r.Units.Due == 0 {
		return nil, fmt.Errorf("run plan: nothing was due")
	}
	return &good{r.Units.Due, r.Units.Done, r.Units.Rate, r.Latency.P50, r.Latency.P99, settledP99(r.Seconds, p.Duration)}, nil
}

// settledP99 leaves out the seconds in which a flood settles, and what is left
// over behind the last.
func settledP99(seconds []loadtest.Second, length time.Duration) time.Duration {
	var all []time.Duration
	for _, s := range seconds {
		begun := time.Duration(s.At) * time.Second
		if begun >= settling(length) && begun < length && s.Done > 0 {
			all = append(all, s.P99)
		}
	}
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return (all[(len(all)-1)/2] + all[len(all)/2]) / 2
}

// credentials are the files of the edge and of the good client.
type credentials struct{ ca, serverCert, serverKey, clientCert, clientKey string }

func makeCredentials(dir string) (credentials, error) {
	c := credentials{
		ca:         filepath.Join(dir, "ca.pem"),
		serverCert: filepath.Join(dir, "server.crt"), serverKey: filepath.Join(dir, "server.key"),
		clientCert: filepath.Join(dir, "good.crt"), clientKey: filepath.Join(dir, "good.key"),
	}
	ca, err := pki.NewRoot()
	if err != nil {
		return c, err
	}
	server, err := ca.Issue(pki.Server("localhost"))
	if err != nil {
		return c, err
	}
	client, err := ca.Issue(pki.CommonName("good"))
	if err != nil {
		return c, err
	}
	if err := server.WriteFiles(dir, "server"); err != nil {
		return c, err
	}
	if err := client.WriteFiles(dir, "good"); err != nil {
		return c, err
	}
	return c, os.WriteFile(c.ca, ca.CertPEM(), 0o600)
}

// goodPlan is full handshakes with a certificate and one request each; a rate of
// 0 is as many as come.
func (b *bench) goodPlan(rate float64, length time.Duration) loadtest.Plan {
	p := loadtest.Plan{
		Target: "https://" + edgeAddress + "/", ConfirmTarget: edgeAddress, ServerName: "localhost", CA: b.credentials.ca,
		Certificate: b.credentials.clientCert, Key: b.credentials.clientKey,
		Scenario: loadtest.Handshake, TLSVersion: "1.3", Groups: []string{"x25519"},
		Duration: length, Timeout: inTime, Connections: 8,
	}
	if rate > 0 {
		// So many that none waits to be begun.
		p.Pace, p.Connections = loadtest.Pace{Rate: rate}, min(perAddress, 16+int(rate*inTime.Seconds()))
	}
	return p
}
