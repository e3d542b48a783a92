package accesslog

import (
	"context"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/sallyport/sallyport/edge/logfile"
)

// ordinary is the record of an ordinary request: AWS's example, with an address.
func ordinary() *Record {
	r := documented()
	r.Server, r.Listener = addrPort("192.0.2.7:443"), "public"
	r.TransformedHost, r.TransformStatus, r.TargetGroupID = "", "", ""
	return &r
}

func TestAppendAllocatesNothing(t *testing.T) {
	dst, h := make([]byte, 0, 64<<10), HealthCheck{Type: "http", Time: created, Target: "10.0.0.1:80", LoadBalancer: records()[0].LoadBalancer}
	for i, r := range records() {
		if n := testing.AllocsPerRun(100, func() { dst = r.AppendJSON(r.AppendALB(dst[:0])) }); n != 0 {
			t.Errorf("record %d: %v allocations", i, n)
		}
	}
	if n := testing.AllocsPerRun(100, func() { dst = h.AppendJSON(h.AppendALB(dst[:0])) }); n != 0 {
		t.Errorf("health check: %v allocations", n)
	}
}

func BenchmarkAppendALB(b *testing.B) {
	r, dst := ordinary(), make([]byte, 0, 2048)
	b.ReportAllocs()
	for b.Loop() {
		dst = r.AppendALB(dst[:0])
	}
	b.ReportMetric(float64(len(dst)), "B/line")
}

func BenchmarkAppendJSON(b *testing.B) {
	r, dst := ordinary(), make([]byte, 0, 2048)
	b.ReportAllocs()
	for b.Loop() {
		dst = r.AppendJSON(dst[:0])
	}
	b.ReportMetric(float64(len(dst)), "B/line")
}

// BenchmarkRequest is what the log of one request costs all CPUs together, from
// the finished record to the file: cpu-ns/op. Without a log it is what is left of
// the loop. Requests come at a pace that the disk can keep up with, 64 at once.
func BenchmarkRequest(b *testing.B) {
	for _, form := range []struct {
		name   string
		append func(*Record, []byte) []byte
	}{
		{"off", nil},
		{"alb", (*Record).AppendALB},
		{"json", (*Record).AppendJSON},
	} {
		b.Run(form.name, func(b *testing.B) {
			file, err := logfile.Open(filepath.Join(b.TempDir(), "access.log"))
			if err != nil {
				b.Fatal(err)
			}
			ctx, cancel := context.WithCancel(b.Context())
			ended := make(chan error, 1)
			go func() { ended <- file.Run(ctx) }()
			r, dst := ordinary(), make([]byte, 0, 2048)
			runtime.GC()
			b.ReportAllocs()
			before := cpu(b)
			for i := 0; b.Loop(); i++ {
				if form.append != nil {
					dst = form.append(r, dst[:0])
					file.Write(dst)
				}
				if i%64 == 63 {
					time.Sleep(time.Millisecond) // 64,000 requests a second at the most
				}
			}
			cancel()
			if err := <-ended; err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(cpu(b)-before)/float64(b.N), "cpu-ns/op")
			b.ReportMetric(0, "ns/op")
			if n := file.Dropped(); n > 0 {
				b.Errorf("dropped %d", n)
			}
		})
	}
}

// cpu is what this process has taken of all CPUs so far.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
