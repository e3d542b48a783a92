package proxy

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sallyport/sallyport/edge/config"
)

// A target that sets no limit of streams gets so many on a connection and no more, and
// who finds all connections taken has a place as soon as one is left.
func TestMaxCalls(t *testing.T) {
	for _, test := range []struct {
		name          string
		most          int32
		requests, fit int // of the requests, how many are there at once
	}{
		{"as it is", maxCalls, 2*maxCalls + 20, 2*maxCalls + 20},
		{"beyond all connections", 2, 2*maxSharedConns + 40, 2 * maxSharedConns},
	} {
		t.Run(test.name, func(t *testing.T) {
			var conns atomic.Int32
			arrived, proceed := make(chan struct{}, test.requests), make(chan struct{})
			target := frameTarget(t, func(_ int, f *frames) {
				conns.Add(1)
				var streams []uint32
				var mu sync.Mutex
				released := false
				done := make(chan struct{})
				go func() {
					defer close(done)
					<-proceed
					mu.Lock()
					defer mu.Unlock()
					released = true
					for _, s := range streams {
						f.head(s, true, ":status", "200")
					}
				}()
				defer func() { <-done }()
				for r := f.request(); r != nil; r = f.request() {
					mu.Lock()
					if released {
						f.head(r.StreamID, true, ":status", "200")
					} else if streams = append(streams, r.StreamID); len(streams) > int(test.most) {
						t.Errorf("%d streams on a connection", len(streams))
					}
					mu.Unlock()
					arrived <- struct{}{}
				}
			})
			pool := group2(t, config.HTTP2, nil, target).targets[0].shared
			pool.most = test.most
			var clients sync.WaitGroup
			for range test.requests {
				clients.Go(func() {
					c, _, err := pool.take(context.Background())
					if err != nil {
						t.Error(err)
						return
					}
					defer c.leave()
					r, _ := http.NewRequest("GET", target, nil)
					res, err := c.RoundTrip(r)
					if err != nil {
						t.Error(err)
						return
					}
					res.Body.Close()
				})
			}
			for range test.fit {
				receive(t, arrived, "request")
			}
			close(proceed)
			clients.Wait()
			if n := int(conns.Load()); n > maxSharedConns || n*int(test.most) < test.fit {
				t.Errorf("%d connections", n)
			}
		})
	}
}
