package loadtest

import (
	"net/http"
	"os"
	"testing"
	"time"
)

// Connections are opened at a pace where one is set.
func TestIdlePaced(t *testing.T) {
	t.Parallel()
	p := planFor(serve(t, ok), Idle)
	p.Pace, p.Connections, p.Count, p.Duration = Pace{Rate: 20}, 10, 0, 100*time.Millisecond
	r := run(t, p)
	wantUnits(t, r, 10, 0, 0)
	// The last is due after nine twentieths of a second.
	if r.Wall < 450*time.Millisecond+p.Duration {
		t.Errorf("all was over in %s", r.Wall)
	}
}

// What was not answered as it should be is not held.
func TestIdleHoldsOnlyWhatIsDone(t *testing.T) {
	t.Parallel()
	for _, protocol := range []Protocol{HTTP1, HTTP2} {
		p := planFor(serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(403) }), Idle)
		p.Protocol, p.Connections, p.Count, p.Duration = protocol, 5, 0, 100*time.Millisecond
		r := run(t, p)
		wantUnits(t, r, 0, 5, 0)
		wantKind(t, r, "status 403", true)
		if n := r.Seconds[len(r.Seconds)-1].Open; n != 0 {
			t.Errorf("%s: %d connections are open", protocol, n)
		}
	}
}

// Memory is by the connections that there were.
func TestIdleMemory(t *testing.T) {
	t.Parallel()
	p := planFor(serve(t, ok), Idle)
	p.Connections, p.Count, p.Duration, p.PID = 5, 0, 100*time.Millisecond, os.Getpid() // both ends are here
	r := run(t, p)
	wantUnits(t, r, 5, 0, 0)
	if s := r.Server; s.RSSAfter < 1<<20 || s.RSSPerConnection != (s.RSSAfter-s.RSSBefore)/5 {
		t.Errorf("got %+v", s)
	}
}
