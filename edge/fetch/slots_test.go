package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// hanging is a network on which nobody answers. It counts who is asked.
type hanging struct {
	mu     sync.Mutex
	asked  map[string]int // under way, by host
	most   int            // of one host at once
	closed chan struct{}  // lets all end
}

func (h *hanging) RoundTrip(r *http.Request) (*http.Response, error) {
	h.mu.Lock()
	h.asked[r.URL.Hostname()]++
	h.most = max(h.most, h.asked[r.URL.Hostname()])
	h.mu.Unlock()
	defer func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.asked[r.URL.Hostname()]--
	}()
	select {
	case <-r.Context().Done():
	case <-h.closed:
	}
	return nil, errors.New("nobody answers")
}

func (h *hanging) hosts() (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, asked := range h.asked {
		n += asked
	}
	return n
}

// TestHostsShareTheSlots: of each host one URL is fetched at once, and sixteen in
// all; a host with many URLs that hang keeps nobody else from being asked.
func TestHostsShareTheSlots(t *testing.T) {
	for name, tt := range map[string]struct {
		hosts []int // URLs of each
		want  int
	}{
		"one host of many URLs, and another": {[]int{40, 1}, 2},
		"more hosts than slots":              {[]int{2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, 16},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				f, err := New(Options{Dir: dir, Timeout: time.Minute})
				if err != nil {
					t.Fatal(err)
				}
				h := &hanging{asked: map[string]int{}, closed: make(chan struct{})}
				f.client = &http.Client{Transport: h}
				for host, n := range tt.hosts {
					for i := range n {
						// Names are compared as DNS does, and ports are of one host.
						url := fmt.Sprintf("http://h%d.example:%d/", host, 80+i)
						if i%2 == 1 {
							url = strings.Replace(url, "example", "EXAMPLE", 1)
						}
						if err := f.Add(url, (&consumer{}).accept); err != nil {
							t.Fatal(err)
						}
					}
				}
				run(t, f)
				synctest.Wait()
				if n := h.hosts(); n != tt.want {
					t.Errorf("%d are asked at once, want %d", n, tt.want)
				}
				close(h.closed)
				<-time.After(time.Minute) // with all slots given back everybody has had a turn
				synctest.Wait()
				for _, st := range f.Status() {
					if st.Failed == 0 {
						t.Errorf("%s was never asked", st.URL)
					}
				}
				if h.most > 1 {
					t.Errorf("of one host %d are asked at once", h.most)
				}
			})
		})
	}
}

// dripping is a body that brings a drop now and then.
type dripping struct {
	ctx   context.Context
	every time.Duration
	drop  int
	left  int
}

func (d *dripping) Read(b []byte) (int, error) {
	if d.left <= 0 {
		return 0, io.EOF
	}
	select {
	case <-d.ctx.Done():
		return 0, d.ctx.Err()
	case <-time.After(d.every):
	}
	n := min(d.drop, d.left, len(b))
	d.left -= n
	return n, nil
}

func (d *dripping) Close() error { return nil }

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestTooSlow: a server that brings less than 16 KiB in ten seconds is given up
// soon, one that brings as much is not.
func TestTooSlow(t *testing.T) {
	for name, tt := range map[string]struct {
		dripping
		slow  bool
		after time.Duration
	}{
		"a byte a second":           {dripping{every: time.Second, drop: 1, left: 1000}, true, 10 * time.Second},
		"a good start, and no more": {dripping{every: 12 * time.Second, drop: slowBytes, left: 1 << 20}, true, 10 * time.Second},
		"just not enough":           {dripping{every: time.Second, drop: slowBytes / 11, left: 1 << 20}, true, 10 * time.Second},
		"just enough":               {dripping{every: time.Second, drop: slowBytes / 8, left: slowBytes * 4}, false, 32 * time.Second},
		"small, and soon complete":  {dripping{every: time.Second, drop: 1, left: 8}, false, 8 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				s, _ := sourceOf(t, Options{Dir: dir}, "http://h.example/")
				s.fetcher.client = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
					body := tt.dripping
					body.ctx = r.Context()
					return &http.Response{StatusCode: 200, Header: http.Header{}, ContentLength: int64(body.left), Body: &body}, nil
				})}
				start := time.Now()
				_, err := s.fetch(t.Context())
				if errors.Is(err, errSlow) != tt.slow || !tt.slow && err != nil {
					t.Errorf("got %v", err)
				}
				if took := time.Since(start); took != tt.after {
					t.Errorf("after %s, want %s", took, tt.after)
				}
			})
		})
	}
}

// TestSilence: each of the two limits on waiting holds where the other does not.
func TestSilence(t *testing.T) {
	trickle := func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		ticker := time.NewTicker(20 * time.Millisecond)
		defer ticker.Stop()
		text := "HTTP/1.1 200 OK\r\n"
		for ; ; <-ticker.C { // until the other side has gone
			if _, err := io.WriteString(conn, text); err != nil {
				return
			}
			text = "X: y\r\n"
		}
	}
	for name, tt := range map[string]struct {
		serve http.HandlerFunc
		want  string
	}{
		"headers that trickle": {trickle, "timeout awaiting response headers"},
		"silence in the body": {func(w http.ResponseWriter, r *http.Request) {
			_, _ = w.Write([]byte("begin"))
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}, "i/o timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			o := options(t.TempDir())
			o.Timeout, o.SlowAfter, o.Network.IdleTimeout = 20*time.Second, time.Hour, 500*time.Millisecond
			s, _ := sourceOf(t, o, serve(t, tt.serve).URL)
			if _, err := s.fetch(t.Context()); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}
