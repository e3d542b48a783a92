package page

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/edge/reason"
)

// Steps and Step are how far back a Recorder remembers: an hour.
const (
	Steps = 360
	Step  = 10 * time.Second
)

// Recorder counts the outcomes of connections in steps of time. Its methods may
// be called concurrently; Count costs one atomic addition.
type Recorder struct {
	counts []atomic.Uint64 // of the step under way, by code

	mu    sync.Mutex
	steps []step // oldest first, at most Steps
}

type step struct {
	end    int64 // Unix seconds
	counts []uint64
}

// NewRecorder returns a Recorder of nothing yet.
func NewRecorder() *Recorder { return &Recorder{counts: make([]atomic.Uint64, len(reason.All()))} }

// Count counts an outcome.
func (r *Recorder) Count(code reason.Code) {
	if int(code) < len(r.counts) {
		r.counts[code].Add(1)
	}
}

// Run ends a step every Step, until ctx is done.
func (r *Recorder) Run(ctx context.Context) {
	ticker := time.NewTicker(Step)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			r.end(now)
		}
	}
}

func (r *Recorder) end(now time.Time) {
	s := step{now.Unix(), make([]uint64, len(r.counts))}
	for code := range r.counts {
		s.counts[code] = r.counts[code].Swap(0)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.steps) == Steps {
		r.steps = append(r.steps[:0], r.steps[1:]...)
	}
	r.steps = append(r.steps, s)
}

// History returns what was counted in the steps that have ended, Success first
// and then the others in the order in which the edge judges.
func (r *Recorder) History() History {
	r.mu.Lock()
	defer r.mu.Unlock()
	h := History{Times: make([]int64, len(r.steps)), Series: []Series{}}
	for i, s := range r.steps {
		h.Times[i] = s.end
	}
	codes := append([]reason.Code{reason.Success}, reason.All()...)
	for i, code := range codes {
		if i > 0 && code == reason.Success {
			continue
		}
		series := Series{Code: code.String(), Counts: make([]uint64, len(r.steps))}
		total := uint64(0)
		for at, s := range r.steps {
			series.Counts[at] = s.counts[code]
			total += s.counts[code]
		}
		if total > 0 || code == reason.Success {
			h.Series = append(h.Series, series)
		}
	}
	return h
}
