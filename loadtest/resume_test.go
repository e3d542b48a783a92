package loadtest

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sallyport/sallyport/loadtest/pki"
)

// TestResume counts at the server: what the client takes for resumed was.
func TestResume(t *testing.T) {
	t.Parallel()
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, protocol := range []Protocol{HTTP1, HTTP2} {
			t.Run(fmt.Sprint(tls.VersionName(version), "/", protocol), func(t *testing.T) {
				t.Parallel()
				var full, resumed atomic.Int64
				p := planFor(serve(t, func(_ http.ResponseWriter, r *http.Request) {
					if r.TLS.DidResume {
						resumed.Add(1)
					} else {
						full.Add(1)
					}
				}, onlyVersion(version)), Resume)
				p.Protocol, p.Connections, p.Count = protocol, 3, 12
				r := run(t, p)
				wantUnits(t, r, 12, 0, 0)
				if r.Units.Resumed != 12 || resumed.Load() != 12 || full.Load() != 3 {
					t.Errorf("%d resumed; at the server %d and %d full ones, want 12 and 3", r.Units.Resumed, resumed.Load(), full.Load())
				}
			})
		}
	}
}

// A server without sessions makes full handshakes, which are not what was asked
// for.
func TestNotResumed(t *testing.T) {
	t.Parallel()
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		p := planFor(serve(t, ok, onlyVersion(version), func(c *tls.Config) { c.SessionTicketsDisabled = true }), Resume)
		r := run(t, p)
		wantUnits(t, r, 0, 0, 6)
		wantKind(t, r, "not resumed", false)
	}
}

// Handshake never resumes, however much the server would like to.
func TestHandshakeDoesNotResume(t *testing.T) {
	t.Parallel()
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		var resumed atomic.Int64
		p := planFor(serve(t, func(_ http.ResponseWriter, r *http.Request) {
			if r.TLS.DidResume {
				resumed.Add(1)
			}
		}, onlyVersion(version)), Handshake)
		r := run(t, p)
		wantUnits(t, r, 6, 0, 0)
		if r.Units.Resumed != 0 || resumed.Load() != 0 {
			t.Errorf("%s: %d resumed, %d at the server", tls.VersionName(version), r.Units.Resumed, resumed.Load())
		}
		for _, phase := range phaseNames {
			if n := r.Phases[phase].Count; n != 6 {
				t.Errorf("phase %s of %d units, want 6", phase, n)
			}
		}
	}
}

// Many clients come in rotation, and each of a resuming plan's keeps to one.
func TestClientsRotate(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	seen := map[string]int{}
	target := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		seen[r.TLS.PeerCertificates[0].Subject.CommonName]++
	})
	p := planFor(target, Handshake)
	p.Clients = nil
	for _, name := range []string{"a", "b", "c"} {
		p.Clients = append(p.Clients, pki.Must(authority().root.Issue(pki.CommonName(name))).TLSCertificate())
	}
	p.Connections, p.Count = 4, 12
	for scenario, want := range map[Scenario]map[string]int{
		Handshake: {"a": 4, "b": 4, "c": 4},
		Request:   nil, // whichever connection is free
		Resume:    nil,
	} {
		clear(seen)
		p.Scenario = scenario
		wantUnits(t, run(t, p), 12, 0, 0)
		for name, n := range want {
			if seen[name] != n {
				t.Errorf("%s: came %v, want %v", scenario, seen, want)
			}
		}
		if scenario == Resume && len(seen) != 3 {
			t.Errorf("%s: came %v, want all three", scenario, seen)
		}
	}
}
