package admin

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"
)

// countedListener knows which of the connections that it has accepted have not
// made a request yet. From when http.Server.Shutdown is called, net/http answers no
// request that comes on such a connection: whoever came a moment before would find
// it closed, although another process has the socket by then.
type countedListener struct {
	net.Listener

	mu        sync.Mutex
	fresh     int // connections without a request
	accepting int // calls of Accept
}

func (l *countedListener) Accept() (net.Conn, error) {
	l.count(0, 1)
	conn, err := l.Listener.Accept()
	if err != nil {
		l.count(0, -1)
		return nil, err
	}
	l.count(1, -1)
	return &countedConn{Conn: conn, from: l}, nil
}

func (l *countedListener) count(fresh, accepting int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fresh += fresh
	l.accepting += accepting
}

// settle returns when every connection has made a request or is closed, or when
// patience is over. The listener must be closed.
func (l *countedListener) settle(patience time.Duration) {
	over := time.NewTimer(patience)
	defer over.Stop()
	again := time.NewTicker(2 * time.Millisecond)
	defer again.Stop()
	for {
		l.mu.Lock()
		left := l.fresh + l.accepting
		l.mu.Unlock()
		if left == 0 {
			return
		}
		select {
		case <-over.C:
			return
		case <-again.C:
		}
	}
}

type countedConn struct {
	net.Conn
	from *countedListener
	once sync.Once
}

func (c *countedConn) known() { c.once.Do(func() { c.from.count(-1, 0) }) }

func (c *countedConn) Close() error {
	defer c.known()
	return c.Conn.Close()
}

type connKey struct{}

// withConn puts a connection where noteRequest finds it.
func withConn(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, conn)
}

// noteRequest tells a connection's listener that it has made a request.
func noteRequest(handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if conn, ok := r.Context().Value(connKey{}).(*countedConn); ok {
			conn.known()
		}
		handler.ServeHTTP(w, r)
	})
}
