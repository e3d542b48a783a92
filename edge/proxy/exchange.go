package proxy

import (
	"context"
	"log/slog"
	"net/http"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/edge/accesslog"
	"github.com/sallyport/sallyport/edge/http1"
)

// exchange is one request and its response. The goroutine that serves the request
// owns it; what others touch is atomic or behind life.
//
// One that only its own goroutine has touched is used again for another request,
// with its buffers; what it hands out, the record included, lives no longer than
// it does.
type exchange struct {
	client   *client
	side     side
	listener *Listener
	prepared *prepared
	record   Record
	traced   accesslog.Trace // the record's, where it has one
	started  time.Time

	req     http1.Request
	judged  Judged
	about   about // the request's connection
	resp    http1.Response
	edits   http1.Edits // of every response, as the listener has them
	in      []byte      // the request's head, and what came with it
	out     []byte      // the head for the target; then the one for the client
	scratch []byte      // the trace id
	fields  [3]http1.Field

	target   *targetConn
	call     *call         // at a target of HTTP/2
	counted  *atomic.Int64 // the target's requests in flight
	sent     time.Time     // the request, or zero
	received atomic.Int64
	body     bodyState
	closing  bool // the client's connection ends with this exchange
	aborted  bool // the response ends in the middle, and must look so
	shared   bool // others may still know of it: not used again

	idle idleTimer
	// life guards what others cut: a timer, and whoever sees that the client is
	// gone.
	life   sync.Mutex
	cancel context.CancelFunc // ends a connect, or a call
	cut    *targetConn
	gone   bool // the client
	parted bool // cutTarget was called: nothing waits for the target again
}

// Sizes of what an exchange keeps between requests.
const (
	inSize  = 4 << 10
	maxKept = 16 << 10
)

var exchanges = sync.Pool{New: func() any {
	return &exchange{in: make([]byte, inSize), out: make([]byte, 0, inSize)}
}}

func newExchange(c *client) *exchange {
	x := exchanges.Get().(*exchange)
	x.client = c
	return x
}

// release gives the exchange's memory back, with nothing of its request in it.
func (x *exchange) release() {
	if x.shared || len(x.in) > maxKept || cap(x.out) > maxKept {
		return
	}
	x.renew()
	x.client = nil
	exchanges.Put(x)
}

// renew makes the exchange ready for another request of the same client.
func (x *exchange) renew() {
	x.edits = nil
	x.side, x.listener, x.prepared, x.target, x.call, x.cut, x.cancel = nil, nil, nil, nil, nil, nil, nil
	x.record, x.traced = Record{}, accesslog.Trace{}
	x.sent = time.Time{}
	x.closing, x.aborted, x.gone, x.parted = false, false, false, false
	x.received.Store(0)
	x.body = bodyState{}
	x.idle.answered.Store(false)
	x.idle.writing.Store(false)
	x.idle.stopped = false
	x.out = x.out[:0]
	x.fields = [3]http1.Field{}
}

// run serves the request that is in x.req. Nothing of a panic in here reaches a
// client.
func (x *exchange) run() {
	c := x.client
	x.idle.limit = c.timeouts(nil).Idle.Std()
	x.about = aboutOf(x.req.Fields)
	x.open()
	defer func() {
		if p := recover(); p != nil {
			x.shared, x.aborted, x.closing = true, true, true
			x.record.ErrorReason = ReasonInternal
			if x.record.ELBStatusCode == 0 {
				x.record.ELBStatusCode = http.StatusInternalServerError
			}
			c.server.log.Error("panic while serving a request", "conn_trace_id", c.TraceID, "panic", p, slog.String("stack", string(debug.Stack())))
			x.dropTarget()
		}
		x.close()
	}()
	x.serve()
}

// open begins the record.
func (x *exchange) open() {
	c, r := x.client, &x.req
	x.record = Record{
		Type:               c.recordType(),
		Created:            x.started,
		Client:             c.Client,
		Server:             c.Server,
		RequestProcessing:  -1,
		TargetProcessing:   -1,
		ResponseProcessing: -1,
		Method:             r.Method,
		Scheme:             "http",
		Host:               r.Host,
		Port:               c.Server.Port(),
		URI:                r.Target,
		Proto:              proto(r.Major, r.Minor),
		CipherSuite:        c.CipherSuite,
		TLSVersion:         c.TLSVersion,
		ServerCertificate:  c.ServerCertificate,
		Resumed:            c.Resumed,
		ServerName:         c.ServerName,
		ConnTraceID:        c.TraceID,
		ReceivedBytes:      x.record.ReceivedBytes,
	}
	x.record.Classification, x.record.ClassificationReason = r.Finding.Class.String(), r.Finding.Reason
	for i := range r.Fields {
		if r.Fields[i].Kind == http1.UserAgent {
			x.record.UserAgent = r.Fields[i].Value
			break
		}
	}
}

func proto(major, minor uint8) string {
	switch {
	case major == 2:
		return "HTTP/2.0"
	case minor == 0:
		return "HTTP/1.0"
	}
	return "HTTP/1.1"
}

// serve answers the request, and says so in the record.
func (x *exchange) serve() {
	l := x.client.Listener()
	if l == nil || l.Strip == nil {
		x.answer(http.StatusServiceUnavailable, ReasonInternal, "no configuration")
		return
	}
	x.listener, x.prepared, x.edits = l, x.client.prepare(l), l.Response
	x.record.Listener, x.record.Port, x.record.Scheme = l.Name, x.prepared.portNumber, x.prepared.scheme
	x.trace()
	x.idle.limit = x.client.timeouts(l).Idle.Std()

	if x.req.Finding.Refused(l.Desync) {
		x.closing = true
		status := http.StatusBadRequest
		if x.req.Finding.Reason == http1.ReasonTargetTooLarge {
			status = http.StatusRequestURITooLong
		}
		x.answer(status, ReasonMalformedRequest, x.req.Finding.Reason)
		return
	}
	// What servers read differently is the last on its connection.
	x.closing = x.closing || x.req.Finding.Class >= http1.Ambiguous
	if status, reason, detail := check(&x.req); status != 0 {
		x.answer(status, reason, detail)
		return
	}
	if x.answerChallenge() {
		return
	}
	if misdirected := x.client.Misdirected; misdirected != nil && misdirected(x.req.Host) {
		x.answer(http.StatusMisdirectedRequest, ReasonMisdirected, "")
		return
	}
	if l.Judged && !x.judge() {
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
	x.finishBody()
	if x.call != nil {
		x.call.close()
	}
	x.record.ReceivedBytes += x.received.Load()
	if x.record.Action != "" && x.record.TraceID == "" {
		x.makeTraceID(&x.about) // answered by the edge; ALB names the request all the same
	}
	x.judgedOver()
	x.at(nil)
	x.record.Time = time.Now()
	x.client.server.access(&x.record)
}

// cutTarget makes whatever waits for the target return, now and from here on.
func (x *exchange) cutTarget() { x.part(false) }

// part is cutTarget, for want of a client if gone.
func (x *exchange) part(gone bool) {
	x.life.Lock()
	defer x.life.Unlock()
	x.gone, x.parted = x.gone || gone, true
	if x.cancel != nil {
		x.cancel()
	}
	if x.cut != nil {
		x.cut.SetDeadline(longAgo)
	}
}

// clientGone ends the exchange for want of a client.
func (x *exchange) clientGone() { x.part(true) }

func (x *exchange) isGone() bool {
	x.life.Lock()
	defer x.life.Unlock()
	return x.gone
}

// hold makes c the connection that is cut, unless that was done by now.
func (x *exchange) hold(c *targetConn) bool {
	x.life.Lock()
	defer x.life.Unlock()
	if x.parted {
		return false
	}
	x.target, x.cut = c, c
	return true
}

// setDeadline sets the deadlines of a connection that is held, unless it was cut by
// now: they are past then, and to stay so.
func (x *exchange) setDeadline(c *targetConn, t time.Time) {
	x.life.Lock()
	defer x.life.Unlock()
	if !x.parted {
		c.SetDeadline(t)
	}
}

func (x *exchange) setReadDeadline(c *targetConn, t time.Time) {
	x.life.Lock()
	defer x.life.Unlock()
	if !x.parted {
		c.SetReadDeadline(t)
	}
}

// letGo returns the target's connection for another use: nobody cuts it from
// here on. It is nil if it was cut.
func (x *exchange) letGo() *targetConn {
	x.life.Lock()
	defer x.life.Unlock()
	c := x.target
	x.target, x.cut = nil, nil
	if x.parted {
		if c != nil {
			c.Close()
		}
		return nil
	}
	return c
}

// dropTarget closes the target's connection, or ends the call.
func (x *exchange) dropTarget() {
	x.life.Lock()
	defer x.life.Unlock()
	if x.target != nil {
		x.target.Close()
	}
	if x.cancel != nil {
		x.cancel()
	}
	x.target, x.cut = nil, nil
}
