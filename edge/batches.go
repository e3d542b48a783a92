package edge

import (
	"context"
	"time"
)

// batches does a piece of work for all who have asked for it since it was begun
// last: a thousand bans at once want all connections looked at once or twice, not
// a thousand times.
type batches struct {
	work  func()
	asked chan struct{} // holds one when somebody has
}

// batchRest is how many times as long as the work the rest after it is, so that
// being asked without end takes a fifth of one core at most.
const batchRest = 4

func newBatches(work func()) *batches { return &batches{work: work, asked: make(chan struct{}, 1)} }

// ask has the work begun soon, from whatever goroutine. It does not wait.
func (b *batches) ask() {
	select {
	case b.asked <- struct{}{}:
	default:
	}
}

// run works until ctx is done.
func (b *batches) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-b.asked:
		}
		start := time.Now()
		b.work()
		rest := time.NewTimer(batchRest * time.Since(start))
		select {
		case <-ctx.Done():
			rest.Stop()
			return
		case <-rest.C:
		}
	}
}
