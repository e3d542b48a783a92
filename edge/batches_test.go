package edge

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestBatches: who asks while the work goes on is served by one more, and who asks
// without end gets a fifth of the time.
func TestBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const took = 10 * time.Millisecond
		var done atomic.Int64
		b := newBatches(func() { done.Add(1); <-time.After(took) })
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { b.run(ctx); close(ended) }()
		b.ask()
		synctest.Wait()
		if n := done.Load(); n != 1 {
			t.Fatalf("done %d times at once, want 1", n)
		}
		for range 1000 {
			b.ask()
		}
		<-time.After(time.Minute)
		if n := done.Load(); n != 2 {
			t.Errorf("done %d times, want once more for all who asked meanwhile", n)
		}

		done.Store(0)
		for start := time.Now(); time.Since(start) < time.Second; <-time.After(time.Millisecond) {
			b.ask()
		}
		if n := done.Load(); n < 19 || n > 21 {
			t.Errorf("done %d times of %v each in a second, want 20", n, took)
		}
		cancel()
		<-ended
		b.ask() // nobody is there, and nobody waits
	})
}
