package fetch

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// slots are how many downloads may be under way: so many in all, and one of each
// host. A host that is slow on purpose, or whose network is somebody else's, so
// takes no more than one of them, however many URLs it has.
type slots struct {
	all chan struct{}

	mu   sync.Mutex
	busy map[string]chan struct{} // closed when the host is free again
}

func newSlots(n int) *slots {
	return &slots{all: make(chan struct{}, n), busy: map[string]chan struct{}{}}
}

// take waits for a slot; false: ctx was done first. A host's turn comes first,
// so that who waits for it keeps no slot from others.
func (s *slots) take(ctx context.Context, host string) bool {
	for {
		s.mu.Lock()
		free := s.busy[host]
		if free == nil {
			s.busy[host] = make(chan struct{})
		}
		s.mu.Unlock()
		if free == nil {
			break
		}
		select {
		case <-free:
		case <-ctx.Done():
			return false
		}
	}
	select {
	case s.all <- struct{}{}:
		return true
	case <-ctx.Done():
		s.freeHost(host)
		return false
	}
}

func (s *slots) give(host string) {
	<-s.all
	s.freeHost(host)
}

func (s *slots) freeHost(host string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.busy[host])
	delete(s.busy, host)
}

// slowBytes is what a download has to bring in each Options.SlowAfter, until it is
// complete. Silence is not the only way to keep a slot for long.
const slowBytes = 16 << 10

var errSlow = errors.New("server is too slow")

// hurry gives up a download that brings too little, with errSlow, until stop is
// called.
func hurry(every time.Duration, received *atomic.Int64, giveUp context.CancelCauseFunc) (stop func()) {
	done := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for before := received.Load(); ; {
			select {
			case <-done:
				return
			case <-ticker.C:
			}
			now := received.Load()
			if now-before < slowBytes {
				giveUp(fmt.Errorf("%w: %d bytes in %s, want at least %d", errSlow, now-before, every, slowBytes))
				return
			}
			before = now
		}
	})
	return func() {
		close(done)
		running.Wait()
	}
}
