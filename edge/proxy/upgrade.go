package proxy

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// tunnel is a connection that was a request until both sides agreed to speak
// WebSocket on it.
type tunnel struct {
	exchange *exchange
	client   net.Conn
	target   io.ReadWriteCloser
}

// upgrade makes the connection a tunnel, if that is what the client asked for.
func (x *exchange) upgrade(resp *http.Response, wanted bool) {
	target, ok := resp.Body.(io.ReadWriteCloser)
	if !wanted || !ok || !strings.EqualFold(resp.Header.Get("Upgrade"), "websocket") {
		resp.Body.Close()
		x.answer(http.StatusBadGateway, ReasonTargetResponse, "switched to a protocol that was not asked for")
		return
	}
	hijacked, buffered, err := http.NewResponseController(x.w).Hijack()
	if err != nil {
		target.Close()
		x.answer(http.StatusBadGateway, ReasonInternal, err.Error())
		return
	}
	early, _ := buffered.Reader.Peek(buffered.Reader.Buffered())
	client, rest := hijacked.(*framedConn).release()
	t := &tunnel{exchange: x, client: client, target: target}
	defer t.close()

	if x.record.Type = "ws"; x.client.TLSVersion != "" {
		x.record.Type = "wss"
	}
	x.record.ResponseProcessing = x.sinceAnswer()
	x.record.ELBStatusCode = resp.StatusCode
	x.idle.tunnel = t.close
	x.watch(x.idle.limit)
	if err := t.begin(resp.Header); err != nil {
		x.record.ErrorReason = ReasonClientClosed
		return
	}
	t.run(append(append([]byte(nil), early...), rest...))
	if x.idle.who() != nobodyIdle {
		x.record.ErrorReason = ReasonIdle
	}
}

// begin sends the client the 101, as the target has sent it.
func (t *tunnel) begin(h http.Header) error {
	removeHopByHop(h)
	h["Connection"], h["Upgrade"] = valueUpgrade, valueWebSocket
	var head bytes.Buffer
	head.WriteString("HTTP/1.1 101 Switching Protocols\r\n")
	if err := h.Write(&head); err != nil {
		return err
	}
	head.WriteString("\r\n")
	n, err := t.client.Write(head.Bytes())
	t.exchange.record.SentBytes += int64(n)
	return err
}

// run carries bytes both ways until both ways have ended. A side that has said
// its last may still listen.
func (t *tunnel) run(early []byte) {
	var received, sent int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		if len(early) > 0 {
			n, err := t.target.Write(early)
			if received = int64(n); err != nil {
				t.close()
				return
			}
		}
		received += t.carry(t.target, t.client)
	}()
	sent = t.carry(t.client, t.target)
	<-done
	t.exchange.record.ReceivedBytes += received
	t.exchange.record.SentBytes += sent
}

// carry copies from one side to the other. It takes a large buffer only for as
// long as there is much to carry: most WebSockets are idle most of the time.
func (t *tunnel) carry(to io.Writer, from io.Reader) (total int64) {
	var small [1 << 10]byte
	var large *[32 << 10]byte
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
			large = buffers.Get().(*[32 << 10]byte)
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
