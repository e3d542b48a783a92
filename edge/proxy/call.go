package proxy

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"os"
	"sync"
	"time"

	"github.com/sallyport/sallyport/edge/accesslog"
)

// call is an exchange's request at a target that speaks HTTP/2. The exchange's
// goroutine owns it. Others come in by its timers, by the connection, which hands
// out 1xx responses, and by the stream, which reads the request's body; none of
// them touches the exchange once the call is over.
type call struct {
	x     *exchange
	group *TargetGroup
	ctx   context.Context // done: the call is given up
	end   context.CancelFunc
	path  string
	req   *http.Request
	// fields are those of req, under their names on the wire: in lower case.
	fields map[string][]string
	res    *http.Response
	early  []byte // of the body: what came with the head
	body   *requestBody
	holds  bool // the client holds its body back, until it is told to send it

	failure error // why there was no answer
	wide    bool  // the response has a window of full size

	interims interims
	head     heldHead

	mu      sync.Mutex
	conn    *sharedConn
	timer   *time.Timer // of the answer
	late    bool        // it has not come in time
	settled bool        // its head is here, or will not come
}

// attempts is how often a request is sent whose target does not take it up.
const attempts = 3

// forward2 has a target of g, which speaks HTTP/2, answer the request.
func (x *exchange) forward2(g *TargetGroup) {
	if g.takesGRPC() {
		if !isGRPC(&x.req) {
			x.answer(statusIncompatible, ReasonIncompatible, "not a gRPC request")
			return
		}
		x.record.Type = accesslog.TypeGRPCS
	}
	c := newCall(x, g)
	if err := c.compose(); err != nil {
		x.refuseBody(err)
		return
	}
	if x.body.pending {
		x.shared = true
	}
	err := x.roundTrip(g, c.try)
	if late := c.settle(); late {
		err = fmt.Errorf("read response: %w", os.ErrDeadlineExceeded)
	}
	now := time.Now()
	if !x.sent.IsZero() {
		x.record.RequestProcessing = since(x.started, x.sent)
	}
	if err != nil {
		c.failure = err
		x.fail(err)
		return
	}
	x.answered()
	x.record.TargetProcessing = since(x.sent, now)
	x.record.TargetStatusCode = x.resp.Status
	if !x.judgeResponse() {
		return
	}
	c.respond(now)
}

// newCall makes x's call. What cuts the exchange off from its target ends it.
func newCall(x *exchange, g *TargetGroup) *call {
	c := &call{x: x, group: g, wide: x.client.widen()}
	c.interims.call, c.interims.idle.L = c, &c.interims.mu
	ctx, cancel := context.WithCancel(context.Background())
	c.ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{Got1xxResponse: c.interims.got})
	c.end = cancel
	x.life.Lock()
	defer x.life.Unlock()
	x.call, x.cancel = c, cancel
	if x.parted {
		cancel()
	}
	return c
}

// try sends the request to t, again if t has not taken it up.
func (c *call) try(t *target) error {
	c.aim(t)
	pool := t.narrow
	if c.wide {
		pool = t.shared
	}
	for n := 1; ; n++ {
		conn, used, err := pool.take(c.ctx)
		if err != nil {
			return err
		}
		c.mu.Lock()
		c.conn = conn
		c.mu.Unlock()
		if err = c.send(conn); err == nil {
			return nil
		}
		if c.res == nil {
			c.leave()
		}
		if n == attempts || c.ctx.Err() != nil || !c.mayRepeat(err, used) {
			return err
		}
	}
}

// leave gives up the call's place on its connection.
func (c *call) leave() {
	c.mu.Lock()
	conn := c.conn
	c.conn = nil
	c.mu.Unlock()
	if conn != nil {
		conn.leave()
	}
}

// send sends the request on conn, and reads the head of its answer into x.resp.
func (c *call) send(conn *sharedConn) error {
	x := c.x
	c.req.Body = nil
	if x.req.Length != 0 {
		c.body = newRequestBody(c)
		c.req.Body = c.body
	}
	x.sent = time.Now()
	conn.beat.expect()
	if x.body.pending {
		x.watchIdle(x.idle.limit)
	} else {
		x.side.watch(x)
		c.awaitAnswer()
	}
	res, err := conn.RoundTrip(c.req)
	if err != nil {
		c.body.shut()
		return err
	}
	c.res = res
	return c.readHead()
}

// mayRepeat says whether a request that failed may be sent again: the target has
// not taken it up, or it cannot have it done twice and its connection was one that
// the target had given up. Of its body nothing may be gone.
func (c *call) mayRepeat(err error, used bool) bool {
	switch {
	case c.res != nil || c.body.begun():
		return false
	case notTaken(err):
		return true
	}
	return used && isStale(err) && c.interims.none() && c.x.repeatable() && c.x.justSent()
}

// notTaken says whether a request failed that its target has not taken up, nor
// will: the target has refused its stream, or said that it is not among those it
// serves before it goes away (RFC 9113, section 8.7), or it was never sent. net/http
// has no names for the latter two, but texts.
func notTaken(err error) bool {
	const refusedStream = 7
	var stream streamError
	if errors.As(err, &stream) {
		return stream.Code == refusedStream
	}
	switch err.Error() {
	case "http2: Transport received Server's graceful shutdown GOAWAY",
		"http2: client conn not usable",
		"http2: client conn could not be established":
		return true
	}
	return false
}

// streamError is what net/http's own turns into: it goes by the fields.
type streamError struct {
	StreamID uint32
	Code     uint32
	Cause    error
}

func (e streamError) Error() string { return fmt.Sprintf("stream %d: code %d", e.StreamID, e.Code) }

// awaitAnswer begins the target's time to answer.
func (c *call) awaitAnswer() {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.settled:
	case c.timer == nil:
		c.timer = time.AfterFunc(c.group.answer, c.tooLate)
	default:
		c.timer.Reset(c.group.answer)
	}
}

// tooLate gives the call up. For all that is known of its connection it may be
// dead: later requests get another.
func (c *call) tooLate() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.settled {
		return
	}
	c.late = true
	if c.conn != nil {
		c.conn.retire()
	}
	c.end()
}

// settle ends the time to answer, and says whether it has run out. It returns once
// the 1xx responses in front of the answer have been passed on.
func (c *call) settle() (late bool) {
	c.mu.Lock()
	c.settled = true
	if c.timer != nil {
		c.timer.Stop()
	}
	late = c.late
	c.mu.Unlock()
	c.interims.close()
	return late
}

// close ends the call. Nothing of what it has started touches the exchange any
// more.
func (c *call) close() {
	c.settle()
	c.head.close()
	c.body.finish()
	c.x.life.Lock()
	c.x.cancel = nil
	c.x.life.Unlock()
	c.end()
	if c.res != nil {
		c.res.Body.Close() // gives the other streams back what it has of the window
	}
	c.leave()
	if c.wide {
		c.x.client.narrow()
	}
	c.x.resp.Fields = nil
}
