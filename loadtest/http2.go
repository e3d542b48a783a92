package loadtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"time"

	"golang.org/x/net/http2"
)

//lint:file-ignore SA1019 net/http takes no TLS connection of another library

// http2Transport makes connections; none of its own dialling is used. Requests
// above what the server takes at once wait for their turn.
var http2Transport = &http2.Transport{DisableCompression: true, StrictMaxConcurrentStreams: true}

// http2Conn is a connection of HTTP/2, safe for concurrent use.
type http2Conn struct {
	conn   *watched
	client *http2.ClientConn
}

// watched remembers how reading came to its end: the library reports whatever it
// noticed first, and the server's alert is what has to be known.
type watched struct {
	secured
	once sync.Once
	over chan struct{} // closed when a read has failed, or nothing reads any more
	err  error         // why; to be read after that
}

func (w *watched) Read(b []byte) (int, error) {
	n, err := w.secured.Read(b)
	if err != nil {
		w.end(err)
	}
	return n, err
}

// Write reads to the end where it fails because the server has gone: the library
// then closes at once, and the alert that says why would be lost.
func (w *watched) Write(b []byte) (int, error) {
	n, err := w.secured.Write(b)
	if errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) {
		for rest := make([]byte, 1<<10); ; {
			if _, err := w.Read(rest); err != nil {
				break
			}
		}
	}
	return n, err
}

// Close is also what the library does when it has had enough.
func (w *watched) Close() error {
	w.end(net.ErrClosed)
	return w.secured.Close()
}

func (w *watched) end(err error) {
	w.once.Do(func() {
		w.err = err
		close(w.over)
	})
}

// alert is the server's alert, if it sent one.
func (w *watched) alert() error {
	select {
	case <-w.over:
		if isAlert(w.err) {
			return w.err
		}
	default:
	}
	return nil
}

func newHTTP2Conn(c secured) (*http2Conn, error) {
	w := &watched{secured: c, over: make(chan struct{})}
	client, err := http2Transport.NewClientConn(w)
	if err != nil {
		// The preface could not be sent.
		if alert := w.alert(); alert != nil {
			err = alert
		}
		return nil, err
	}
	return &http2Conn{conn: w, client: client}, nil
}

func (c *http2Conn) exchange(ctx context.Context, deadline time.Time, r *request, o *outcome) bool {
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	o.sent = time.Now()
	o.err = c.roundTrip(ctx, r, o)
	o.ended = time.Now()
	if o.err != nil {
		o.err = c.explain(o.err)
	}
	return !c.broken()
}

func (c *http2Conn) roundTrip(ctx context.Context, r *request, o *outcome) error {
	req := r.template.WithContext(ctx)
	if r.body > 0 {
		body := newFillerReader(r.body)
		req.Body = body
		defer func() { o.out = body.taken() }()
	}
	res, err := c.client.RoundTrip(req)
	if err != nil {
		return err
	}
	o.first = time.Now()
	o.status = res.StatusCode
	o.in, err = io.Copy(io.Discard, res.Body)
	if closeErr := res.Body.Close(); err == nil {
		err = closeErr
	}
	if errors.Is(err, io.ErrUnexpectedEOF) || err == nil && res.ContentLength > o.in && r.method != "HEAD" {
		return faultf("short body", "%d bytes of a body of %d", o.in, res.ContentLength)
	}
	return err
}

// explain prefers what the server said, and how the connection ended, to what the
// library made of it.
func (c *http2Conn) explain(err error) error {
	if alert := c.conn.alert(); alert != nil {
		return fmt.Errorf("%w (%v)", alert, err)
	}
	select {
	case <-c.conn.over:
		// Such as that it cannot use a connection, which is no error of HTTP/2.
		if kind, _ := kindOf(err, false); kind == "http2 error" && !errors.Is(c.conn.err, net.ErrClosed) {
			return fmt.Errorf("%w (%v)", c.conn.err, err)
		}
	default:
	}
	return err
}

// broken says that no new request can be sent.
func (c *http2Conn) broken() bool {
	s := c.client.State()
	return s.Closed || s.Closing
}

// close returns when the library has read its last: two reads exclude each
// other, and after Close none waits.
func (c *http2Conn) close() {
	c.client.Close()
	var b [1]byte
	c.conn.Read(b[:])
}
