package proxy

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// A client that asks for all it can on one connection and reads none of it has
// the edge hold no more than its share, however much targets have to say.
func TestUnreadResponses(t *testing.T) {
	const (
		streams = 128
		// 96 KiB for each wide stream and 16 KiB for each other, and what the
		// target's and the client's ends of net/http hold of each besides.
		bound = wideStreams*(96<<10) + (streams-wideStreams)*(16<<10) + streams*(8<<10)
	)
	var taken atomic.Int64
	var begun atomic.Int32
	target := startTarget2(t, func(w http.ResponseWriter, r *http.Request) {
		begun.Add(1)
		piece := make([]byte, 1<<10)
		for {
			n, err := w.Write(piece)
			if err != nil {
				return
			}
			taken.Add(int64(n))
		}
	})
	e := startEdge(t, newListener(true).forwardTo2(t, target))
	e.listener.Action.group.hold = 0
	c := dialHTTP2(e)
	c.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
	for i := range uint32(streams) {
		c.request(1+2*i, true, "GET")
	}
	for over := time.Now().Add(patience); int(begun.Load()) < streams; time.Sleep(time.Millisecond) {
		if time.Now().After(over) {
			t.Fatalf("the target has %d of %d requests", begun.Load(), streams)
		}
	}
	eventually(t, "a narrow window of each at the least", func() bool { return taken.Load() >= streams*narrowWindow })
	// Until nothing moves: with windows of full size it would be four times as much.
	for last, still := int64(-1), 0; still < 20; time.Sleep(10 * time.Millisecond) {
		if now := taken.Load(); now == last {
			still++
		} else {
			last, still = now, 0
		}
	}
	if n := taken.Load(); n > bound {
		t.Errorf("%d bytes are held, want %d at most", n, bound)
	}
}

// What is over makes room for others.
func TestWideAgain(t *testing.T) {
	target := startTarget2(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "ok") })
	e := startEdge(t, newListener(false).forwardTo2(t, target))
	got := e.raw(strings.Repeat("GET / HTTP/1.1\r\nHost: a\r\n\r\n", 3*wideStreams) + "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	if n := strings.Count(got, "HTTP/1.1 200 OK"); n != 3*wideStreams+1 {
		t.Fatalf("%d answers", n)
	}
	if n := len(*e.listener.Action.group.targets[0].narrow.conns.Load()); n > 0 {
		t.Errorf("%d connections for narrow windows, for one request at a time", n)
	}
}
