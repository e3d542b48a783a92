package page

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// unbanned is an edge with so many bans to end, and an error.
type unbanned struct {
	fake
	bans int
	err  error
}

func (u *unbanned) Unban(context.Context, netip.Prefix, bool) (int, error) { return u.bans, u.err }

// TestWhoEndedBans wants one line in the log for each attempt, with who made it.
func TestWhoEndedBans(t *testing.T) {
	visitor := Visitor{slog.String("via", "admin listener"), slog.String("subject", "CN=ops")}
	for name, test := range map[string]struct {
		visitor Visitor
		bans    int
		err     error
		want    string
	}{
		"an operator":          {visitor, 2, nil, `msg="admin action" action=unban prefix=192.0.2.7/32 lifted=2 outcome=done via="admin listener" subject="CN=ops"`},
		"nobody knows whom":    {nil, 1, nil, "action=unban prefix=192.0.2.7/32 lifted=1 outcome=done\n"},
		"ended, but not saved": {visitor, 1, errors.New("disk is full"), `lifted=1 outcome=failed cause="disk is full" via="admin listener"`},
		"no such ban":          {visitor, 0, nil, "lifted=0 outcome=done"},
		"an error":             {visitor, 0, errors.New("no"), "lifted=0 outcome=failed cause=no via"},
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			handler := New(&unbanned{bans: test.bans, err: test.err}, slog.New(slog.NewTextHandler(&log, nil)), time.Now).Handler(Access{Actions: true})
			r := httptest.NewRequest("POST", "/page/unban", strings.NewReader("prefix=192.0.2.7%2F32"))
			r.Host = "localhost"
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			if test.visitor != nil {
				r = r.WithContext(test.visitor.Context(r.Context()))
			}
			handler.ServeHTTP(httptest.NewRecorder(), r)
			if got := log.String(); !strings.Contains(got, test.want) || strings.Count(got, "\n") != 1 {
				t.Errorf("logged %q, want %q", got, test.want)
			}
		})
	}
}

// TestWideBansWantForce: the button of a ban of half the world has a box beside it, and
// what that says comes to the edge.
func TestWideBansWantForce(t *testing.T) {
	f := busy()
	f.snapshot.Bans[0].Prefix = netip.MustParsePrefix("0.0.0.0/1")
	if body := ask(handler(f), "GET", "/", nil).Body.String(); !strings.Contains(body, `name="force" required`) {
		t.Error("no box")
	}
	if body := ask(handler(busy()), "GET", "/", nil).Body.String(); strings.Contains(body, `name="force"`) {
		t.Error("a box for one address")
	}
	for form, want := range map[string]bool{"prefix=0.0.0.0%2F1": false, "prefix=0.0.0.0%2F1&force=on": true} {
		f := busy()
		r := httptest.NewRequest("POST", "/page/unban", strings.NewReader(form))
		r.Host = "localhost"
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		handler(f).ServeHTTP(httptest.NewRecorder(), r)
		if len(f.unbanned) != 1 || f.forced != want {
			t.Errorf("%s: unbanned %v, forced %t", form, f.unbanned, f.forced)
		}
	}
}
