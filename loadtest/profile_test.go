package loadtest

import (
	"crypto/tls"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
)

// TestProfiles has every profile present a certificate to a server that demands
// one, over both versions of TLS, and come back: who resumes is known, so that
// nobody plans a load of resumptions with one that does not.
func TestProfiles(t *testing.T) {
	t.Parallel()
	type resumes struct{ tls12, tls13 bool }
	known := map[string]resumes{
		"go":             {true, true},
		"golang":         {true, true},
		"chrome":         {true, false},
		"chrome-psk":     {true, true},
		"chrome-psk-112": {true, true},
		"chrome-psk-100": {true, true},
		"edge":           {true, false},
		"firefox":        {true, false},
		"ios":            {false, false},
		"safari":         {false, false},
	}
	if names := Profiles(); !slices.Equal(slices.Sorted(slices.Values(names)), slices.Sorted(maps.Keys(known))) {
		t.Errorf("the profiles are %s: want those of the table", names)
	}
	for name, want := range known {
		for version, resumes := range map[uint16]bool{tls.VersionTLS12: want.tls12, tls.VersionTLS13: want.tls13} {
			t.Run(name+"/"+tls.VersionName(version), func(t *testing.T) {
				t.Parallel()
				var alice atomic.Int64
				target := serve(t, func(w http.ResponseWriter, r *http.Request) {
					if r.TLS.PeerCertificates[0].Subject.CommonName == "alice" && r.TLS.Version == version {
						alice.Add(1)
					}
				}, onlyVersion(version))
				var did int64
				for _, scenario := range []Scenario{Handshake, Request} {
					p := planFor(target, scenario)
					p.Profile = name
					r := run(t, p)
					wantUnits(t, r, p.Count, 0, 0)
					if r.Units.Resumed != 0 {
						t.Errorf("%s: %d resumed", scenario, r.Units.Resumed)
					}
					did += p.Count
				}
				for _, protocol := range []Protocol{HTTP1, HTTP2} {
					p := planFor(target, Resume)
					p.Profile, p.Protocol = name, protocol
					r := run(t, p)
					if resumes {
						wantUnits(t, r, p.Count, 0, 0)
						if r.Units.Resumed != p.Count {
							t.Errorf("%d of %d resumed", r.Units.Resumed, p.Count)
						}
					} else {
						wantUnits(t, r, 0, 0, p.Count)
						wantKind(t, r, "not resumed", false)
					}
					did += p.Count + int64(p.Connections) // those that got the first sessions
				}
				if n := alice.Load(); n != did {
					t.Errorf("%d of %d requests were alice's over %s", n, did, tls.VersionName(version))
				}
			})
		}
	}
}

// A browser that is not told otherwise offers what it offers, and speaks what
// the server picks.
func TestBrowserPicksProtocol(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		offered []string
		proto   string
	}{{[]string{"h2", "http/1.1"}, "HTTP/2.0"}, {[]string{"http/1.1"}, "HTTP/1.1"}} {
		for _, scenario := range []Scenario{Handshake, Request} {
			var spoken atomic.Int64
			p := planFor(serve(t, func(_ http.ResponseWriter, r *http.Request) {
				if r.Proto == c.proto {
					spoken.Add(1)
				}
			}, func(cfg *tls.Config) { cfg.NextProtos = c.offered }), scenario)
			p.Profile = "chrome"
			wantUnits(t, run(t, p), p.Count, 0, 0)
			if n := spoken.Load(); n != p.Count {
				t.Errorf("%s: %d of %d requests over %s", scenario, n, p.Count, c.proto)
			}
		}
	}
}

func TestUnknownProfile(t *testing.T) {
	t.Parallel()
	p := planFor("https://127.0.0.1:1/", Handshake)
	p.Profile = "netscape"
	_, err := Run(t.Context(), p, nil)
	want := fmt.Sprintf("profile: %q: want one of %s", "netscape", strings.Join(Profiles(), ", "))
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// TLSVersion and Groups are all that is offered.
func TestOffered(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]uint16{"1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13, "": tls.VersionTLS13} {
		for group, id := range groups {
			if version != "1.3" && group == "x25519mlkem768" {
				continue // there is none of it in TLS 1.2
			}
			var got atomic.Pointer[tls.ConnectionState]
			p := planFor(serve(t, func(_ http.ResponseWriter, r *http.Request) { got.Store(r.TLS) }), Handshake)
			p.TLSVersion, p.Groups, p.Count = version, []string{group}, 1
			wantUnits(t, run(t, p), 1, 0, 0)
			if s := got.Load(); s.Version != want || s.CurveID != id {
				t.Errorf("%q with %s: got %s with %s", version, group, tls.VersionName(s.Version), s.CurveID)
			}
		}
	}
}
