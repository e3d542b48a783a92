package admin

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

type fakeEdge struct {
	reload  error
	moved   error
	drained bool
	store   TrustStore
	bans    Bans
	asked   FailureQuery
	events  []FailureEvent
}

func (e *fakeEdge) Status() Status            { return Status{State: Ready, PID: 42} }
func (e *fakeEdge) Connections() []Connection { return []Connection{{Client: "192.0.2.1:1"}} }
func (e *fakeEdge) Failures(q FailureQuery, n int) []json.RawMessage {
	e.asked = q
	return make([]json.RawMessage, 0, n)
}
func (e *fakeEdge) FollowFailures(ctx context.Context, q FailureQuery) <-chan FailureEvent {
	e.asked = q
	events := make(chan FailureEvent, len(e.events))
	for _, event := range e.events {
		events <- event
	}
	context.AfterFunc(ctx, func() { close(events) })
	return events
}
func (e *fakeEdge) TrustStores() []json.RawMessage { return []json.RawMessage{} }
func (e *fakeEdge) Certificates(name string) []json.RawMessage {
	return []json.RawMessage{json.RawMessage(`{"certificate":"` + name + `"}`)}
}
func (e *fakeEdge) Renewer(name string) (Renewer, bool) { return renewer{e.reload}, name == "shop" }
func (e *fakeEdge) Plugins() []json.RawMessage          { return []json.RawMessage{} }
func (e *fakeEdge) TrustStore(name string) (TrustStore, bool) {
	return e.store, name == "devices" && e.store != nil
}
func (e *fakeEdge) Revoker(string) (Revoker, bool) { return nil, false }
func (e *fakeEdge) Bans() Bans                     { return e.bans }
func (e *fakeEdge) Reload() error                  { return e.reload }
func (e *fakeEdge) Drain() error {
	e.drained = true
	return e.moved
}

func (f *fakeEdge) Upgrade(_ context.Context, r UpgradeRequest) (Upgraded, error) {
	if r.Program == "/broken" {
		return Upgraded{}, errors.New("upgrade: exit status 1")
	}
	return Upgraded{PID: 7, Program: r.Program}, nil
}

// serve serves edge's API on a socket in a directory of its own.
func serve(t *testing.T, edge Edge) *Client {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "run", "admin.sock")
	s := New(socket, edge, nil, slog.New(slog.DiscardHandler))
	l, err := s.Listen()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return NewClient(socket)
}

func TestCalls(t *testing.T) {
	edge := &fakeEdge{reload: errors.New("f.yaml:1:1: wrong")}
	client := serve(t, edge)
	ctx := t.Context()
	var status Status
	if err := client.Get(ctx, "/status", &status); err != nil || status.State != Ready || status.PID != 42 {
		t.Errorf("status: %+v, %v", status, err)
	}
	var list []Connection
	if err := client.Get(ctx, "/connections", &list); err != nil || len(list) != 1 {
		t.Errorf("connections: %v, %v", list, err)
	}
	if err := client.Post(ctx, "/reload"); err == nil || err.Error() != "f.yaml:1:1: wrong" {
		t.Errorf("reload: %v, want the edge's own words", err)
	}
	edge.reload = nil
	if err := client.Post(ctx, "/reload"); err != nil {
		t.Errorf("reload: %v", err)
	}
	if err := client.Get(ctx, "/failures?n=none", &list); err == nil || !strings.Contains(err.Error(), `n="none"`) {
		t.Errorf("failures with a bad n: %v", err)
	}
	if err := client.Get(ctx, "/drain", nil); err == nil || edge.drained {
		t.Error("a GET drained")
	}
	if err := client.Post(ctx, "/drain"); err != nil || !edge.drained {
		t.Errorf("drain: %v, %v", err, edge.drained)
	}
}

func TestSocketIsItsOwnersOnly(t *testing.T) {
	dir := t.TempDir()
	socket := filepath.Join(dir, "run", "admin.sock")
	l, err := New(socket, &fakeEdge{}, nil, slog.New(slog.DiscardHandler)).Listen()
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]os.FileMode{filepath.Dir(socket): 0o700, socket: 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v, want %o", path, info.Mode().Perm(), err, want)
		}
	}
	if _, err := New(socket, &fakeEdge{}, nil, slog.New(slog.DiscardHandler)).Listen(); err == nil || !strings.Contains(err.Error(), "another edge answers") {
		t.Errorf("a second edge on the same socket: %v", err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
	if _, err := os.Stat(socket); err != nil {
		t.Fatal(err)
	}
	if l, err := New(socket, &fakeEdge{}, nil, slog.New(slog.DiscardHandler)).Listen(); err != nil {
		t.Errorf("a socket that a dead process left: %v", err)
	} else {
		l.Close()
	}
	open := filepath.Join(dir, "open")
	if err := os.Mkdir(open, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := New(filepath.Join(open, "admin.sock"), &fakeEdge{}, nil, slog.New(slog.DiscardHandler)).Listen(); err == nil || !strings.Contains(err.Error(), "want 0700") {
		t.Errorf("in a directory that others can enter: %v", err)
	}
}

func TestNobodyThere(t *testing.T) {
	err := NewClient(filepath.Join(t.TempDir(), "none.sock")).Post(t.Context(), "/reload")
	if !errors.Is(err, ErrUnreachable) {
		t.Errorf("got %v", err)
	}
}

// TestOtherSites has the socket asked as by a browser whose page came from
// elsewhere, through a port that somebody has forwarded to the socket.
func TestOtherSites(t *testing.T) {
	edge := &fakeEdge{}
	handler := sameSite(New("", edge, http.NotFoundHandler(), slog.New(slog.DiscardHandler)).handler())
	for _, c := range []struct {
		name, method, path, host, site string
		want                           int
	}{
		{"our client", "POST", "/drain", clientHost, "", http.StatusOK},
		{"curl", "GET", "/status", "localhost", "", http.StatusOK},
		{"by address", "GET", "/status", "[::1]:8080", "", http.StatusOK},
		{"another site's form", "POST", "/drain", "localhost:8080", "cross-site", http.StatusForbidden},
		{"a name that leads here", "GET", "/status", "evil.example:8080", "", http.StatusMisdirectedRequest},
		{"a name that leads here, posting", "POST", "/drain", "evil.example", "same-origin", http.StatusMisdirectedRequest},
	} {
		t.Run(c.name, func(t *testing.T) {
			edge.drained = false
			r := httptest.NewRequest(c.method, c.path, nil)
			r.Host = c.host
			if c.site != "" {
				r.Header.Set("Sec-Fetch-Site", c.site)
			}
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			if w.Code != c.want {
				t.Errorf("status %d, want %d", w.Code, c.want)
			}
			if edge.drained != (c.method == "POST" && c.want == http.StatusOK) {
				t.Errorf("drained: %v", edge.drained)
			}
		})
	}
}

// Who asks a process that has handed over is told to ask again.
func TestMoved(t *testing.T) {
	client := serve(t, &fakeEdge{moved: &MovedError{PID: 7}})
	request := httptest.NewRequest(http.MethodPost, "/drain", nil)
	request.Host = clientHost
	answer := httptest.NewRecorder()
	New("", &fakeEdge{moved: &MovedError{PID: 7}}, nil, slog.New(slog.DiscardHandler)).handler().ServeHTTP(answer, request)
	if answer.Code != http.StatusServiceUnavailable {
		t.Errorf("status %d", answer.Code)
	}
	err := client.Post(t.Context(), "/drain")
	if err == nil || err.Error() != "this edge has handed over to process 7: repeat the command" {
		t.Errorf("got %v", err)
	}
}
