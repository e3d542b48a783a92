package loadtest

import (
	"bufio"
	"crypto/tls"
	"net/netip"
	"net/url"
	"testing"
	"time"
)

// BenchmarkUnit is one unit over a real connection, with what its server costs,
// which is in this process and as bare as can be.
func BenchmarkUnit(b *testing.B) {
	cfg := tlsConfig(func(c *tls.Config) { c.NextProtos = []string{"http/1.1"} })
	l := listen(b)
	over := make(chan struct{})
	go func() {
		defer close(over)
		for {
			raw, err := l.Accept()
			if err != nil {
				return
			}
			conn := tls.Server(raw, cfg)
			in := bufio.NewReader(conn)
			answer := []byte("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
			for skipRequest(in) == nil {
				conn.Write(answer)
			}
			raw.Close()
		}
	}()
	b.Cleanup(func() {
		l.Close()
		<-over
	})
	u, err := url.Parse(targetOf(l))
	if err != nil {
		b.Fatal(err)
	}
	for _, c := range []struct {
		name     string
		scenario Scenario
	}{{"keep-alive", Request}, {"handshake", Handshake}, {"resume", Resume}} {
		b.Run(c.name, func(b *testing.B) {
			p := planFor(u.String(), c.scenario)
			p.Connections = 1
			p = p.withDefaults()
			e, err := newEngine(b.Context(), p, netip.MustParseAddrPort(u.Host))
			if err != nil {
				b.Fatal(err)
			}
			defer e.end()
			e.prepare()
			w := e.workers[0]
			w.shard = newRecorder(&p, 1).shard(0)
			b.ReportAllocs()
			for b.Loop() {
				w.unit(time.Now())
				w.shard.record(&p, w.outcome.begun, &w.outcome)
			}
			if w.shard.units.Failed+w.shard.units.Refused > 0 {
				b.Fatalf("%+v", w.shard.errors)
			}
		})
	}
}

// BenchmarkResponse is the parser alone.
func BenchmarkResponse(b *testing.B) {
	for name, answer := range map[string]string{
		"length":  "HTTP/1.1 200 OK\r\nServer: sallyport\r\nDate: Sat, 01 Nov 2025 10:00:00 GMT\r\nContent-Type: text/plain\r\nContent-Length: 12\r\n\r\nHello, world",
		"chunked": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nC\r\nHello, world\r\n0\r\n\r\n",
	} {
		b.Run(name, func(b *testing.B) {
			src := &canned{answer: []byte(answer)}
			var r responseReader
			r.reset(src)
			b.SetBytes(int64(len(answer)))
			b.ReportAllocs()
			for b.Loop() {
				src.pending = 1
				if res, err := r.read(false); err != nil || res.body != 12 {
					b.Fatal(res, err)
				}
			}
		})
	}
}

// BenchmarkRecord is what it costs to take in a unit that is done.
func BenchmarkRecord(b *testing.B) {
	p := Plan{Target: "https://127.0.0.1/", Scenario: Request}.withDefaults()
	s := newRecorder(&p, 1).shard(0)
	now := time.Now()
	o := outcome{begun: now, sent: now, first: now.Add(time.Millisecond), ended: now.Add(time.Millisecond), status: 200}
	b.ReportAllocs()
	for b.Loop() {
		s.record(&p, now, &o)
	}
}
