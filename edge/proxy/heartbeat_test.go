package proxy

import (
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// A connection that has gone silent gets no more requests. Those that it has are
// waited for, as the target may only be busy, and sent nowhere else.
func TestSilentTarget(t *testing.T) {
	const get = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
	for _, method := range []string{"GET", "DELETE", "POST"} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			var conns, slow atomic.Int32
			awake := make(chan struct{})
			target := frameTarget(t, func(_ int, f *frames) {
				conns.Add(1)
				for r := f.request(); r != nil; r = f.request() {
					if r.PseudoValue("path") == "/slow" {
						slow.Add(1)
						<-awake // PINGs are not read
					}
					f.head(r.StreamID, true, ":status", "200")
				}
			})
			l := newListener(false).forwardTo2(t, target)
			pool := l.Action.group.targets[0].shared
			pool.beat = heartbeatLimits{quiet: time.Hour, answer: time.Hour, spare: time.Hour}
			e := startEdge(t, l)
			e.raw(get)
			first := (*pool.conns.Load())[0]
			h := first.beat // from here on, and of no other connection
			h.mu.Lock()
			h.limits = heartbeatLimits{quiet: 20 * time.Millisecond, answer: 100 * time.Millisecond, spare: time.Hour}
			h.timer.Reset(h.limits.quiet)
			h.mu.Unlock()
			answer := make(chan string)
			go func() {
				answer <- e.raw(method + " /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
			}()
			for over := time.Now().Add(patience); !first.retired.Load(); time.Sleep(time.Millisecond) {
				if time.Now().After(over) {
					t.Fatal("the connection still has requests")
				}
			}
			if got := e.raw(get); !strings.HasPrefix(got, "HTTP/1.1 200") || conns.Load() != 2 {
				t.Errorf("the next, on %d connections: %q", conns.Load(), got)
			}
			close(awake)
			if got := <-answer; !strings.HasPrefix(got, "HTTP/1.1 200") || slow.Load() != 1 {
				t.Errorf("the slow one, sent %d times: %q", slow.Load(), got)
			}
		})
	}
}

// A target that thinks is left alone but for two PINGs, which is what targets of
// gRPC put up with.
func TestThinkingTarget(t *testing.T) {
	var pings atomic.Int32
	proceed := make(chan struct{})
	target := frameTarget(t, func(_ int, f *frames) {
		stream, asked := uint32(0), false
		for {
			if stream > 0 && pings.Load() == maxPings && !asked {
				asked = true
				go func() {
					<-proceed
					f.head(stream, true, ":status", "200")
				}()
			}
			frame, err := f.ReadFrame()
			if err != nil {
				return
			}
			switch frame := frame.(type) {
			case *http2.SettingsFrame:
				if !frame.IsAck() {
					f.WriteSettingsAck()
				}
			case *http2.MetaHeadersFrame:
				stream = frame.StreamID
			case *http2.PingFrame: // before the request even, if that takes its time to be written
				if !frame.IsAck() {
					f.WritePing(true, frame.Data)
					pings.Add(1)
				}
			}
		}
	})
	l := newListener(false).forwardTo2(t, target)
	pool := l.Action.group.targets[0].shared
	pool.beat = heartbeatLimits{quiet: 10 * time.Millisecond, answer: patience, spare: time.Hour}
	e := startEdge(t, l)
	go func() {
		defer close(proceed)
		over := time.Now().Add(patience)
		until := func(is func() bool) {
			for !is() && time.Now().Before(over) {
				time.Sleep(time.Millisecond)
			}
		}
		until(func() bool { return pings.Load() == maxPings })
		var looks atomic.Int32
		if conns := *pool.conns.Load(); len(conns) == 1 {
			h := conns[0].beat
			h.mu.Lock()
			calls := h.calls
			h.calls = func() int32 { looks.Add(1); return calls() }
			h.mu.Unlock()
		}
		until(func() bool { return looks.Load() > 10 }) // in which it might send others
	}()
	if got := e.raw("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 200") {
		t.Errorf("got %q", got)
	}
	if n := pings.Load(); n != maxPings {
		t.Errorf("%d PINGs, want %d", n, maxPings)
	}
}

// When to ask, and what to make of what comes, at which time.
func TestHeartbeat(t *testing.T) {
	const s = time.Second
	conn := newSettingsConn(discardConn{})
	conn.out.begun, conn.out.skip = true, 0
	h := &conn.beat
	h.limits = heartbeatLimits{quiet: 5 * s, answer: 4 * s, spare: 360 * s}
	h.asked.Store(int64(100 * s))
	for _, step := range []struct {
		now, heard time.Duration
		spoken     bool
		again      time.Duration
		pinged     bool
		lost       bool
	}{
		{now: 103 * s, again: 2 * s},
		{now: 105 * s, again: 4 * s, pinged: true},
		{now: 107 * s, again: 2 * s, pinged: true},
		{now: 107 * s, heard: 106 * s, again: 4 * s},
		{now: 111 * s, again: 4 * s, pinged: true},
		{now: 115 * s, heard: 112 * s, again: 2 * s},
		{now: 117 * s, again: 5 * s}, // two are enough
		{now: 470 * s, again: 5 * s},
		{now: 472 * s, again: 4 * s, pinged: true}, // but not for ever
		{now: 473 * s, heard: 473 * s, spoken: true, again: 5 * s},
		{now: 478 * s, again: 4 * s, pinged: true},
		{now: 482 * s, again: s, pinged: true}, // the answer may be there, unread
		{now: 483 * s, pinged: true, lost: true},
	} {
		if step.heard > 0 {
			h.last.Store(int64(step.heard))
		}
		if step.spoken {
			h.spoken.Store(true)
		}
		again, lost := h.look(step.now)
		for !conn.writing.TryLock() { // till a PING is written
			runtime.Gosched()
		}
		conn.writing.Unlock()
		if lost != step.lost || again != step.again || (h.pinged > 0) != step.pinged {
			t.Fatalf("at %s: again in %s, pinged at %s, lost %v; want %+v", step.now, again, h.pinged, lost, step)
		}
	}
}
