package proxy

import (
	"context"
	"io"
	"net/http"
	"os"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/sallyport/sallyport/edge/config"
)

// What net/http says of a request that a target has not taken up, word for word:
// another release of Go may say it differently.
func TestNotTaken(t *testing.T) {
	goAway := func(f *frames) { f.WriteGoAway(0, http2.ErrCodeNo, nil); f.drain() }
	hangUp := func(f *frames) { f.conn.Close() }
	for _, test := range []struct {
		name        string
		used, waits bool // the connection had a request; it ends before this one is sent
		end         func(f *frames)
		want        string
	}{
		{"goes away with the request", false, false, goAway, "http2: Transport received Server's graceful shutdown GOAWAY"},
		{"goes away before it", false, true, goAway, "http2: client conn not usable"},
		{"is gone before it", true, true, hangUp, "http2: client conn not usable"},
		{"is gone before the first", false, true, hangUp, "http2: client conn could not be established"},
	} {
		t.Run(test.name, func(t *testing.T) {
			end := make(chan struct{})
			target := frameTarget(t, func(_ int, f *frames) {
				if test.used {
					f.head(f.request().StreamID, true, ":status", "200")
				}
				if test.waits {
					<-end
				} else {
					f.request()
				}
				test.end(f)
			})
			g := group2(t, config.HTTP2, nil, target)
			pool := g.targets[0].shared
			request := func() *http.Request {
				r, err := http.NewRequest("POST", target, nil)
				if err != nil {
					t.Fatal(err)
				}
				return r
			}
			take := func() *sharedConn {
				c, _, err := pool.take(context.Background())
				if err != nil {
					t.Fatal(err)
				}
				return c
			}
			if test.used {
				c := take()
				res, err := c.RoundTrip(request())
				if err != nil {
					t.Fatal(err)
				}
				io.Copy(io.Discard, res.Body)
				res.Body.Close()
				c.leave()
			}
			c := take()
			defer c.leave()
			if close(end); test.waits {
				eventually(t, "end of the connection", func() bool { return c.retired.Load() || c.Err() != nil })
			}
			_, err := c.RoundTrip(request())
			if err == nil || err.Error() != test.want || !notTaken(err) {
				t.Errorf("got %q, want %q", err, test.want)
			}
		})
	}
}

// A request that its target may have begun with is sent again only where nothing
// came of it, and its connection ended as one does that was given up before.
func TestMayRepeat(t *testing.T) {
	for _, test := range []struct {
		name   string
		err    error
		used   bool
		method string
		seen   int // 1xx responses
		ago    time.Duration
		want   bool
	}{
		{"stale", io.EOF, true, "GET", 0, 0, true},
		{"late", io.EOF, true, "GET", 0, 2 * staleWithin, false},
		{"after a 1xx", io.EOF, true, "GET", 1, 0, false},
		{"new connection", io.EOF, false, "GET", 0, 0, false},
		{"not idempotent", io.EOF, true, "POST", 0, 0, false},
		{"slow", os.ErrDeadlineExceeded, true, "GET", 0, 0, false},
	} {
		c := &call{x: &exchange{sent: time.Now().Add(-test.ago)}}
		c.x.req.Method = test.method
		c.interims.seen = test.seen
		if got := c.mayRepeat(test.err, test.used); got != test.want {
			t.Errorf("%s: %v", test.name, got)
		}
	}
}

// A group that is closed keeps no connection, of either kind.
func TestCloseNarrow(t *testing.T) {
	ended := make(chan struct{}, 2)
	g := group2(t, config.HTTP2, nil, frameTarget(t, func(_ int, f *frames) {
		f.drain()
		ended <- struct{}{}
	}))
	for _, pool := range []*sharedPool{g.targets[0].shared, g.targets[0].narrow} {
		c, _, err := pool.take(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		c.leave()
	}
	g.Close()
	for range 2 {
		receive(t, ended, "end of a connection")
	}
}
