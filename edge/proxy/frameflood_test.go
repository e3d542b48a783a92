package proxy

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// discardConn takes all that is written.
type discardConn struct{ net.Conn }

func (discardConn) Write(p []byte) (int, error) { return len(p), nil }
func (discardConn) Close() error                { return nil }

// readConn is one that something comes on.
type readConn struct {
	discardConn
	io.Reader
}

func (c readConn) Read(p []byte) (int, error) { return c.Reader.Read(p) }

// Frames that are cheap to send end the connection before many are taken, whether
// the client reads or not, and take no memory with them.
func TestCheapFrames(t *testing.T) {
	for _, reads := range []bool{true, false} {
		for _, test := range []struct {
			name string
			send func(c *http2Conn) error
		}{
			{"PING", func(c *http2Conn) error { return c.WritePing(false, [8]byte{1}) }},
			{"answers to no PING", func(c *http2Conn) error { return c.WritePing(true, [8]byte{1}) }},
			{"SETTINGS", func(c *http2Conn) error {
				return c.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1})
			}},
			{"empty SETTINGS", func(c *http2Conn) error { return c.WriteSettings() }},
			{"PRIORITY", func(c *http2Conn) error { return c.WritePriority(5, http2.PriorityParam{Weight: 1}) }},
			{"WINDOW_UPDATE", func(c *http2Conn) error { return c.WriteWindowUpdate(0, 1) }},
			{"empty DATA", func(c *http2Conn) error { return c.WriteData(1, false, nil) }},
			{"of no known type", func(c *http2Conn) error { return c.WriteRawFrame(0xcc, 0, 0, nil) }},
		} {
			name := test.name
			if !reads {
				name += ", unread"
			}
			t.Run(name, func(t *testing.T) {
				e := startEdge(t, newListener(true).forwardTo(t, startTarget(t, func(w http.ResponseWriter, r *http.Request) {
					io.Copy(io.Discard, r.Body)
				})))
				c := dialHTTP2(e)
				c.request(1, false, "POST")
				if reads {
					go func() {
						for {
							if _, err := c.ReadFrame(); err != nil {
								return
							}
						}
					}()
				}
				var before, after runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&before)
				const frames = 1 << 20
				sent := 0
				for ; sent < frames && test.send(c) == nil; sent++ {
				}
				if sent == frames {
					t.Fatal("the connection stays")
				}
				receive(t, e.served, "end of the connection")
				runtime.GC()
				runtime.ReadMemStats(&after)
				if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 4<<20 {
					t.Errorf("%d bytes more of heap", grown)
				}
			})
		}
	}
}

// Whoever makes use of a connection may send as many frames as that takes.
func TestFrugalConn(t *testing.T) {
	frame := func(kind, flags byte, length int) []byte {
		return append([]byte{0, 0, byte(length), kind, flags, 0, 0, 0, 1}, make([]byte, length)...)
	}
	times := func(n int, p []byte) []byte { return bytes.Repeat(p, n) }
	window, request := frame(8, 0, 4), frame(headersFrame, 5, 10)
	for _, test := range []struct {
		name  string
		in    []byte
		sent  int
		since time.Duration
		good  bool
	}{
		{"in advance", times(freeFrames, window), 0, 0, true},
		{"more", times(freeFrames+1, window), 0, 0, false},
		{"with requests", append(times(100, request), times(freeFrames+100*framesPerRequest, window)...), 0, 0, true},
		{"more than requests pay for", append(times(100, request), times(freeFrames+100*framesPerRequest+1, window)...), 0, 0, false},
		{"with what is read", times(freeFrames+1000, window), 1000 * bytesPerFrame, 0, true},
		{"with time", times(freeFrames+1000, window), 0, 1000 / framesPerSecond * time.Second, true},
		{"not in so short a time", times(freeFrames+1000, window), 0, 500 / framesPerSecond * time.Second, false},
		{"DATA", times(100*freeFrames, frame(dataFrame, 0, 1)), 0, 0, true},
		{"ends of bodies", times(2*freeFrames, frame(dataFrame, endStream, 0)), 0, 0, true},
		{"empty DATA", times(2*freeFrames, frame(dataFrame, 0, 0)), 0, 0, false},
		{"CONTINUATION", times(2*freeFrames, frame(continuationFrame, 0, 0)), 0, 0, true},
		{"RST_STREAM", times(2*freeFrames, frame(3, 0, 4)), 0, 0, false},
	} {
		for _, size := range []int{7, 64 << 10} { // of a read: frames come in pieces
			c := newFrugalConn(readConn{Reader: strings.NewReader(clientPreface + string(test.in))})
			c.since = time.Now().Add(-test.since)
			c.Write(make([]byte, test.sent))
			var err error
			for p := make([]byte, size); err == nil; {
				_, err = c.Read(p)
			}
			if good := err == io.EOF; good != test.good {
				t.Errorf("%s, %d bytes at a time: %v", test.name, size, err)
			}
		}
	}
}
