package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"log/slog"
	"maps"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// journal is a log that a test reads while it is written.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

// take returns the records so far, and forgets them.
func (j *journal) take(t *testing.T) (records []map[string]any) {
	t.Helper()
	j.mu.Lock()
	defer j.mu.Unlock()
	for decoder := json.NewDecoder(&j.text); ; {
		var record map[string]any
		if err := decoder.Decode(&record); errors.Is(err, io.EOF) {
			return records
		} else if err != nil {
			t.Fatal(err)
		}
		records = append(records, record)
	}
}

// unsaved has every change made, and none saved.
type unsaved struct{}

func (unsaved) Ban(_ context.Context, r BanRequest) (Ban, error) { return Ban{Prefix: r.Prefix}, nil }
func (unsaved) Unban(context.Context, netip.Prefix) (int, error) {
	return 2, errors.New("disk is full")
}
func (unsaved) All() iter.Seq[Ban]                                     { return func(func(Ban) bool) {} }
func (unsaved) Watch(context.Context, func(DroppedPacket) error) error { return nil }

// TestAudit wants a record of every change that is asked for, made or not, with who
// it was, and none of what only looks.
func TestAudit(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "run", "admin.sock")
	log := &journal{}
	edge := &fakeEdge{store: &shelf{}, bans: unsaved{}}
	s := New(socket, edge, http.NotFoundHandler(), slog.New(slog.NewJSONHandler(log, nil)))
	l, err := s.Listen()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	client := NewClient(socket)
	for _, c := range []struct {
		method, path, body string
		want               map[string]any // nil for no record
	}{
		{"GET", "/status", "", nil},
		{"POST", "/page/unban", "prefix=192.0.2.7%2F32", nil}, // the page has its own
		{"POST", "/nothing", "", nil},
		{"POST", "/bans", `{"prefix":"192.0.2.7/32","for":"10m","why":"scan"}`,
			map[string]any{"action": "ban", "outcome": "done", "prefix": "192.0.2.7/32", "for": "10m0s", "why": "scan", "force": false}},
		{"POST", "/bans", `{"prefix":"192.0.2.7/24"}`,
			map[string]any{"action": "ban", "outcome": "failed", "prefix": "192.0.2.7/24", "for": "ever",
				"cause": "192.0.2.7/24 is an address within a network: want 192.0.2.0/24 for the network, or 192.0.2.7 for the address alone"}},
		{"DELETE", "/bans?prefix=192.0.2.7%2F32", "",
			map[string]any{"action": "unban", "outcome": "failed", "prefix": "192.0.2.7/32", "lifted": 2., "cause": "disk is full"}},
		{"PUT", "/truststores/devices/ca-bundle", "pem",
			map[string]any{"action": "truststore put", "outcome": "done", "trust_store": "devices"}},
		{"POST", "/truststores/other/crls", "pem",
			map[string]any{"action": "truststore crl-add", "outcome": "failed", "trust_store": "other", "cause": `no trust store has the name "other"`}},
		{"DELETE", "/truststores/devices/crls/7", "", map[string]any{"action": "truststore crl-remove", "trust_store": "devices", "id": 7.}},
		{"POST", "/truststores/devices/rollback?version=3", "", map[string]any{"action": "truststore rollback", "rolled_back_to": 3.}},
		{"POST", "/certificates/shop/renew", "", map[string]any{"action": "certificates renew", "outcome": "done", "certificate": "shop"}},
		{"POST", "/upgrade", `{"program":"/broken"}`,
			map[string]any{"action": "upgrade", "outcome": "failed", "program": "/broken", "cause": "upgrade: exit status 1"}},
		{"POST", "/upgrade", `{"program":"/new"}`, map[string]any{"action": "upgrade", "outcome": "done", "new_pid": 7.}},
		{"POST", "/reload", "", map[string]any{"action": "reload", "outcome": "done"}},
		{"POST", "/drain", "", map[string]any{"action": "drain", "outcome": "done"}},
	} {
		response := send(t, client, c.method, c.path, c.body)
		records := log.take(t)
		if c.want == nil {
			if len(records) > 0 {
				t.Errorf("%s %s: logged %v", c.method, c.path, records)
			}
			continue
		}
		if len(records) != 1 {
			t.Errorf("%s %s: %s, logged %v, want one record", c.method, c.path, response, records)
			continue
		}
		maps.Copy(c.want, map[string]any{"msg": AuditMessage, "level": "INFO", "via": "admin socket",
			"uid": float64(os.Getuid()), "gid": float64(os.Getgid()), "pid": float64(os.Getpid())})
		for key, want := range c.want {
			if records[0][key] != want {
				t.Errorf("%s %s: %s is %v, want %v", c.method, c.path, key, records[0][key], want)
			}
		}
	}
}

// send makes a request as any HTTP client would, and returns the status.
func send(t *testing.T, c *Client, method, path, body string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, "http://"+clientHost+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	response, err := c.http.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	io.Copy(io.Discard, response.Body)
	return response.Status
}

// TestEveryChangeIsAudited finds the patterns of all handlers in their source: one
// that is not among the actions would change things without a record.
func TestEveryChangeIsAudited(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	pattern := regexp.MustCompile(`mux\.Handle(?:Func)?\("([^"]*)"`)
	var found []string
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range pattern.FindAllStringSubmatch(string(text), -1) {
			if p := match[1]; !strings.HasPrefix(p, "GET ") && p != "/page/" {
				found = append(found, p)
			}
		}
	}
	slices.Sort(found)
	if want := slices.Sorted(maps.Keys(actions)); !slices.Equal(found, want) {
		t.Errorf("handlers that change things: %q\nactions: %q", found, want)
	}
}

// TestAuditOfWhatBreaksOff: what a handler has done before it panicked is not known,
// and must not pass for done.
func TestAuditOfWhatBreaksOff(t *testing.T) {
	log := &journal{}
	s := New("", &fakeEdge{}, nil, slog.New(slog.NewJSONHandler(log, nil)))
	mux := http.NewServeMux()
	mux.HandleFunc("POST /drain", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	func() {
		defer func() { recover() }()
		request, _ := http.NewRequest(http.MethodPost, "http://"+clientHost+"/drain", nil)
		s.audited(mux).ServeHTTP(nil, request)
	}()
	records := log.take(t)
	if len(records) != 1 || records[0]["outcome"] != AuditFailed || records[0]["cause"] != "broken off" {
		t.Errorf("logged %v", records)
	}
}
