package proxy

import (
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// A target that goes without a word is given up, with what waits for it: that is
// never sent again, whatever its method, as the target may have it.
func TestSilentTarget(t *testing.T) {
	for _, test := range []struct {
		name, method, body string
		answered           string // of the answer, before the silence
		status, conns      int
		reason             string
	}{
		{"repeatable", "DELETE", "", "", 504, 1, ReasonTargetResponseSlow},
		{"not repeatable", "POST", "", "", 504, 1, ReasonTargetResponseSlow},
		{"with a body", "PUT", "body", "", 504, 1, ReasonTargetResponseSlow},
		{"in the middle of an answer", "GET", "", "begun", 200, 1, ReasonTargetClosed},
	} {
		t.Run(test.name, func(t *testing.T) {
			var conns atomic.Int32
			target := frameTarget(t, func(n int, f *frames) {
				conns.Add(1)
				for r := f.request(); r != nil; r = f.request() {
					if n == 1 && r.PseudoValue("path") != "/first" {
						if test.answered != "" {
							f.head(r.StreamID, false, ":status", "200")
							f.WriteData(r.StreamID, false, []byte(test.answered))
						}
						f.drain() // PINGs as well
						return
					}
					f.head(r.StreamID, true, ":status", "200")
				}
			})
			l := newListener(false).forwardTo2(t, target)
			l.Action.group.hold = 0
			l.Action.group.targets[0].shared.beat = heartbeatLimits{quiet: 20 * time.Millisecond, answer: 100 * time.Millisecond, spare: time.Hour}
			e := startEdge(t, l)
			e.raw("GET /first HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
			e.record()
			r, _ := http.NewRequest(test.method, e.url("/"), strings.NewReader(test.body))
			resp, err := e.client(false).Do(r)
			if err != nil {
				t.Fatal(err)
			}
			_, err = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			if cut := test.answered != ""; (err != nil) != cut {
				t.Errorf("body: %v", err)
			}
			record := e.record()
			if resp.StatusCode != test.status || record.ELBStatusCode != test.status || record.ErrorReason != test.reason || int(conns.Load()) != test.conns {
				t.Errorf("%s on %d connections, record %+v", resp.Status, conns.Load(), record)
			}
			if test.conns == 1 { // the next goes elsewhere
				if got := e.raw("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 200") {
					t.Errorf("the next: %q", got)
				}
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
		r := f.request()
		if r == nil {
			return
		}
		asked := false
		for {
			if pings.Load() == maxPings && !asked {
				asked = true
				go func() {
					<-proceed
					f.head(r.StreamID, true, ":status", "200")
				}()
			}
			frame, err := f.ReadFrame()
			if err != nil {
				return
			}
			if p, ok := frame.(*http2.PingFrame); ok && !p.IsAck() {
				f.WritePing(true, p.Data)
				pings.Add(1)
			}
		}
	})
	l := newListener(false).forwardTo2(t, target)
	l.Action.group.targets[0].shared.beat = heartbeatLimits{quiet: 10 * time.Millisecond, answer: patience, spare: time.Hour}
	e := startEdge(t, l)
	go func() {
		defer close(proceed)
		for over := time.Now().Add(patience); pings.Load() < maxPings && time.Now().Before(over); {
			time.Sleep(time.Millisecond)
		}
		time.Sleep(100 * time.Millisecond) // for ten more, if it were so
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
