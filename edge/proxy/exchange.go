package proxy

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"runtime/debug"
	"sync"
	"time"
)

// exchange is one request and its response. The client's handler goroutine owns
// it; what others touch is behind mu, behind life, or atomic.
type exchange struct {
	client   *client
	listener *Listener
	prepared *prepared
	record   Record
	started  time.Time
	aborted  bool // the response ends in the middle, and must look so

	r    *http.Request
	url  url.URL // of the target
	body requestBody
	idle idleTimer

	cancel context.CancelFunc // ends the target's side

	// mu is held while the response is written to: besides the handler, a
	// target's 1xx and the timer that flushes do so.
	mu       sync.Mutex
	w        http.ResponseWriter
	headSent bool
	over     bool
	interim  int // 1xx responses so far
}

// ServeHTTP serves one request. Nothing of a panic in here reaches a client.
func (c *client) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !c.begin() {
		panic(http.ErrAbortHandler)
	}
	defer c.end()
	x := &exchange{client: c, r: r, w: w, started: time.Now()}
	x.idle.limit = c.timeouts(nil).Idle.Std()
	x.open()
	func() {
		defer func() {
			if p := recover(); p != nil {
				x.aborted = true
				x.record.ErrorReason = ReasonInternal
				if x.record.ELBStatusCode == 0 {
					x.record.ELBStatusCode = http.StatusInternalServerError
				}
				c.server.log.Error("panic while serving a request", "conn_trace_id", c.TraceID, "panic", p, slog.String("stack", string(debug.Stack())))
			}
		}()
		x.serve()
	}()
	x.close()
	if x.aborted {
		panic(http.ErrAbortHandler) // net/http's way to cut a response short
	}
}

// open begins the record; the header is still the client's own.
func (x *exchange) open() {
	c, r := x.client, x.r
	x.record = Record{
		Type:               "http",
		Created:            x.started,
		Client:             c.Client,
		RequestProcessing:  -1,
		TargetProcessing:   -1,
		ResponseProcessing: -1,
		Method:             r.Method,
		Scheme:             "http",
		Host:               r.Host,
		Port:               c.Server.Port(),
		URI:                r.RequestURI,
		Proto:              r.Proto,
		UserAgent:          r.UserAgent(),
		CipherSuite:        c.CipherSuite,
		TLSVersion:         c.TLSVersion,
		ServerName:         c.ServerName,
		ConnTraceID:        c.TraceID,
	}
	if c.ALPN == "h2" {
		x.record.Type = "h2"
	} else if c.TLSVersion != "" {
		x.record.Type = "https"
	}
	x.record.ReceivedBytes = headSize(len(r.Method)+len(r.RequestURI)+len(r.Proto)+2, r.Header) + int64(len("Host: \r\n")+len(r.Host))
}

// serve answers the request, and says so in the record.
func (x *exchange) serve() {
	l := x.client.Listener()
	if l == nil || l.Strip == nil {
		x.answer(http.StatusServiceUnavailable, ReasonInternal, "no configuration")
		return
	}
	x.listener, x.prepared = l, x.client.prepare(l)
	x.record.Listener, x.record.Port, x.record.Scheme = l.Name, x.prepared.portNumber, x.prepared.proto[0]
	x.idle.limit = x.client.timeouts(l).Idle.Std()

	if status, reason, detail := check(x.r); status != 0 {
		x.answer(status, reason, detail)
		return
	}
	if misdirected := x.client.Misdirected; misdirected != nil && misdirected(x.r.Host) {
		x.answer(http.StatusMisdirectedRequest, ReasonMisdirected, "")
		return
	}
	switch action := l.Action; {
	case action.fixed != nil:
		x.record.Action = "fixed-response"
		x.fixedResponse(action.fixed)
	case action.redirect != nil:
		x.record.Action = "redirect"
		x.redirect(action.redirect)
	case action.group != nil:
		x.record.Action = "forward"
		x.record.TargetGroup = action.group.name
		x.forward(action.group)
	default:
		x.answer(http.StatusServiceUnavailable, ReasonNoTarget, "")
	}
}

// close ends everything that the exchange started, and reports it.
func (x *exchange) close() {
	x.idle.stop()
	if x.cancel != nil {
		x.cancel()
	}
	x.mu.Lock()
	x.over = true
	x.mu.Unlock()
	x.body.finish()
	if x.record.ELBStatusCode != http.StatusSwitchingProtocols {
		x.bound()
	}
	x.record.ReceivedBytes += x.body.count.Load()
	x.record.Time = time.Now()
	x.client.server.access(&x.record)
}

// bound limits what net/http does for the exchange from here on: it reads the
// rest of a body away, up to 256 KiB, to keep an HTTP/1.1 connection, and it
// sends what it still has of the response.
func (x *exchange) bound() {
	if f := x.client.framed; f == nil {
		http.NewResponseController(x.w).SetWriteDeadline(time.Now().Add(x.idle.limit))
	} else if x.r.ContentLength != 0 && !x.body.done.Load() {
		f.limitRest()
	}
}

// refused reports a request that was refused before it was one. net/http answers
// it 400.
func (c *client) refused(why *framingError) {
	now := time.Now()
	r := Record{
		Type:                 "http",
		Time:                 now,
		Created:              now,
		Client:               c.Client,
		RequestProcessing:    -1,
		TargetProcessing:     -1,
		ResponseProcessing:   -1,
		ELBStatusCode:        http.StatusBadRequest,
		CipherSuite:          c.CipherSuite,
		TLSVersion:           c.TLSVersion,
		ServerName:           c.ServerName,
		ConnTraceID:          c.TraceID,
		ErrorReason:          ReasonMalformedRequest,
		ClassificationReason: why.reason,
	}
	if c.TLSVersion != "" {
		r.Type = "https"
	}
	if l := c.Listener(); l != nil {
		r.Listener = l.Name
	}
	c.server.access(&r)
}

// writeHead sends the response's head. mu is held.
func (x *exchange) writeHead(status int) {
	if x.client.framed != nil && x.client.ctx.Err() != nil {
		// net/http says so itself, but hears of it a little later.
		x.w.Header()["Connection"] = []string{"close"}
	}
	x.headSent = true
	x.record.ELBStatusCode = status
	x.record.SentBytes += headSize(len("HTTP/1.1 200 ")+len(http.StatusText(status)), x.w.Header())
	x.w.WriteHeader(status)
}
