package ocsp

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/revocation/ocsp"
)

// byHost has hosts of their own ways.
type byHost struct {
	direct
	ways  map[string]func(*http.Request) (*http.Response, error)
	asked map[string]int
	most  map[string]int // at once
	now   map[string]int
}

func (b *byHost) RoundTrip(request *http.Request) (*http.Response, error) {
	name := request.URL.Host
	b.mu.Lock()
	b.asked[name]++
	b.now[name]++
	b.most[name] = max(b.most[name], b.now[name])
	way := b.ways[name]
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		b.now[name]--
		b.mu.Unlock()
	}()
	if way != nil {
		return way(request)
	}
	return b.direct.RoundTrip(request)
}

// hang answers nothing until the questioner has enough.
func hang(request *http.Request) (*http.Response, error) {
	<-request.Context().Done()
	return nil, request.Context().Err()
}

func hosts(t *testing.T, o Options, do func(c *Client, r *responder, b *byHost)) {
	bubble(t, o, func(c *Client, r *responder, _ *x509.Certificate) {
		b := &byHost{direct{r}, map[string]func(*http.Request) (*http.Response, error){}, map[string]int{}, map[string]int{}, map[string]int{}}
		c.settings.http = &http.Client{Transport: b}
		do(c, r, b)
	})
}

func (r *responder) named(hosts ...string) *x509.Certificate {
	r.t.Helper()
	pass(time.Nanosecond) // serial numbers are of the time
	var urls []string
	for _, name := range hosts {
		urls = append(urls, "http://"+name)
	}
	return r.issue("leaf", urls)
}

// TestSlowHostLeavesRoom: a host that hangs keeps nobody from asking another,
// costs a question its timeout and no more, and is left alone after a while.
func TestSlowHostLeavesRoom(t *testing.T) {
	hosts(t, Options{Parallel: 3}, func(c *Client, r *responder, b *byHost) {
		b.ways["slow.example"] = hang
		begun := time.Now()
		var slow []*x509.Certificate
		for range 20 {
			leaf := r.named("slow.example")
			slow = append(slow, leaf)
			c.Lookup(leaf, r.cert)
		}
		synctest.Wait()
		mustWait(t, c, r.named("quick.example"), r, ocsp.Good)
		if d := time.Since(begun); d > time.Second {
			t.Errorf("a host that hangs has held up another for %s", d)
		}
		if n := b.most["slow.example"]; n != 2 {
			t.Errorf("asked %d times at once, want 2", n)
		}
		if _, err := c.Wait(context.Background(), slow[0], r.cert); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if d := time.Since(begun).Round(time.Second); d != 10*time.Second {
			t.Errorf("gave up after %s, want 10s", d)
		}
		var rest *restError
		if _, err := c.Wait(context.Background(), slow[19], r.cert); !errors.As(err, &rest) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if d := time.Since(begun).Round(time.Second); d != 20*time.Second || b.asked["slow.example"] != 4 {
			t.Errorf("left alone after %s and %d questions, want 20s and 4", d, b.asked["slow.example"])
		}
		// Nobody is asked for ten seconds more; then it has to show that it is back.
		c.Lookup(slow[18], r.cert)
		pass(9 * time.Second)
		c.Lookup(slow[18], r.cert)
		if n := b.asked["slow.example"]; n != 4 {
			t.Errorf("asked %d times while left alone", n-4)
		}
		pass(2 * time.Second)
		b.most["slow.example"] = 0
		for _, leaf := range slow[10:] {
			c.Lookup(leaf, r.cert)
		}
		pass(11 * time.Second)
		if n := b.most["slow.example"]; n != 1 || b.asked["slow.example"] != 5 {
			t.Errorf("asked %d times, %d at once, want one", b.asked["slow.example"]-4, n)
		}
		r.set(func(*responder) { delete(b.ways, "slow.example") })
		pass(30 * time.Second)
		mustWait(t, c, slow[15], r, ocsp.Good)
		mustWait(t, c, slow[16], r, ocsp.Good)
	})
}

// TestQueueIsBounded for each host.
func TestQueueIsBounded(t *testing.T) {
	hosts(t, Options{}, func(c *Client, r *responder, b *byHost) {
		b.ways["slow.example"] = hang
		var last *x509.Certificate
		for range maxLine + 3 { // two are under way
			last = r.named("slow.example")
			c.Lookup(last, r.cert)
		}
		if s := c.Status(); s.Dropped != 1 {
			t.Errorf("dropped %d, want 1", s.Dropped)
		}
		if e := c.entries[mustID(t, last, r.cert)]; !errors.Is(e.err, errBusy) {
			t.Errorf("got %v", e.err)
		}
		mustWait(t, c, r.named("slow.example", "quick.example"), r, ocsp.Good)
	})
}

// TestBadAnswersBlameNoHost: one that answers is asked about others.
func TestBadAnswersBlameNoHost(t *testing.T) {
	for status, blamed := range map[int]bool{200: false, 404: false, 429: true, 503: true} {
		hosts(t, Options{}, func(c *Client, r *responder, b *byHost) {
			b.ways["a.example"] = func(*http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: status, Status: fmt.Sprint(status), Body: io.NopCloser(strings.NewReader("x"))}, nil
			}
			for range 5 {
				if _, err := c.Wait(context.Background(), r.named("a.example"), r.cert); err == nil {
					t.Error("no error")
				}
			}
			r.set(func(*responder) { delete(b.ways, "a.example") })
			var rest *restError
			_, err := c.Wait(context.Background(), r.named("a.example"), r.cert)
			if errors.As(err, &rest) != blamed || (err == nil) == blamed {
				t.Errorf("%d: %v", status, err)
			}
		})
	}
}

// endless is a body that counts what is read of it.
type endless struct{ read int }

func (e *endless) Read(p []byte) (int, error) {
	if e.read > 16*ocsp.MaxResponse {
		return 0, io.EOF
	}
	e.read += len(p)
	return len(p), nil
}

func (*endless) Close() error { return nil }

// TestLongResponse is not read to its end.
func TestLongResponse(t *testing.T) {
	hosts(t, Options{}, func(c *Client, r *responder, b *byHost) {
		body := &endless{}
		b.ways["long.example"] = func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusOK, Body: body}, nil
		}
		if _, err := c.Wait(context.Background(), r.named("long.example"), r.cert); err == nil || !strings.Contains(err.Error(), "want at most 65536") {
			t.Errorf("got %v", err)
		}
		if body.read != ocsp.MaxResponse+1 {
			t.Errorf("read %d bytes", body.read)
		}
	})
}
