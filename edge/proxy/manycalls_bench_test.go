package proxy

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sallyport/sallyport/edge/config"
)

// Many requests at once to a target that takes any number of streams, by how many of
// them share a connection; client and target are this process, too.
func BenchmarkManyCalls(b *testing.B) {
	const atOnce = 800
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "ok") }))
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Config.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: 1 << 20}
	s.Start()
	b.Cleanup(s.Close)
	for _, most := range []int32{100, maxCalls, 1000} {
		b.Run(fmt.Sprint(most), func(b *testing.B) {
			g := group2(b, config.HTTP2, nil, s.URL)
			pool := g.targets[0].shared
			pool.most, pool.streams = most, int(most)
			var left atomic.Int64
			left.Store(int64(b.N))
			before := cpu(b)
			b.ResetTimer()
			var clients sync.WaitGroup
			for range atOnce {
				clients.Go(func() {
					for left.Add(-1) >= 0 {
						c, _, err := pool.take(context.Background())
						if err != nil {
							b.Error(err)
							return
						}
						r, _ := http.NewRequest("GET", s.URL, nil)
						res, err := c.RoundTrip(r)
						if err != nil {
							b.Error(err)
							return
						}
						io.Copy(io.Discard, res.Body)
						res.Body.Close()
						c.leave()
					}
				})
			}
			clients.Wait()
			b.ReportMetric(float64((cpu(b)-before).Microseconds())/float64(b.N), "cpu-µs/op")
			b.ReportMetric(float64(len(*pool.conns.Load())), "conns")
		})
	}
}
