package demo

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// echo is the demo's target: it answers with the request as it received it, and
// keeps the last ones for the page.
type echo struct {
	mu       sync.Mutex
	received []received
	count    int
}

// received is a request that the target got.
type received struct {
	Number  int       `json:"number"`
	Time    time.Time `json:"time"`
	Request string    `json:"request"`
	Headers []header  `json:"headers"`
}

type header struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// kept is how many requests the page can show.
const kept = 20

func newEcho() *echo { return &echo{} }

func (e *echo) serve(ctx context.Context, l net.Listener) { serveHTTP(ctx, l, e) }

// serveHTTP serves h on l until ctx is done.
func serveHTTP(ctx context.Context, l net.Listener, h http.Handler) {
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute}
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	server.Serve(l) // ends with ctx
}

func (e *echo) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	got := e.keep(r)
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	fmt.Fprintf(w, "%s\n", got.Request)
	for _, h := range got.Headers {
		fmt.Fprintf(w, "%s: %s\n", h.Name, h.Value)
	}
}

func (e *echo) keep(r *http.Request) received {
	got := received{
		Time:    time.Now(),
		Request: r.Method + " " + r.URL.RequestURI() + " " + r.Proto,
		Headers: []header{{"Host", r.Host}},
	}
	for name, values := range r.Header {
		for _, value := range values {
			got.Headers = append(got.Headers, header{name, value})
		}
	}
	slices.SortStableFunc(got.Headers[1:], func(a, b header) int { return strings.Compare(a.Name, b.Name) })
	e.mu.Lock()
	defer e.mu.Unlock()
	e.count++
	got.Number = e.count
	e.received = append(e.received, got)
	if len(e.received) > kept {
		e.received = slices.Delete(e.received, 0, len(e.received)-kept)
	}
	return got
}

// since returns the kept requests with a number above n, oldest first.
func (e *echo) since(n int) []received {
	e.mu.Lock()
	defer e.mu.Unlock()
	list := []received{}
	for _, got := range e.received {
		if got.Number > n {
			list = append(list, got)
		}
	}
	return list
}
