package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/sallyport/sallyport/edge/http1"
)

// buffer is what a message passes through: the head of a response fits, and what
// fills two records of TLS.
type buffer [http1.MaxResponseHead]byte

var buffers = sync.Pool{New: func() any { return new(buffer) }}

// maxInterim is how many 1xx responses a target may send before the real one.
const maxInterim = 16

var (
	errClientGone  = errors.New("client closed the connection")
	errHeadTooLong = errors.New("read response: head too large")
	errInterim     = errors.New("read response: too many 1xx responses")
)

// forward has a target of g answer the request.
func (x *exchange) forward(g *TargetGroup) {
	if g.http2() {
		x.forward2(g)
		return
	}
	webSocket := x.about.wantsWebSocket(&x.req)
	if err := x.compose(&x.about, webSocket); err != nil {
		x.refuseBody(err)
		return
	}
	expects := x.about.expects && x.body.pending && x.received.Load() == 0 && (x.req.Minor > 0 || x.req.Major > 1)
	if x.body.pending {
		x.shared = true
	}
	b := buffers.Get().(*buffer)
	defer buffers.Put(b)
	m := message{buf: b[:]}
	err := x.roundTrip(g, func(t *target) error { return x.try(g, t, &m, expects) })
	now := time.Now()
	if !x.sent.IsZero() {
		x.record.RequestProcessing = since(x.started, x.sent)
	}
	if err != nil {
		x.fail(err)
		return
	}
	x.answered()
	x.record.TargetProcessing = since(x.sent, now)
	x.record.TargetStatusCode = x.resp.Status
	if !x.judgeResponse() {
		return
	}
	switch {
	case x.resp.Status == http.StatusSwitchingProtocols:
		x.upgrade(&m, webSocket)
	default:
		x.respond(&m, now)
	}
}

// compose makes x.out the request as the target gets it, with as much of the body
// as there is already: a small request is one write.
func (x *exchange) compose(a *about, webSocket bool) error {
	out := x.appendHead(x.out[:0], a)
	if webSocket {
		out = append(out, "Connection: Upgrade\r\nUpgrade: websocket\r\n"...)
	}
	if x.req.Length == 0 {
		if x.hadLength() {
			out = append(out, "Content-Length: 0\r\n"...)
		}
		x.out = append(out, "\r\n"...)
		return nil
	}
	early, whole, err := x.side.buffered()
	if err != nil {
		return err
	}
	x.received.Add(int64(len(early)))
	if x.req.Length > 0 {
		out = append(strconv.AppendInt(append(out, "Content-Length: "...), x.req.Length, 10), "\r\n\r\n"...)
		out = append(out, early...)
	} else {
		out = append(x.appendAnnounced(out), "Transfer-Encoding: chunked\r\n\r\n"...)
		if len(early) > 0 {
			out = append(append(http1.AppendChunkSize(out, len(early)), early...), "\r\n"...)
		}
		if whole {
			out = x.appendRequestTrailers(append(out, "0\r\n"...), x.side.trailers())
		}
	}
	x.out = out
	x.body.pending = !whole
	return nil
}

// hadLength says whether a request without a body needs a Content-Length, because
// its method makes a target expect one (RFC 9110, section 8.6).
func (x *exchange) hadLength() bool {
	switch x.req.Method {
	case http.MethodPost, http.MethodPut, http.MethodPatch:
		return true
	}
	return false
}

// roundTrip tries those of the group's targets that may have requests in turn, as
// long as nothing of the request was sent.
func (x *exchange) roundTrip(g *TargetGroup, try func(*target) error) error {
	fit := g.health.Fit()
	if len(fit) == 0 {
		return errNoHealthyTarget
	}
	first := g.next.Add(1) - 1
	var err error
	for i := range fit {
		n := fit[(int(first%uint32(len(fit)))+i)%len(fit)]
		t := g.targets[n]
		x.record.Target = t.host
		x.at(t)
		err = try(t)
		if x.report(g, n, err); err == nil {
			return nil
		}
		var unreached *connectError
		if !errors.As(err, &unreached) || x.isGone() {
			break
		}
	}
	return err
}

// try sends the request to t. A connection that was kept may have been closed by
// the target just now: then the request goes out again on a new one, if that
// cannot have it done twice (RFC 9112, section 9.3.1).
func (x *exchange) try(g *TargetGroup, t *target, m *message, expects bool) error {
	if c := t.pool.take(x.started); c != nil {
		again, err := x.send(g, c, m, expects)
		if err == nil {
			return nil
		}
		x.dropTarget()
		if !again || x.isGone() {
			return err
		}
	}
	c, err := x.connect(g, t)
	if err != nil {
		return err
	}
	if _, err = x.send(g, c, m, expects); err != nil {
		x.dropTarget()
	}
	return err
}

// connect makes a new connection to t.
func (x *exchange) connect(g *TargetGroup, t *target) (*targetConn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), g.connect)
	defer cancel()
	x.life.Lock()
	x.cancel = cancel
	parted := x.parted
	x.life.Unlock()
	if parted {
		return nil, &connectError{errClientGone}
	}
	c, err := t.dial(ctx)
	x.life.Lock()
	x.cancel = nil
	x.life.Unlock()
	return c, err
}

// send sends the request on c and reads the head of its answer. After an error,
// again says whether c was closed before the target can have taken the request
// up.
func (x *exchange) send(g *TargetGroup, c *targetConn, m *message, expects bool) (again bool, err error) {
	if !x.hold(c) {
		c.pool.put(c, time.Now()) // as good as it was
		return false, errClientGone
	}
	if until, due := c.deadline.due(time.Now(), g.answer); due {
		x.setDeadline(c, until)
	}
	if !x.body.pending {
		x.side.watch(x)
	}
	n, err := c.Write(x.out)
	if err != nil {
		return c.used && isStale(err) && (n == 0 || x.repeatable()), err
	}
	x.sent = time.Now()
	if x.body.pending {
		c.deadline.reset()
		if !expects {
			x.setDeadline(c, time.Time{})
			x.sendBody(g, c)
		} else {
			x.setReadDeadline(c, x.sent.Add(expectContinue))
		}
	}
	if err = x.readHead(g, c, m, expects); err != nil {
		return c.used && isStale(err) && m.untouched() && x.repeatable() && x.justSent(), err
	}
	return false, nil
}

// isStale says whether a connection failed as one does that its target has given
// up: a target that is merely slow must not get the request twice.
func isStale(err error) bool {
	for _, cause := range []error{io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET, syscall.EPIPE, net.ErrClosed} {
		if errors.Is(err, cause) {
			return true
		}
	}
	return false
}

// staleWithin is how soon a target's having given a connection up shows: the end
// of it was on its way when the request was sent. One that closes later has had
// the request, and may have worked on it.
const staleWithin = time.Second

func (x *exchange) justSent() bool { return time.Since(x.sent) < staleWithin }

// repeatable says whether a request may be sent twice: it has no body, and doing
// it twice is doing it once (RFC 9110, section 9.2.2).
func (x *exchange) repeatable() bool {
	if x.req.Length != 0 {
		return false
	}
	switch x.req.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPut, http.MethodDelete:
		return true
	}
	return false
}

// message is what is read of a target's answer.
type message struct {
	buf     []byte
	start   int // of what was not taken yet
	end     int // of what was read
	interim int
	scan    http1.Scanner

	tried, streamed bool // more was asked for: without waiting, and as it comes
}

func (m *message) untouched() bool { return m.end == 0 && m.interim == 0 }

// rest is what was read behind the head.
func (m *message) rest() []byte { return m.buf[m.start:m.end] }

// readHead reads the head of the response into x.resp, and passes on what comes
// before it.
func (x *exchange) readHead(g *TargetGroup, c *targetConn, m *message, expects bool) error {
	for {
		end, oversized := m.scan.End(m.buf[m.start:m.end], http1.MaxResponseHead, http1.MaxResponseHead)
		if oversized {
			return errHeadTooLong
		}
		if end == 0 {
			if m.start > 0 {
				m.end = copy(m.buf, m.buf[m.start:m.end])
				m.start = 0
			}
			if m.end == len(m.buf) {
				return errHeadTooLong
			}
			n, err := c.Read(m.buf[m.end:])
			m.end += n
			if n == 0 && err != nil {
				if expects && isTimeout(err) && !x.isGone() {
					expects = false
					x.release100(g, c)
					continue
				}
				return err
			}
			continue
		}
		if err := x.resp.Parse(m.buf[m.start:m.start+end], x.req.Method); err != nil {
			return err
		}
		m.start += end
		m.scan = http1.Scanner{}
		if x.resp.Status >= 200 || x.resp.Status == http.StatusSwitchingProtocols {
			return nil
		}
		if m.interim++; m.interim > maxInterim {
			return errInterim
		}
		if err := x.pass1xx(g, c, &expects); err != nil {
			return err
		}
	}
}

// pass1xx passes a target's 1xx response on. A 100 is one for whoever waits for
// it, and nothing to anyone else.
func (x *exchange) pass1xx(g *TargetGroup, c *targetConn, expects *bool) error {
	if x.resp.Status == http.StatusContinue {
		if *expects {
			*expects = false
			x.release100(g, c)
		}
		return nil
	}
	if x.req.Major == 1 && x.req.Minor == 0 {
		return nil
	}
	x.idle.writing.Store(true)
	x.moved()
	err := x.side.interim(&x.resp)
	x.idle.writing.Store(false)
	if err != nil {
		return &clientError{err}
	}
	return nil
}

// release100 has the client send the body it holds back, and passes it on.
func (x *exchange) release100(g *TargetGroup, c *targetConn) {
	x.side.proceed() // a client that is gone does not send it either
	x.setDeadline(c, time.Time{})
	x.sendBody(g, c)
}

// fail answers for a target that gave no response, or ends the exchange if there
// is no client to answer.
func (x *exchange) fail(err error) {
	x.dropTarget()
	if x.idle.who() == clientIdle {
		x.answer(http.StatusRequestTimeout, ReasonClientIdle, "")
		return
	}
	bodyErr := x.body.failed()
	var wrong *malformedError
	if errors.As(bodyErr, &wrong) {
		x.refuseBody(bodyErr)
		return
	}
	if x.isGone() || bodyErr != nil || x.idle.who() == clientDeaf || isClients(err) {
		x.record.ELBStatusCode = statusClientClosed
		x.record.ErrorReason = x.client.gone()
		x.aborted = true
		return
	}
	var unreached *connectError
	switch {
	case errors.Is(err, errNoHealthyTarget):
		x.answer(http.StatusServiceUnavailable, ReasonNoHealthyTarget, err.Error())
	case errors.As(err, &unreached):
		if unreached.slow() {
			x.answer(http.StatusGatewayTimeout, ReasonTargetConnectSlow, err.Error())
		} else {
			x.answer(http.StatusBadGateway, ReasonTargetConnect, err.Error())
		}
	case x.idle.who() == targetIdle, isTimeout(err):
		x.answer(http.StatusGatewayTimeout, ReasonTargetResponseSlow, err.Error())
	default:
		x.answer(http.StatusBadGateway, ReasonTargetResponse, err.Error())
	}
}

// refuseBody answers for a body that breaks its framing.
func (x *exchange) refuseBody(err error) {
	x.record.Classification = http1.Severe.String()
	var wrong *malformedError
	if errors.As(err, &wrong) {
		x.record.ClassificationReason = wrong.reason
	}
	x.closing = true
	x.answer(http.StatusBadRequest, ReasonMalformedRequest, err.Error())
}
