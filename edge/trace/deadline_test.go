package trace

import (
	"context"
	"log/slog"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// TestOneDeadlineAtTheEnd has a batch under way to a collector that never answers,
// and more in the queue: all of it has two seconds, not each.
func TestOneDeadlineAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tracer, err := New(Options{Endpoint: "http://192.0.2.1:4318", Sample: 1, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		dialled := 0
		tracer.transport.Proxy = nil
		tracer.transport.DialContext = func(context.Context, string, string) (net.Conn, error) {
			dialled++
			client, _ := net.Pipe() // whose other end nobody reads
			return client, nil
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- tracer.Run(ctx) }()
		for range batchSize {
			tracer.Export([]Span{one(tracer, "under way")})
		}
		synctest.Wait()
		if dialled != 1 {
			t.Fatalf("dialled %d times before the end", dialled)
		}
		for range batchSize + 1 {
			tracer.Export([]Span{one(tracer, "waiting")})
		}
		begun := time.Now()
		cancel()
		<-done
		if took := time.Since(begun); took != lastTime {
			t.Errorf("ended after %s, want %s", took, lastTime)
		}
		if s := tracer.Stats(); s != (Stats{Failed: 2*batchSize + 1}) {
			t.Errorf("%+v", s)
		}
	})
}
