package page

import (
	"bytes"
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

func (u *unbanned) Unban(netip.Prefix) (int, error) { return u.bans, u.err }

// TestWhoEndedBans wants a line in the log for bans that have ended, and for no other.
func TestWhoEndedBans(t *testing.T) {
	visitor := &Visitor{Subject: "CN=ops", Address: netip.MustParseAddr("192.0.2.1"), ConnTraceID: "TID_1"}
	for name, test := range map[string]struct {
		visitor *Visitor
		bans    int
		err     error
		want    string
	}{
		"an operator":          {visitor, 2, nil, `msg="bans ended on the status page" prefix=192.0.2.7/32 bans=2 subject="CN=ops" client_ip=192.0.2.1 conn_trace_id=TID_1`},
		"the admin socket":     {nil, 1, nil, `prefix=192.0.2.7/32 bans=1 by="admin socket"`},
		"ended, but not saved": {visitor, 1, errors.New("disk is full"), `conn_trace_id=TID_1 cause="disk is full"`},
		"no such ban":          {visitor, 0, nil, ""},
		"an error":             {visitor, 0, errors.New("no"), ""},
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
			if got := log.String(); !strings.Contains(got, test.want) || (got == "") != (test.want == "") || strings.Count(got, "\n") > 1 {
				t.Errorf("logged %q, want %q", got, test.want)
			}
		})
	}
}
