package proxy

import (
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/sallyport/sallyport/edge/config"
)

// A request to a target that speaks HTTP/2, from a keep-alive client of HTTP/1.1
// and from one of HTTP/2. The direct way is the target's and net/http's client's
// share; HTTP/1.1 to a plain target stands beside in BenchmarkKeepAlive.
func BenchmarkTarget2(b *testing.B) {
	target := func(b *testing.B) string {
		return frameTarget(b, func(_ int, f *frames) {
			f.conn.SetDeadline(time.Time{})
			f.SetReuseFrames()
			for r := f.request(); r != nil; r = f.request() {
				f.head(r.StreamID, false, ":status", "200", "content-type", "text/plain", "content-length", "2")
				f.WriteData(r.StreamID, true, []byte("ok"))
			}
		})
	}
	serve := func(b *testing.B, secure bool) *edge {
		l := newListener(secure)
		l.Action = Action{group: group2(b, config.HTTP2, nil, target(b))}
		l.Action.group.hold = holdBack
		e := startEdge(b, l)
		e.records = nil
		return e
	}
	b.Run("http", func(b *testing.B) { benchAsk(b, serve(b, false).dial("http/1.1")) })
	b.Run("https", func(b *testing.B) { benchAsk(b, serve(b, true).dial("http/1.1")) })
	get := func(b *testing.B, client *http.Client, url string) {
		before := cpu(b)
		b.ReportAllocs()
		for b.Loop() {
			resp, err := client.Get(url)
			if err != nil {
				b.Fatal(err)
			}
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
		b.ReportMetric(float64((cpu(b)-before).Microseconds())/float64(b.N), "cpu-µs/op")
	}
	b.Run("h2", func(b *testing.B) {
		e := serve(b, true)
		get(b, e.client(true), e.url("/"))
	})
	b.Run("direct", func(b *testing.B) {
		url := target(b) // it ends when its client has
		protocols := new(http.Protocols)
		protocols.SetUnencryptedHTTP2(true)
		transport := &http.Transport{Protocols: protocols}
		b.Cleanup(transport.CloseIdleConnections)
		get(b, &http.Client{Transport: transport}, url)
	})
}
