package proxy

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
)

// discardConn takes all that is written.
type discardConn struct{ net.Conn }

func (discardConn) Write(p []byte) (int, error) { return len(p), nil }
func (discardConn) Close() error                { return nil }
func (discardConn) SetDeadline(time.Time) error { return nil }

// readConn is one that something comes on.
type readConn struct {
	discardConn
	io.Reader
}

func (c readConn) Read(p []byte) (int, error) { return c.Reader.Read(p) }

// Frames that are cheap to send end the connection before many are taken, whether
// the client reads or not, and take no memory with them. One that reads is told why,
// and so is the log.
func TestCheapFrames(t *testing.T) {
	for _, reads := range []bool{true, false} {
		var stream uint32
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
			{"HEADERS that are no request", func(c *http2Conn) error {
				stream += 2
				return c.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: []byte{0x82}, EndStream: true, EndHeaders: true})
			}},
			{"padded DATA with nothing in it", func(c *http2Conn) error { return c.WriteDataPadded(1, false, nil, []byte{}) }},
			{"DATA of padding", func(c *http2Conn) error { return c.WriteDataPadded(1, false, nil, []byte{0, 0}) }},
			{"of no known type", func(c *http2Conn) error { return c.WriteRawFrame(0xcc, 0, 0, nil) }},
		} {
			stream = 1
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
				marker := [8]byte{2}
				var away *http2.GoAwayFrame
				over, taken := make(chan struct{}), make(chan struct{}, 1)
				if reads {
					go func() {
						defer close(over)
						for {
							frame, err := c.ReadFrame()
							if err != nil {
								return
							}
							switch f := frame.(type) {
							case *http2.GoAwayFrame:
								away = &http2.GoAwayFrame{LastStreamID: f.LastStreamID, ErrCode: f.ErrCode}
							case *http2.PingFrame:
								if f.Data == marker {
									taken <- struct{}{}
								}
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
					// To one that goes on regardless, the word may be lost in a reset.
					if reads && sent%100 == 0 && (c.WritePing(false, marker) != nil || !either(taken, over)) {
						break
					}
				}
				if sent == frames {
					t.Fatal("the connection stays")
				}
				receive(t, e.served, "end of the connection")
				if reads {
					receive(t, over, "end of what the edge says")
					if away == nil || away.ErrCode != http2.ErrCodeEnhanceYourCalm || away.LastStreamID < 1 || away.LastStreamID > stream {
						t.Errorf("GOAWAY: %+v", away)
					}
					if r := e.record(); r.ErrorReason != ReasonClientFlood || r.ELBStatusCode != statusClientClosed {
						t.Errorf("record %+v", r)
					}
				}
				runtime.GC()
				runtime.ReadMemStats(&after)
				if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 4<<20 {
					t.Errorf("%d bytes more of heap", grown)
				}
			})
		}
	}
}

// A header block of frames with nothing in them does not go on for ever.
func TestEmptyContinuation(t *testing.T) {
	e := startEdge(t, newListener(true))
	c := dialHTTP2(e)
	if err := c.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte{0x82}}); err != nil {
		t.Fatal(err)
	}
	for range 1 << 20 {
		if c.WriteContinuation(1, false, nil) != nil {
			receive(t, e.served, "end of the connection")
			return
		}
	}
	t.Error("the connection stays")
}

// either waits for one of two, and says whether it was the first.
func either(first, second <-chan struct{}) bool {
	select {
	case <-first:
		return true
	case <-second:
		return false
	}
}

// Whoever makes use of a connection may send as many frames as that takes.
func TestFrugalConn(t *testing.T) { synctest.Test(t, testFrugalConn) }

func testFrugalConn(t *testing.T) {
	frame := func(kind, flags byte, length int) []byte {
		return append([]byte{0, 0, byte(length), kind, flags, 0, 0, 0, 1}, make([]byte, length)...)
	}
	times := func(n int, p []byte) []byte { return bytes.Repeat(p, n) }
	window, request := frame(8, 0, 4), frame(headersFrame, 5, 10)
	for _, test := range []struct {
		name     string
		in       []byte
		out      []byte
		since    time.Duration
		requests int
		good     bool
	}{
		{"in advance", times(freeFrames, window), nil, 0, 0, true},
		{"more", times(freeFrames+1, window), nil, 0, 0, false},
		{"with requests", append(times(100, request), times(freeFrames+100*(framesPerRequest-1), window)...), nil, 0, 100, true},
		{"more than requests pay for", append(times(100, request), times(freeFrames+100*(framesPerRequest-1)+1, window)...), nil, 0, 100, false},
		{"HEADERS that are no request", times(freeFrames+1, request), nil, 0, 0, false},
		{"with what is read", times(freeFrames+1000, window), times(1000*bytesPerFrame/10, frame(8, 0, 1)), 0, 0, true},
		{"with each DATA", times(freeFrames+3000+10, window), times(1000, frame(dataFrame, 0, 2)), 0, 0, true},
		{"more than DATA pays for", times(freeFrames+3000+11, window), times(1000, frame(dataFrame, 0, 2)), 0, 0, false},
		{"with each HEADERS", times(freeFrames+3000+10, window), times(1000, frame(headersFrame, 0, 2)), 0, 0, true},
		{"not with what answers", times(freeFrames+17, window), times(1000, frame(pingFrame, 1, 8)), 0, 0, false},
		{"with time", times(freeFrames+1000, window), nil, 1000 / framesPerSecond * time.Second, 0, true},
		{"not in so short a time", times(freeFrames+1000, window), nil, 999 * time.Second / framesPerSecond, 0, false},
		{"after a long time", times(2*freeFrames+1, window), nil, 24 * time.Hour, 0, true},
		{"no more after a long time", times(3*freeFrames, window), nil, 24 * time.Hour, 0, false},
		{"DATA", times(10*freeFrames, frame(dataFrame, 0, 1)), nil, 0, 0, true},
		{"ends of bodies", times(2*freeFrames, frame(dataFrame, endStream, 0)), nil, 0, 0, true},
		{"empty DATA", times(2*freeFrames, frame(dataFrame, 0, 0)), nil, 0, 0, false},
		{"DATA with padding", times(10*freeFrames, append([]byte{0, 0, 4, dataFrame, padded, 0, 0, 0, 1}, 2, 'x', 0, 0)), nil, 0, 0, true},
		{"DATA of padding", times(2*freeFrames, append([]byte{0, 0, 3, dataFrame, padded, 0, 0, 0, 1}, 2, 0, 0)), nil, 0, 0, false},
		{"end of a body, with padding", times(2*freeFrames, append([]byte{0, 0, 1, dataFrame, padded | endStream, 0, 0, 0, 1}, 0)), nil, 0, 0, true},
		{"CONTINUATION of requests", times(100, append(frame(headersFrame, 1, 10), times(4, frame(9, 0, 100))...)), nil, 0, 100, true},
		{"CONTINUATION", times(freeFrames+1, frame(9, 0, 1)), nil, 0, 0, false},
		{"RST_STREAM", times(2*freeFrames, frame(3, 0, 4)), nil, 0, 0, false},
	} {
		for _, size := range []int{7, 64 << 10} { // of a read: frames come in pieces
			flooded := 0
			c := newFrugalConn(readConn{Reader: strings.NewReader(clientPreface + string(test.in))}, func(string) { flooded++ })
			c.since = time.Now().Add(-test.since)
			for range test.requests {
				c.request()
			}
			for out := test.out; len(out) > 0; {
				n := min(size, len(out))
				c.Write(out[:n])
				out = out[n:]
			}
			var err error
			for p := make([]byte, size); err == nil; {
				_, err = c.Read(p)
			}
			if good := err == io.EOF; good != test.good || good != (flooded == 0) || flooded > 1 {
				t.Errorf("%s, %d bytes at a time: %v, told %d times", test.name, size, err, flooded)
			}
		}
	}
}

// A client that does not read is cut off all the same, without a word in the middle
// of another.
func TestCutUnread(t *testing.T) {
	here, there := net.Pipe()
	defer there.Close()
	c := newFrugalConn(here, func(string) {})
	wrote := make(chan error, 1)
	go func() {
		c.SetWriteDeadline(time.Now().Add(time.Hour))
		_, err := c.Write(make([]byte, 100))
		wrote <- err
	}()
	there.Read(make([]byte, 20)) // half a frame
	cut := make(chan struct{})
	go func() {
		defer close(cut)
		c.cut(causeFrames)
	}()
	for !c.isOver() {
		runtime.Gosched()
	}
	c.SetWriteDeadline(time.Now().Add(time.Hour)) // as net/http has it
	if _, err := c.Read(make([]byte, 10)); err != (floodError{}) {
		t.Errorf("read: %v", err)
	}
	if err := receive(t, wrote, "end of the write"); err == nil {
		t.Error("the write went well")
	}
	receive(t, cut, "end of the cut")
	if n, err := c.Write(make([]byte, 1)); n != 1 || err != nil {
		t.Errorf("a write after it: %d, %v", n, err)
	}
}

// Clients that open windows for a few bytes at a time read and send as much as they
// like.
func TestSmallWindows(t *testing.T) {
	const size = 48 << 20
	target := startTarget2(t, func(w http.ResponseWriter, r *http.Request) {
		if n, _ := io.Copy(io.Discard, r.Body); r.Method == "POST" && n != size {
			t.Errorf("%d bytes came", n)
		}
		io.CopyN(w, endless{}, size)
	})
	e := startEdge(t, newListener(true).forwardTo2(t, target))
	client := e.client(true)
	client.Timeout = 0
	client.Transport.(*http.Transport).HTTP2 = &http.HTTP2Config{MaxReceiveBufferPerStream: 8 << 10, MaxReadFrameSize: 16 << 10}
	for _, method := range []string{"GET", "POST"} {
		var body io.Reader
		if method == "POST" {
			body = io.LimitReader(endless{}, size)
		}
		r, _ := http.NewRequest(method, e.url("/"), body)
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if n != size || err != nil {
			t.Errorf("%s: %d bytes, %v", method, n, err)
		}
	}
}

// endless are zeros that never end.
type endless struct{}

func (endless) Read(p []byte) (int, error) { clear(p); return len(p), nil }
