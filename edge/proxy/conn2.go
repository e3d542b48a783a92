package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/edge/http1"
)

// http2Limits bound what one HTTP/2 connection may take up: streams at once, and
// bytes received that no target has taken yet. net/http itself ends a connection
// that goes on with CONTINUATION frames beyond the largest head, that has more
// streams reset than it has handlers to end for them, or that does not read the
// answers to 10,000 PINGs; tally ends one whose streams do end, but for nothing;
// frugalConn one that goes on with frames that are for nothing.
var http2Limits = http.HTTP2Config{
	MaxConcurrentStreams:          128,
	MaxReadFrameSize:              16 << 10,
	MaxReceiveBufferPerStream:     128 << 10,
	MaxReceiveBufferPerConnection: 512 << 10,
}

// onlyHTTP2: as far as net/http knows, what is below it is not TLS. It would want
// the *tls.Conn itself then, and frugalConn is in front of that.
var onlyHTTP2 = func() *http.Protocols {
	p := new(http.Protocols)
	p.SetUnencryptedHTTP2(true)
	return p
}()

// maxRequests is how many requests a connection of HTTP/2 gets, as ALB has it:
// beyond them it is to go away, and takes no more.
const maxRequests = 10000

// serveHTTP2 serves HTTP/2.
func (s *Server) serveHTTP2(c *client) {
	if _, ok := c.Conn.Conn.(*tls.Conn); !ok {
		s.log.Error("HTTP/2 on a connection that is not TLS", "conn_trace_id", c.TraceID)
		c.Conn.Conn.Close()
		return
	}
	c.frugal = newFrugalConn(c.Conn.Conn, c.flooding)
	e := conn2{conn: c.frugal, over: make(chan struct{})}
	e.serve(c)
}

// conn2 is net/http's server on one connection: a server each, because that is
// what net/http can end gracefully.
type conn2 struct {
	conn   net.Conn
	server http.Server
	over   chan struct{}
	end    sync.Once
	served atomic.Int64 // requests

	mu       sync.Mutex
	active   bool // the client's preface was read
	lastOne  bool // the request that comes first is to be the last
	accepted bool
}

func (e *conn2) serve(c *client) {
	timeouts := c.timeouts(c.Listener())
	limits := http2Limits
	limits.WriteByteTimeout = timeouts.Idle.Std()
	e.server = http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if n := e.served.Add(1); n == maxRequests || n == 1 && e.isLastOne() {
				e.drain()
			}
			c.serveStream(w, r)
		}),
		ErrorLog:                     c.server.protocol,
		ReadHeaderTimeout:            timeouts.RequestHead.Std(),
		IdleTimeout:                  timeouts.Idle.Std(),
		MaxHeaderBytes:               http1.MaxHead,
		DisableGeneralOptionsHandler: true,
		ConnState:                    e.state,
		Protocols:                    onlyHTTP2,
		HTTP2:                        &limits,
	}
	if e.server.Serve(e); !e.accepted {
		e.conn.Close()
		return
	}
	c.onEnd(func(how leave) {
		if how == afterNext && e.waitsForFirst() {
			return
		}
		go e.drain() // which may wait for net/http
	})
	<-e.over
	c.onEnd(nil)
}

// drain takes no more requests.
func (e *conn2) drain() {
	e.mu.Lock()
	active := e.active
	e.mu.Unlock()
	if !active {
		// net/http would wait for ever if the client has not yet made itself known.
		e.conn.Close()
		return
	}
	// Shutdown says what there is to say before it begins to wait; the waiting,
	// which is by polling, is not needed.
	done, cancel := context.WithCancel(context.Background())
	cancel()
	e.server.Shutdown(done)
}

// waitsForFirst says whether no request has come yet, and makes the first one the
// last.
func (e *conn2) waitsForFirst() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.lastOne = true
	return e.served.Load() == 0
}

func (e *conn2) isLastOne() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.lastOne
}

// state follows the connection: net/http calls it.
func (e *conn2) state(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateActive:
		e.mu.Lock()
		e.active = true
		e.mu.Unlock()
	case http.StateClosed, http.StateHijacked:
		e.end.Do(func() { close(e.over) })
	}
}

// Accept makes conn2 a listener of one connection.
func (e *conn2) Accept() (net.Conn, error) {
	if e.accepted {
		return nil, io.EOF
	}
	e.accepted = true
	return e.conn, nil
}

func (e *conn2) Close() error   { return nil }
func (e *conn2) Addr() net.Addr { return e.conn.LocalAddr() }

// serveStream serves one request of HTTP/2.
func (c *client) serveStream(w http.ResponseWriter, r *http.Request) {
	c.frugal.request()
	if !c.begin() {
		panic(http.ErrAbortHandler)
	}
	defer c.end()
	x := newExchange(c)
	x.started = time.Now()
	s := &stream2{exchange: x, w: w, r: r}
	x.side = s
	s.fill(&x.req)
	stop := context.AfterFunc(r.Context(), x.clientGone)
	x.run()
	// What net/http or a timer may still know of is not used again.
	answered := stop()
	if answered || !x.idle.answered.Load() {
		c.tally(answered)
	} // else the client has seen its answer begin, and may have had enough of it: a watch
	x.shared = !answered || x.shared || x.idle.timer != nil || x.body.done != nil
	s.life.Lock()
	s.over = true
	s.life.Unlock()
	// net/http sends what it still has of the response.
	http.NewResponseController(w).SetWriteDeadline(time.Now().Add(x.idle.limit))
	if x.aborted {
		panic(http.ErrAbortHandler) // net/http's way to cut a response short
	}
	clear(x.req.Fields) // they are net/http's
	x.release()
}

// maxAbandoned is how many streams a client may abandon before it has others
// answered.
const maxAbandoned = 100

// tally counts a stream that is over. A client that abandons more streams than it
// has answered, by resetting them or by making the server do so, is served no
// longer: each costs the edge and its targets a request, and the client next to
// nothing.
func (c *client) tally(answered bool) {
	c.mu.Lock()
	if answered {
		c.abandoned = max(0, c.abandoned-1)
	} else {
		c.abandoned++
	}
	flood := c.abandoned > maxAbandoned
	c.mu.Unlock()
	if flood {
		c.frugal.cut(causeStreams)
	}
}

// flooding notes that the client is cut off, before anything of it shows.
func (c *client) flooding(cause string) {
	c.flooded.Store(true)
	c.server.log.Debug("client cut off for a flood of HTTP/2", "conn_trace_id", c.TraceID, "client", c.Client, "cause", cause)
	if c.Flooded != nil {
		c.Flooded(cause)
	}
}

// stream2 is a stream of HTTP/2, as a side to an exchange.
type stream2 struct {
	exchange *exchange
	w        http.ResponseWriter
	r        *http.Request
	ended    []http1.Field // the request's trailers
	open     bool          // the response's end is not announced

	life sync.Mutex // held while a cut acts on w
	over bool
}

// fill makes the request of net/http's, whose strings it shares.
func (s *stream2) fill(req *http1.Request) {
	r := s.r
	req.Method, req.Major, req.Minor, req.Host = r.Method, 2, 0, r.Host
	req.Length, req.Scheme, req.Encode = r.ContentLength, "", false
	req.Fields = req.Fields[:0]
	size := len(r.Method) + len(r.RequestURI) + len("HTTP/2.0\r\n\r\n") + 2 + len("Host: \r\n") + len(r.Host)
	req.Finding = req.SetTarget(r.RequestURI)
	if req.Scheme != "" {
		// A path that is none: the authority is not for it to say.
		req.Finding = http1.Malformed("BadUri")
	}
	if len(r.Method)+len(r.RequestURI)+len("  HTTP/1.1") > http1.MaxLine {
		req.Finding = http1.Malformed(http1.ReasonTargetTooLarge)
	}
	for name, values := range r.Header {
		kind := http1.KindOf(name)
		for _, value := range values {
			if len(name)+len(": ")+len(value) > http1.MaxLine || len(req.Fields) == http1.MaxFields {
				req.Finding = http1.Malformed(http1.ReasonHeadTooLarge)
				continue
			}
			size += len(name) + len(": \r\n") + len(value)
			// HTTP/2 can say the host twice (RFC 9113, section 8.3.1).
			if kind == http1.Host && value != r.Host || len(values) > 1 && kind == http1.Host {
				req.Finding = http1.Malformed("BadHeader")
			}
			req.Fields = append(req.Fields, http1.Field{Name: name, Value: value, Kind: kind})
		}
	}
	if len(r.Trailer) > 0 {
		for name := range r.Trailer {
			req.Fields = append(req.Fields, http1.Field{Name: "Trailer", Value: name, Kind: http1.Trailer})
		}
		if req.Length > 0 {
			req.Length = http1.Unknown // trailers need chunks
		}
	}
	if r.Body == http.NoBody {
		req.Length = 0
	}
	req.JudgeFramed()
	s.exchange.record.ReceivedBytes = int64(size)
}

func (s *stream2) buffered() ([]byte, bool, error) { return nil, false, nil }

func (s *stream2) read(p []byte) (int, error) {
	n, err := s.r.Body.Read(p)
	if err == io.EOF {
		for name, values := range s.r.Trailer {
			for _, value := range values {
				s.ended = append(s.ended, http1.Field{Name: name, Value: value})
			}
		}
	}
	return n, err
}

func (s *stream2) trailers() []http1.Field { return s.ended }

// proceed has nothing to do: net/http sends 100 Continue once the body is read.
func (s *stream2) proceed() error { return nil }

func (s *stream2) interim(r *http1.Response) error {
	h := s.w.Header()
	s.setHeader(r)
	s.w.WriteHeader(r.Status)
	clear(h)
	return nil
}

// setHeader copies the fields: net/http keeps them for longer than they last.
func (s *stream2) setHeader(r *http1.Response) {
	h := s.w.Header()
	clear(h)
	for i := range r.Fields {
		f := &r.Fields[i]
		if f.Kind == http1.Trailer || !f.Kind.HopByHop() && !listed(r.Fields, f.Name) {
			name := http.CanonicalHeaderKey(strings.Clone(f.Name))
			h[name] = append(h[name], strings.Clone(f.Value))
		}
	}
}

func (s *stream2) begin(r *http1.Response, length int64) (int, error) {
	s.setHeader(r)
	h := s.w.Header()
	s.open = length == http1.Unknown
	if length >= 0 {
		h["Content-Length"] = []string{strconv.FormatInt(length, 10)}
	}
	if _, ok := h["Content-Type"]; !ok {
		h["Content-Type"] = nil // nil, or net/http guesses one
	}
	size := len("HTTP/1.1 200 \r\n\r\n") + len(http.StatusText(r.Status))
	for name, values := range h {
		for _, value := range values {
			size += len(name) + len(": \r\n") + len(value)
		}
	}
	s.w.WriteHeader(r.Status)
	return size, nil
}

func (s *stream2) write(p []byte) error {
	_, err := s.w.Write(p)
	return err
}

// flusher is what net/http's response writers are.
type flusher interface{ FlushError() error }

func (s *stream2) flush() error { return s.w.(flusher).FlushError() }

// end passes trailers on under net/http's name for those that come late.
func (s *stream2) end(trailers []http1.Field) error {
	if len(trailers) == 0 && !s.open {
		return nil
	}
	h := s.w.Header()
	for i := range trailers {
		if f := &trailers[i]; mayTrail(f.Name) {
			name := http.TrailerPrefix + http.CanonicalHeaderKey(strings.Clone(f.Name))
			h[name] = append(h[name], strings.Clone(f.Value))
		}
	}
	// Or a short body is sent with its length, and without trailers.
	if err := s.flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	return nil
}

// watch has nothing to do: net/http ends the request's context.
func (s *stream2) watch(*exchange) {}

// hurry interrupts the reading: net/http sees to the rest.
func (s *stream2) hurry() { s.cutRead() }

func (s *stream2) cutRead() {
	s.act(func(rc *http.ResponseController) { rc.SetReadDeadline(time.Now().Add(-time.Second)) })
}

func (s *stream2) cutWrite() {
	s.act(func(rc *http.ResponseController) { rc.SetWriteDeadline(time.Now().Add(-time.Second)) })
}

// act does something to the response, which is gone once the handler has
// returned.
func (s *stream2) act(do func(*http.ResponseController)) {
	s.life.Lock()
	defer s.life.Unlock()
	if !s.over {
		do(http.NewResponseController(s.w))
	}
}
