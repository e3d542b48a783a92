package loadtest

import (
	"context"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"
)

// What is idle is open, all of it and at once, for as long as was asked.
func TestIdleHolds(t *testing.T) {
	const connections = 20
	for name, protocol := range map[string]Protocol{"HTTP/1.1": HTTP1, "HTTP/2": HTTP2} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex
			open, most := 0, 0
			p := planFor(serveWith(t, &http.Server{Handler: http.HandlerFunc(ok), ConnState: func(_ net.Conn, s http.ConnState) {
				mu.Lock()
				defer mu.Unlock()
				switch s {
				case http.StateNew:
					open++
					most = max(most, open)
				case http.StateClosed:
					open--
				}
			}}), Idle)
			p.Protocol, p.Connections, p.Count, p.Duration = protocol, connections, 0, 1200*time.Millisecond
			r := run(t, p)
			wantUnits(t, r, connections, 0, 0)
			mu.Lock()
			defer mu.Unlock()
			if most != connections {
				t.Errorf("server had %d connections at once, want %d", most, connections)
			}
			if n := r.Seconds[len(r.Seconds)-1].Open; n != connections {
				t.Errorf("%d connections open at the end, want %d", n, connections)
			}
			if r.Wall < p.Duration {
				t.Errorf("held for %s, want %s", r.Wall, p.Duration)
			}
		})
	}
}

// A connection that the server gives up is none that it holds in memory.
func TestIdleNoticesWhatEnds(t *testing.T) {
	t.Parallel()
	p := planFor(serveTLS(t, says("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")), Idle)
	p.Connections, p.Count, p.Duration = 3, 0, time.Second
	r := run(t, p)
	wantUnits(t, r, 0, 0, 3)
	if kind := r.Errors[0].Kind; kind != "closed while idle" {
		t.Errorf("kind %q: %+v", kind, r.Errors)
	}
}

// A run that is ended early still tells what it held.
func TestIdleEndedEarly(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	p := planFor(serve(t, ok), Idle)
	p.Connections, p.Count, p.Duration = 5, 0, time.Hour
	r, err := Run(ctx, p, func(s Second) {
		if s.Open == 5 {
			cancel()
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	check(t, r)
	wantUnits(t, r, 5, 0, 0)
}
