package proxy

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"sync/atomic"
	"time"
)

// forward has a target of g answer the request.
func (x *exchange) forward(g *TargetGroup) {
	webSocket := wantsWebSocket(x.r)
	out, sent := x.outgoing(webSocket)
	resp, err := x.roundTrip(g, out)

	x.mu.Lock()
	// From here on a late 1xx has no place in the response.
	x.interim = maxInterim
	x.mu.Unlock()

	if at := sent.at.Load(); at > 0 {
		x.record.RequestProcessing = time.Duration(at)
	}
	if err != nil {
		x.fail(err)
		return
	}
	x.idle.answered.Store(true)
	x.moved()
	if at := sent.at.Load(); at > 0 {
		x.record.TargetProcessing = time.Since(x.started) - time.Duration(at)
	}
	x.record.TargetStatusCode = resp.StatusCode
	switch {
	case resp.StatusCode == http.StatusSwitchingProtocols:
		x.upgrade(resp, webSocket)
	case resp.StatusCode < 200 || resp.StatusCode > 999:
		resp.Body.Close()
		x.answer(http.StatusBadGateway, ReasonTargetResponse, "status code")
	default:
		x.respond(resp)
	}
}

// outgoing makes the target's request out of the client's, whose header it takes
// over.
func (x *exchange) outgoing(webSocket bool) (*http.Request, *tracer) {
	r := x.r
	ctx, cancel := context.WithCancel(r.Context())
	x.cancel = cancel
	t := &tracer{exchange: x}
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		WroteHeaders:   t.wroteHeaders,
		Got1xxResponse: t.got1xx,
	})
	x.record.TraceID = rewrite(r.Header, x.prepared, webSocket, x.started)

	out := r.WithContext(ctx)
	x.url = *r.URL
	x.url.User, x.url.Fragment, x.url.RawFragment = nil, "", ""
	out.URL = &x.url
	out.RequestURI = ""
	if out.Host == "" {
		// HTTP/1.0, or HTTP/2 without :authority: net/http would send the target's
		// own address. What the client does name is the address it called.
		out.Host = x.client.Server.String()
	}
	out.Close = false
	out.TransferEncoding = nil
	out.Trailer = nil
	if r.ContentLength == 0 || r.Body == http.NoBody {
		out.Body = nil
		return out, t
	}
	x.body.source, x.body.strip = r.Body, x.listener.Strip
	x.body.exchange = x
	out.Body = &x.body
	out.GetBody = x.body.again
	if r.ContentLength < 0 || len(r.Trailer) > 0 {
		out.ContentLength = -1 // trailers need chunks
		x.body.trailer = make(http.Header)
		for name := range r.Trailer {
			if mayTrail(name, x.listener.Strip) {
				x.body.trailer[name] = nil
			}
		}
		out.Trailer = x.body.trailer
	}
	// Or net/http reads the body away before it sends the response.
	http.NewResponseController(x.w).EnableFullDuplex()
	x.watch(x.idle.limit)
	return out, t
}

// roundTrip tries the group's targets in turn, as long as nothing of the request
// was sent.
func (x *exchange) roundTrip(g *TargetGroup, out *http.Request) (*http.Response, error) {
	first := g.next.Add(1) - 1
	var err error
	for i := range g.targets {
		t := g.targets[(int(first%uint32(len(g.targets)))+i)%len(g.targets)]
		x.url.Scheme, x.url.Host = t.scheme, t.host
		x.record.Target = t.host
		var resp *http.Response
		if resp, err = g.transport.RoundTrip(out); err == nil {
			return resp, nil
		}
		var unreached *connectError
		if !errors.As(err, &unreached) || out.Context().Err() != nil {
			break
		}
	}
	return nil, err
}

// fail answers for a target that gave no response, or ends the exchange if there
// is no client to answer.
func (x *exchange) fail(err error) {
	if x.idle.who() == clientIdle {
		x.answer(http.StatusRequestTimeout, ReasonClientIdle, "")
		return
	}
	bodyErr := x.body.failed()
	if wrong := x.client.malformed(bodyErr); wrong != nil {
		x.record.ClassificationReason = wrong.reason
		x.answer(http.StatusBadRequest, ReasonMalformedRequest, wrong.Error())
		return
	}
	if x.r.Context().Err() != nil || bodyErr != nil || x.idle.who() == clientDeaf {
		x.record.ELBStatusCode = statusClientClosed
		x.record.ErrorReason = ReasonClientClosed
		x.aborted = true
		return
	}
	var unreached *connectError
	var timeout net.Error
	switch {
	case errors.As(err, &unreached):
		if unreached.slow() {
			x.answer(http.StatusGatewayTimeout, ReasonTargetConnectSlow, err.Error())
		} else {
			x.answer(http.StatusBadGateway, ReasonTargetConnect, err.Error())
		}
	case x.idle.who() == targetIdle, errors.As(err, &timeout) && timeout.Timeout():
		x.answer(http.StatusGatewayTimeout, ReasonTargetResponseSlow, err.Error())
	default:
		x.answer(http.StatusBadGateway, ReasonTargetResponse, err.Error())
	}
}

// malformed returns what was wrong with a body that could not be read, nil if it
// was something else. net/http does not always pass the error on.
func (c *client) malformed(bodyErr error) *framingError {
	if bodyErr == nil || c.framed == nil {
		return nil
	}
	return c.framed.wrong
}

// maxInterim is how many 1xx responses a target may send before the real one.
const maxInterim = 16

// tracer hears from net/http about a request on its way.
type tracer struct {
	exchange *exchange
	at       atomic.Int64 // when the head was sent
}

func (t *tracer) wroteHeaders() { t.at.Store(int64(time.Since(t.exchange.started))) }

// got1xx passes a target's 1xx response on. A 100 is not: the client gets one
// when its body is asked for.
func (t *tracer) got1xx(code int, header textproto.MIMEHeader) error {
	x := t.exchange
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.interim >= maxInterim {
		return errors.New("read response: too many 1xx responses")
	}
	x.interim++
	if code == http.StatusContinue || !x.r.ProtoAtLeast(1, 1) || x.over || x.headSent {
		return nil
	}
	h := x.w.Header()
	removeHopByHop(http.Header(header))
	for name, values := range header {
		h[name] = values
	}
	x.idle.writing.Store(true)
	x.moved()
	x.w.WriteHeader(code)
	x.idle.writing.Store(false)
	clear(h)
	return nil
}
