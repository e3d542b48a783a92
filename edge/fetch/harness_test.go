package fetch

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var here = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

// consumer takes every file but those that say "bad", and remembers them.
type consumer struct {
	mu   sync.Mutex
	took []string
	next time.Time
}

var errBad = errors.New("it is bad")

func (c *consumer) accept(_ context.Context, path string, _ func() error) (time.Time, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return time.Time{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(content) >= 3 && string(content[:3]) == "bad" {
		return time.Time{}, errBad
	}
	c.took = append(c.took, string(content))
	return c.next, nil
}

func (c *consumer) all() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.took...)
}

// options are for a server in this process.
func options(dir string) Options {
	return Options{Dir: dir, MaxSize: 1 << 20, Timeout: time.Minute, Network: Network{Allow: here}}
}

// sourceOf is a source that is not run: tests call fetch.
func sourceOf(t *testing.T, o Options, url string) (*source, *consumer) {
	t.Helper()
	f, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	c := &consumer{}
	if err := f.Add(url, c.accept); err != nil {
		t.Fatal(err)
	}
	s := f.sources[url]
	t.Cleanup(s.drop)
	return s, c
}

// serve runs handler. What it hangs in ends with the context of its request.
func serve(t *testing.T, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return server
}

// raw answers a request with bytes as they are, and closes the connection.
func raw(t *testing.T, w http.ResponseWriter, text string) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		t.Error(err)
		return
	}
	defer conn.Close()
	_, _ = conn.Write([]byte(text))
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !is() {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within 30 s", what)
		}
		<-time.After(5 * time.Millisecond)
	}
}
