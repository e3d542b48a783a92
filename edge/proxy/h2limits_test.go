package proxy

import (
	"io"
	"net/http"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/sallyport/sallyport/edge/config"
)

// A connection of HTTP/2 has 128 streams at once, and no more.
func TestConcurrentStreams(t *testing.T) {
	arrived, proceed := make(chan struct{}, 256), make(chan struct{})
	e := startEdge(t, newListener(true).forwardTo(t, startTarget(t, func(w http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		<-proceed
	})))
	defer close(proceed)
	c := dialHTTP2(e)
	most := until(c, func(f *http2.SettingsFrame) bool { return !f.IsAck() })
	if n, _ := most.Value(http2.SettingMaxConcurrentStreams); n != 128 {
		t.Errorf("the edge takes %d streams at once, want 128", n)
	}
	c.WriteSettingsAck()
	const last = 1 + 2*128
	for stream := uint32(1); stream <= last; stream += 2 {
		c.request(stream, true, "GET")
	}
	if code := c.reset(last); code != http2.ErrCodeRefusedStream && code != http2.ErrCodeProtocol {
		t.Errorf("stream 129 was reset with %v, want it refused", code)
	}
	for range 128 {
		receive(t, arrived, "request")
	}
	if n := len(arrived); n > 0 {
		t.Errorf("%d requests more came through", n)
	}
}

// After 10,000 requests a connection is to go away: what has come is answered, and
// nothing more is taken.
func TestGoAwayAfterManyRequests(t *testing.T) {
	if testing.Short() {
		t.Skip("10,000 requests")
	}
	l := newListener(true)
	l.Action = Action{fixed: &fixedResponse{status: 204}}
	e := startEdge(t, l)
	e.records = nil
	c := dialHTTP2(e)
	stream, answered := uint32(1), 0
	for ; answered < maxRequests; stream += 2 {
		c.request(stream, true, "GET")
		for {
			frame, err := c.ReadFrame()
			if err != nil {
				t.Fatalf("after %d answers: %v", answered, err)
			}
			if away, ok := frame.(*http2.GoAwayFrame); ok && (answered < maxRequests-1 || away.ErrCode != http2.ErrCodeNo) {
				t.Fatalf("GOAWAY after %d answers: %v", answered, away)
			}
			if f, ok := frame.(*http2.MetaHeadersFrame); ok && f.StreamID == stream {
				answered++
				break
			}
		}
	}
	for {
		frame, err := c.ReadFrame()
		if err != nil {
			break
		}
		if away, ok := frame.(*http2.GoAwayFrame); ok && away.ErrCode != http2.ErrCodeNo {
			t.Errorf("%v", away)
		}
	}
	receive(t, e.served, "end of the connection")
}

// Frames that the edge must answer, from a client that reads no answers: the
// connection ends before much memory has gone into them.
func TestUnreadAnswers(t *testing.T) {
	for _, test := range []struct {
		name string
		send func(c *http2Conn) error
	}{
		{"PING", func(c *http2Conn) error { return c.WritePing(false, [8]byte{1}) }},
		{"SETTINGS", func(c *http2Conn) error { return c.WriteSettings() }},
		{"errors of a stream", func(c *http2Conn) error { return c.WriteRawFrame(http2.FrameWindowUpdate, 0, 1, make([]byte, 4)) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := newListener(true)
			l.Timeouts.Idle = config.Duration(2 * time.Second)
			e := startEdge(t, l.forwardTo(t, startTarget(t, func(w http.ResponseWriter, r *http.Request) {})))
			c := dialHTTP2(e)
			before := heap()
			for test.send(c) == nil {
			}
			receive(t, e.served, "end of the connection")
			if after := heap(); after > before+(16<<20) {
				t.Errorf("the answers took %d MiB", (after-before)>>20)
			}
		})
	}
}

// TestWatchesAreNotAbuse has a client do what one that watches does: open a
// stream, see its answer begin, and cancel it; far more often than streams may be
// abandoned without an answer.
func TestWatchesAreNotAbuse(t *testing.T) {
	target := startTarget(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "hello")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	e := startEdge(t, newListener(true).forwardTo(t, target))
	e.records = nil
	c := dialHTTP2(e)
	for i := range uint32(maxAbandoned + 30) {
		stream := 2*i + 1
		c.request(stream, true, "GET")
		until(c, func(f *http2.DataFrame) bool { return f.StreamID == stream })
		c.WriteRSTStream(stream, http2.ErrCodeCancel)
	}
}
