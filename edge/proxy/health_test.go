package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/sallyport/sallyport/edge/config"
)

// judgeOfHealth says who is fit, and keeps what it is told.
type judgeOfHealth struct {
	fit atomic.Pointer[[]int]

	mu   sync.Mutex
	told []string
}

func fitAre(targets ...int) *judgeOfHealth {
	h := &judgeOfHealth{}
	h.set(targets...)
	return h
}

func (h *judgeOfHealth) set(targets ...int) { h.fit.Store(&targets) }

func (h *judgeOfHealth) Fit() []int { return *h.fit.Load() }

func (h *judgeOfHealth) Tried(target int, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.told = append(h.told, fmt.Sprintf("%d %v", target, ok))
}

// hears returns what it was told since the last call.
func (h *judgeOfHealth) hears() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	defer func() { h.told = nil }()
	return strings.Join(h.told, ", ")
}

func get(t *testing.T, client *http.Client, url string) (int, string) {
	t.Helper()
	resp, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// Requests go in turn to the targets that are fit, and to no other.
func TestOnlyFitTargets(t *testing.T) {
	named := func(name string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, name) }
	}
	for _, g := range []*TargetGroup{
		newGroup(t, startTarget(t, named("a")), startTarget(t, named("b")), startTarget(t, named("c"))),
		group2(t, config.HTTP2, nil, startTarget2(t, named("a")), startTarget2(t, named("b")), startTarget2(t, named("c"))),
	} {
		l, h := newListener(true), fitAre(0, 1, 2)
		g.Watch(h)
		l.Action = Action{group: g}
		e := startEdge(t, l)
		client := e.client(true)
		for _, test := range []struct {
			fit  []int
			want map[string]int
		}{
			{[]int{0, 1, 2}, map[string]int{"a": 4, "b": 4, "c": 4}},
			{[]int{0, 2}, map[string]int{"a": 6, "c": 6}},
			{[]int{1}, map[string]int{"b": 12}},
		} {
			h.set(test.fit...)
			got := map[string]int{}
			for range 12 {
				status, body := get(t, client, e.url("/"))
				got[body]++
				if r := e.record(); status != 200 || r.ErrorReason != "" {
					t.Errorf("record %+v", r)
				}
			}
			if fmt.Sprint(got) != fmt.Sprint(test.want) {
				t.Errorf("fit %v: answers %v, want %v", test.fit, got, test.want)
			}
			if told := h.hears(); strings.Count(told, "true") != 12 || strings.Contains(told, "false") {
				t.Errorf("told %q", told)
			}
		}
		h.set()
		status, _ := get(t, client, e.url("/"))
		if r := e.record(); status != 503 || r.ErrorReason != ReasonNoHealthyTarget || r.Target != "" || r.ELBStatusCode != 503 || r.TargetStatusCode != 0 {
			t.Errorf("status %d, record %+v", status, r)
		}
		if told := h.hears(); told != "" {
			t.Errorf("told %q of a request that no target had", told)
		}
	}
}

// A target is told of for what it did, and not for what its clients did.
func TestWhoseFault(t *testing.T) {
	silent := func(conn net.Conn, r *bufio.Reader) { io.Copy(io.Discard, r) }
	says := func(text string) func(net.Conn, *bufio.Reader) {
		return func(conn net.Conn, r *bufio.Reader) { readHead(r); io.WriteString(conn, text) }
	}
	answers := func(status int) string {
		return startTarget(t, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(status) })
	}
	refused := "http://" + refusedAddr(t)
	for _, test := range []struct {
		name    string
		targets []string
		want    string
	}{
		{"in order", []string{answers(200)}, "0 true"},
		{"its own error", []string{answers(500)}, "0 true"},
		{"unavailable", []string{answers(503)}, "0 true"},
		{"bad gateway", []string{answers(502)}, "0 false"},
		{"gateway timeout", []string{answers(504)}, "0 false"},
		{"refused", []string{refused}, "0 false"},
		{"refused, then another", []string{refused, answers(200)}, "0 false, 1 true"},
		{"closed", []string{rawTarget(t, says(""))}, "0 false"},
		{"no HTTP", []string{rawTarget(t, says("SSH-2.0\r\n\r\n"))}, "0 false"},
		{"too slow", []string{rawTarget(t, silent)}, "0 false"},
		{"cut in the middle of its response", []string{rawTarget(t, says("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx"))}, "0 true"},
	} {
		h := fitAre(0)
		if len(test.targets) == 2 {
			h = fitAre(0, 1)
		}
		l := newListener(false).forwardTo(t, test.targets...)
		if test.name == "too slow" {
			l.Action = impatient(t, test.targets...)
		}
		l.Action.group.Watch(h)
		e := startEdge(t, l)
		if resp, err := e.client(false).Get(e.url("/")); err == nil {
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
		e.record()
		if got := h.hears(); got != test.want {
			t.Errorf("%s: told %q, want %q", test.name, got, test.want)
		}
	}

	// By HTTP/2 the same.
	for _, test := range []struct{ target, want string }{{refused, "0 false"}, {rawTarget(t, says("no")), "0 false"},
		{startTarget2(t, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(504) }), "0 false"},
		{startTarget2(t, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(404) }), "0 true"},
		{startTarget2(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }), ""}} {
		h, l := fitAre(0), newListener(false)
		l.forwardTo2(t, test.target).Action.group.Watch(h)
		e := startEdge(t, l)
		get(t, e.client(false), e.url("/"))
		e.record()
		if got := h.hears(); got != test.want {
			t.Errorf("HTTP/2: told %q, want %q", got, test.want)
		}
	}
}

// That a target refuses one request on a connection that is in order says nothing of
// the target: clients could have it ejected by asking for that. What breaks the
// connection does, and so does a malformed answer.
func TestRefusedAlone(t *testing.T) {
	reset := func(code http2.ErrCode) func(*frames, uint32) {
		return func(f *frames, s uint32) { f.WriteRSTStream(s, code) }
	}
	picky := httptest.NewUnstartedServer(http.NotFoundHandler())
	picky.Config.Protocols = new(http.Protocols)
	picky.Config.Protocols.SetUnencryptedHTTP2(true)
	picky.Config.MaxHeaderBytes = 4 << 10 // which it says
	picky.Start()
	t.Cleanup(picky.Close)
	for _, test := range []struct {
		name  string
		serve func(f *frames, stream uint32)
		want  string
	}{
		{"calm", reset(http2.ErrCodeEnhanceYourCalm), ""},
		{"cancelled", reset(http2.ErrCodeCancel), ""},
		{"protocol error", reset(http2.ErrCodeProtocol), ""},
		{"refused", reset(http2.ErrCodeRefusedStream), ""},
		{"HTTP/1.1 wanted", reset(http2.ErrCodeHTTP11Required), ""},
		{"a head too large for it", nil, ""},
		{"malformed", func(f *frames, s uint32) { f.head(s, true, ":status", "200", "UPPER", "case") }, "0 false"},
		{"no status", func(f *frames, s uint32) { f.head(s, true, "a", "b") }, "0 false"},
		{"closed", func(f *frames, s uint32) { f.conn.Close() }, "0 false"},
		{"going away in error", func(f *frames, s uint32) { f.WriteGoAway(s, http2.ErrCodeInternal, nil); f.conn.Close() }, "0 false"},
		{"nonsense", func(f *frames, s uint32) { f.WriteData(s+100, true, nil) }, "0 false"},
	} {
		target := picky.URL
		if test.serve != nil {
			target = frameTarget(t, func(_ int, f *frames) {
				for r := f.request(); r != nil; r = f.request() {
					test.serve(f, r.StreamID)
				}
			})
		}
		h, l := fitAre(0), newListener(false)
		l.forwardTo2(t, target).Action.group.Watch(h)
		e := startEdge(t, l)
		request, err := http.NewRequest("POST", e.url("/"), nil) // which is not sent again
		if err != nil {
			t.Fatal(err)
		}
		if test.serve == nil {
			request.Header.Set("X-Long", strings.Repeat("x", 10<<10))
		}
		resp, err := e.client(false).Do(request)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if e.record(); resp.StatusCode != 502 {
			t.Errorf("%s: status %d", test.name, resp.StatusCode)
		}
		if got := h.hears(); got != test.want {
			t.Errorf("%s: told %q, want %q", test.name, got, test.want)
		}
	}
}

// A client that does not send, or does not read, is not held against its target.
func TestIdleClientsFault(t *testing.T) {
	for fault, want := range map[idleFault]string{nobodyIdle: "0 false", targetIdle: "0 false", clientIdle: "", clientDeaf: ""} {
		h, g := fitAre(0), newGroup(t, plainTarget(t))
		g.Watch(h)
		x := &exchange{}
		x.idle.fault = fault
		x.report(g, 0, io.ErrUnexpectedEOF)
		if got := h.hears(); got != want {
			t.Errorf("fault %d: told %q, want %q", fault, got, want)
		}
	}
}

// A client that goes away while its target thinks says nothing of the target, nor
// does one whose body is malformed.
func TestClientsFault(t *testing.T) {
	came := make(chan struct{}, 2)
	handler := func(w http.ResponseWriter, r *http.Request) {
		came <- struct{}{}
		io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}
	for name, g := range map[string]*TargetGroup{
		"HTTP/1.1": newGroup(t, startTarget(t, handler)),
		"HTTP/2":   group2(t, config.HTTP2, nil, startTarget2(t, handler)),
	} {
		h, l := fitAre(0), newListener(false)
		g.Watch(h)
		l.Action = Action{group: g}
		e := startEdge(t, l)
		for _, request := range []string{"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n"} {
			conn := e.dial("http/1.1")
			io.WriteString(conn, request)
			receive(t, came, "request")
			if n := g.InFlight(0); n != 1 {
				t.Errorf("%s: %d requests in flight", name, n)
			}
			if strings.HasPrefix(request, "POST") {
				io.WriteString(conn, "no chunk\r\n\r\n")
			} else {
				conn.Close()
			}
			e.record()
			if told := h.hears(); told != "" {
				t.Errorf("%s: told %q after %.4s", name, told, request)
			}
			if n := g.InFlight(0); n != 0 {
				t.Errorf("%s: %d requests in flight after the last", name, n)
			}
		}
	}
}

// What is under way at a target goes on when it is fit no more: a WebSocket, and a
// response.
func TestUnfitTargetFinishes(t *testing.T) {
	more := make(chan struct{})
	g := newGroup(t, startTarget(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") == "" {
			io.WriteString(w, "half ")
			http.NewResponseController(w).Flush()
			<-more
			io.WriteString(w, "whole")
			return
		}
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		fmt.Fprint(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		io.Copy(conn, rw)
	}), "http://"+refusedAddr(t))
	h, l := fitAre(0), newListener(false)
	g.Watch(h)
	l.Action = Action{group: g}
	e := startEdge(t, l)
	socket := e.dial("http/1.1")
	io.WriteString(socket, "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
	r := bufio.NewReader(socket)
	if head := readHead(r); !strings.HasPrefix(head, "HTTP/1.1 101 ") {
		t.Fatalf("got %q", head)
	}
	resp, err := e.client(false).Get(e.url("/"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if n := g.InFlight(0); n != 2 {
		t.Errorf("%d requests in flight, want 2", n)
	}
	h.set(1)
	close(more)
	if body, err := io.ReadAll(resp.Body); string(body) != "half whole" || err != nil {
		t.Errorf("got %q, %v", body, err)
	}
	e.record()
	io.WriteString(socket, "still here")
	got := make([]byte, 10)
	if _, err := io.ReadFull(r, got); err != nil || string(got) != "still here" {
		t.Errorf("WebSocket: %q, %v", got, err)
	}
	if n := g.InFlight(0); n != 1 {
		t.Errorf("%d requests in flight, want the WebSocket", n)
	}
	socket.Close()
	e.record()
	if n := g.InFlight(0); n != 0 {
		t.Errorf("%d requests in flight after the last", n)
	}
}

// The choice of a target by a Health costs a request nothing.
func TestHealthDoesNotAllocate(t *testing.T) {
	if raced {
		t.Skip("under the race detector sync.Pool forgets at random")
	}
	g := newGroup(t, plainTarget(t))
	g.Watch(quietHealth{0})
	l := newListener(false)
	l.Action = Action{group: g}
	e := startEdge(t, l)
	e.records = nil
	conn := e.dial("http/1.1")
	conn.SetDeadline(time.Time{})
	r := bufio.NewReader(conn)
	ask(t, conn, r)
	if n := testing.AllocsPerRun(2000, func() { ask(t, conn, r) }); n > 0 {
		t.Errorf("%v allocations per request", n)
	}
}

// quietHealth finds the same targets fit for ever.
type quietHealth []int

func (h quietHealth) Fit() []int    { return h }
func (quietHealth) Tried(int, bool) {}
