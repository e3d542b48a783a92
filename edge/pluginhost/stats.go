package pluginhost

import (
	"sync/atomic"
	"time"
)

// stats count what a plugin of one name does, over reloads.
type stats struct {
	hooks      [hooks]hookStats
	restarts   atomic.Uint64
	observed   atomic.Uint64
	unobserved atomic.Uint64
	logDropped atomic.Uint64
}

type hookStats struct {
	hits    atomic.Uint64 // answered by what was kept
	denied  atomic.Uint64
	allowed atomic.Uint64 // without a verdict, as configured
	failed  [failures]atomic.Uint64

	buckets [len(Buckets) + 1]atomic.Uint64
	nanos   atomic.Uint64 // sum of times
}

// Buckets are the upper bounds of a Histogram's, in seconds.
var Buckets = [...]float64{25e-6, 50e-6, 100e-6, 250e-6, 500e-6, .001, .0025, .005, .01, .025, .05, .1, .25, 1, 5}

// bounds are Buckets in nanoseconds.
var bounds = func() (b [len(Buckets)]time.Duration) {
	for i, s := range Buckets {
		b[i] = time.Duration(s * float64(time.Second))
	}
	return b
}()

// observe notes a call that was answered in d.
func (h *hookStats) observe(d time.Duration) {
	i := 0
	for i < len(bounds) && d > bounds[i] {
		i++
	}
	h.buckets[i].Add(1)
	h.nanos.Add(uint64(max(d, 0)))
}

// HookStats is what a plugin has done at one hook since the edge started.
type HookStats struct {
	// Calls that were answered. Cached are answers that needed no call.
	Calls  uint64 `json:"calls"`
	Cached uint64 `json:"cached"`
	// Mean is what they took, in seconds.
	Mean float64 `json:"mean_seconds"`
	// Denied is how often it said no, by call or from the cache.
	Denied uint64 `json:"denied"`
	// Failed is how often it gave no verdict, by the name of the Failure.
	Failed map[string]uint64 `json:"failed,omitempty"`
	// AllowedOnError is how many of these were let in all the same.
	AllowedOnError uint64 `json:"allowed_on_error"`
	// Histogram of the calls: how many took at most each of Buckets, not
	// cumulative, and more. Sum is their time in all.
	Histogram []uint64      `json:"-"`
	Sum       time.Duration `json:"-"`
}

func (h *hookStats) snapshot() HookStats {
	s := HookStats{
		Cached:         h.hits.Load(),
		Denied:         h.denied.Load(),
		AllowedOnError: h.allowed.Load(),
		Histogram:      make([]uint64, len(h.buckets)),
		Sum:            time.Duration(h.nanos.Load()),
	}
	for i := range h.buckets {
		s.Histogram[i] = h.buckets[i].Load()
		s.Calls += s.Histogram[i]
	}
	if s.Calls > 0 {
		s.Mean = s.Sum.Seconds() / float64(s.Calls)
	}
	for _, f := range Failures() {
		if n := h.failed[f].Load(); n > 0 {
			if s.Failed == nil {
				s.Failed = map[string]uint64{}
			}
			s.Failed[f.String()] = n
		}
	}
	return s
}
