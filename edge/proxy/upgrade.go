package proxy

import (
	"io"
	"net"
	"net/http"
	"time"

	"github.com/sallyport/sallyport/edge/http1"
)

// tunnel is a connection that was a request until both sides agreed to speak
// WebSocket on it.
type tunnel struct {
	exchange *exchange
	client   net.Conn
	target   *targetConn
}

// upgrade makes the connection a tunnel, if that is what the client asked for; m
// holds what the target has said behind its head.
func (x *exchange) upgrade(m *message, wanted bool) {
	c, ok := x.side.(*conn1)
	if !wanted || !ok || !switches(x.resp.Fields) {
		x.dropTarget()
		x.answer(http.StatusBadGateway, ReasonTargetResponse, "switched to a protocol that was not asked for")
		return
	}
	x.shared = true
	t := &tunnel{exchange: x, client: c.Conn.Conn, target: x.target}
	defer t.close()
	early := c.release()
	x.setDeadline(t.target, time.Time{})
	if x.isGone() {
		x.record.ELBStatusCode, x.record.ErrorReason, x.aborted = statusClientClosed, x.client.gone(), true
		return
	}
	if x.record.Type = "ws"; x.client.TLSVersion != "" {
		x.record.Type = "wss"
	}
	x.record.ResponseProcessing = 0
	x.record.ELBStatusCode = x.resp.Status
	x.idle.tunnel = t.close
	x.watchIdle(x.idle.limit)
	x.editResponse()
	x.judgedAnswer()
	if err := t.begin(&x.resp); err != nil {
		x.record.ErrorReason = x.client.gone()
		return
	}
	t.run(early, m.rest())
	if x.idle.who() != nobodyIdle {
		x.record.ErrorReason = ReasonIdle
	}
}

// switches says whether a 101 is to WebSocket and nothing else.
func switches(fields []http1.Field) bool {
	n, webSocket := 0, false
	for i := range fields {
		if fields[i].Kind == http1.Upgrade {
			n++
			webSocket = http1.EqualFold(fields[i].Value, "websocket")
		}
	}
	return n == 1 && webSocket
}

// release hands the connection over to one that reads no HTTP, and returns what
// was read beyond the request.
func (c *conn1) release() (early []byte) {
	c.watching.stop()
	c.sending.reset()
	c.Conn.Conn.SetDeadline(time.Time{})
	if c.ahead {
		c.ahead = false
		early = append(early, c.first[0])
	}
	early = append(early, c.x.in[c.r:c.w]...)
	c.r = c.w
	return early
}

// begin sends the client the 101, as the target has sent it.
func (t *tunnel) begin(r *http1.Response) error {
	out := appendResponseFields(appendStatus(nil, r), r)
	out = append(out, "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"...)
	n, err := t.client.Write(out)
	t.exchange.record.SentBytes += int64(n)
	return err
}

// run carries bytes both ways until both ways have ended. A side that has said
// its last may still listen.
func (t *tunnel) run(fromClient, fromTarget []byte) {
	var received, sent int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		received = t.carry(t.target, t.client, fromClient)
	}()
	sent = t.carry(t.client, t.target, fromTarget)
	<-done
	t.exchange.received.Add(received)
	t.exchange.record.SentBytes += sent
}

// carry copies from one side to the other, what is early first. It takes a large
// buffer only for as long as there is much to carry: most WebSockets are idle
// most of the time.
func (t *tunnel) carry(to io.Writer, from io.Reader, early []byte) (total int64) {
	if len(early) > 0 {
		n, err := to.Write(early)
		if total = int64(n); err != nil {
			t.close()
			return total
		}
	}
	var small [1 << 10]byte
	var large *buffer
	for {
		buf := small[:]
		if large != nil {
			buf = large[:]
		}
		n, err := from.Read(buf)
		t.exchange.moved()
		if n > 0 {
			m, werr := to.Write(buf[:n])
			t.exchange.moved()
			if total += int64(m); werr != nil {
				err = werr
			}
		}
		switch full := n == len(buf); {
		case full && large == nil:
			large = buffers.Get().(*buffer)
		case large != nil && (n <= len(small) || err != nil):
			buffers.Put(large)
			large = nil
		}
		if err == io.EOF {
			if cw, ok := to.(closeWriter); ok && cw.CloseWrite() == nil {
				return total
			}
		}
		if err != nil {
			t.close()
			return total
		}
	}
}

// close ends both ways. Any goroutine may call it, more than once.
func (t *tunnel) close() {
	t.client.SetDeadline(time.Now())
	t.client.Close()
	t.target.Close()
}
