package proxy

import (
	"net/http"
	"sync/atomic"
	"testing"

	"golang.org/x/net/http2"
)

// Floods of HTTP/2 that cost a client little: the connection ends before more
// than a few times its streams have come to be requests.
func TestHTTP2Floods(t *testing.T) {
	const streams = 1 << 20 // more than what lies between the two can hold
	for _, test := range []struct {
		name string
		send func(c *http2Conn, stream uint32) error
	}{
		{"rapid reset", func(c *http2Conn, stream uint32) error {
			c.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: c.block.Bytes(), EndStream: true, EndHeaders: true})
			return c.WriteRSTStream(stream, http2.ErrCodeCancel)
		}},
		{"made you reset", func(c *http2Conn, stream uint32) error {
			c.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: c.block.Bytes(), EndStream: true, EndHeaders: true})
			return c.WriteRawFrame(http2.FrameWindowUpdate, 0, stream, make([]byte, 4)) // by nothing: an error of the stream
		}},
		{"made you reset by a window", func(c *http2Conn, stream uint32) error {
			c.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: c.block.Bytes(), EndStream: true, EndHeaders: true})
			return c.WriteWindowUpdate(stream, 1<<31-1) // too large a window
		}},
		{"made you reset by data", func(c *http2Conn, stream uint32) error {
			c.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: c.block.Bytes(), EndStream: true, EndHeaders: true})
			return c.WriteData(stream, true, []byte("x")) // behind the end
		}},
		{"made you reset by a priority", func(c *http2Conn, stream uint32) error {
			c.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: c.block.Bytes(), EndStream: true, EndHeaders: true})
			return c.WriteRawFrame(http2.FramePriority, 0, stream, []byte{byte(stream >> 24), byte(stream >> 16), byte(stream >> 8), byte(stream), 0})
		}},
		{"CONTINUATION", func(c *http2Conn, stream uint32) error {
			if stream == 3 {
				return c.WriteHeaders(http2.HeadersFrameParam{StreamID: 3, BlockFragment: c.block.Bytes()})
			}
			return c.WriteContinuation(3, false, make([]byte, 1<<10))
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var requests atomic.Int32
			proceed := make(chan struct{})
			defer close(proceed)
			e := startEdge(t, newListener(true).forwardTo(t, startTarget(t, func(w http.ResponseWriter, r *http.Request) {
				requests.Add(1)
				select {
				case <-proceed:
				case <-r.Context().Done():
				}
			})))
			c := dialHTTP2(e)
			c.request(1, true, "GET") // and the header block of all others
			go func() {
				for { // or the edge waits for its answers to be read
					if _, err := c.ReadFrame(); err != nil {
						return
					}
				}
			}()
			sent := 0
			for ; sent < streams; sent++ {
				if test.send(c, uint32(3+2*sent)) != nil {
					break
				}
			}
			if sent == streams {
				t.Errorf("%d streams were taken", streams)
			}
			receive(t, e.served, "end of the connection")
			if n := requests.Load(); n > 5*int32(http2Limits.MaxConcurrentStreams) {
				t.Errorf("the target got %d requests", n)
			}
		})
	}
}
