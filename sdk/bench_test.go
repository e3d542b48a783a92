package sdk_test

import (
	"context"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/sallyport/sallyport/sdk"
	"github.com/sallyport/sallyport/sdk/frame"
)

// BenchmarkRoundTrip is a call of about 200 bytes and its verdict over a
// socketpair, with so many calls on their way at once; in order, or each on a
// goroutine. The time is CPU of both sides, which are one process here.
func BenchmarkRoundTrip(b *testing.B) {
	for _, concurrency := range []int{1, 16} {
		for _, inFlight := range []int{1, 16, 128} {
			b.Run(fmt.Sprintf("concurrency=%d/inflight=%d", concurrency, inFlight), func(b *testing.B) {
				p := deciding(func(_ context.Context, r sdk.Request) sdk.Verdict {
					if !r.Peer().Verified() || r.Method() != "GET" {
						return sdk.Deny(403, "no")
					}
					return sdk.Allow()
				}, sdk.CertOrganizationalUnits, sdk.Method, sdk.Path, sdk.Header("x-tenant"))
				p.manifest.Concurrency = concurrency
				h, served := serve(b, context.Background(), p)
				b.ReportAllocs()
				before := cpu()
				roundTrips(b, h, inFlight)
				b.ReportMetric(float64(cpu()-before)/float64(b.N), "cpu-ns/op")
				h.send(b, frame.Append(nil, frame.GoAway, 0))
				if err := <-served; err != nil {
					b.Error(err)
				}
				h.conn.Close()
			})
		}
	}
}

// roundTrips keeps so many calls on their way: each read's verdicts are followed
// by as many calls in one write.
func roundTrips(b *testing.B, h *rawHost, inFlight int) {
	body := frame.AppendBool(nil, frame.TagCertVerified, true)
	body = frame.AppendString(body, frame.TagCertOrganizationalUnits, "payments")
	body = frame.AppendString(body, frame.TagMethod, "GET")
	body = frame.AppendString(body, frame.TagPath, "/v1/accounts/4711/transactions/2026-11-21/ABCDEF0123456789")
	body = frame.AppendHeader(body, frame.TagHeader, "X-Tenant", "bank-of-somewhere")
	out := make([]byte, 0, 64<<10)
	in := make([]byte, 0, 64<<10)
	sent, done := 0, 0
	b.ResetTimer()
	for done < b.N {
		for out = out[:0]; sent < b.N && sent-done < inFlight; sent++ {
			start := len(out)
			out = frame.End(append(frame.Begin(out, frame.Request, uint32(sent)+1), body...), start)
		}
		if len(out) > 0 {
			h.send(b, out)
		}
		n, err := h.conn.Read(in[len(in):cap(in)])
		if err != nil {
			b.Fatal(err)
		}
		in = in[:len(in)+n]
		used := 0
		for {
			f, n, err := frame.Parse(in[used:], frame.DefaultMax)
			if err != nil {
				b.Fatal(err)
			}
			if n == 0 {
				break
			}
			if v, err := frame.ParseVerdict(f.Body); err != nil || v.Decision != frame.Allow {
				b.Fatalf("%+v, error %v", v, err)
			}
			used += n
			done++
		}
		in = in[:copy(in, in[used:])]
	}
	b.StopTimer()
}

// cpu is what this process has used of it.
func cpu() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
