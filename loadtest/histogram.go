package loadtest

import (
	"math"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Latencies are kept to three digits from a microsecond to an hour; what is
// outside is counted at the end that it is past.
const (
	shortest = time.Microsecond
	longest  = time.Hour
	digits   = 3
)

// histogram counts durations. Its zero value is empty.
type histogram struct {
	counts   *hdrhistogram.Histogram
	n        int64
	min, max time.Duration // exact
	sum      float64       // nanoseconds
}

func (h *histogram) record(d time.Duration) { h.recordMany(d, 1) }

// recordMany records n durations that are alike.
func (h *histogram) recordMany(d time.Duration, n int64) {
	if h.counts == nil {
		h.counts = hdrhistogram.New(int64(shortest), int64(longest), digits)
	}
	d = max(d, 0)
	// A value within the bounds is always recorded.
	_ = h.counts.RecordValues(int64(min(max(d, shortest), longest)), n)
	if h.n == 0 || d < h.min {
		h.min = d
	}
	h.max = max(h.max, d)
	h.sum += float64(d) * float64(n)
	h.n += n
}

func (h *histogram) add(other *histogram) {
	if other.n == 0 {
		return
	}
	if h.counts == nil {
		h.counts = hdrhistogram.New(int64(shortest), int64(longest), digits)
	}
	h.counts.Merge(other.counts)
	if h.n == 0 || other.min < h.min {
		h.min = other.min
	}
	h.max = max(h.max, other.max)
	h.sum += other.sum
	h.n += other.n
}

func (h *histogram) clear() {
	if h.n > 0 {
		h.counts.Reset()
	}
	h.n, h.min, h.max, h.sum = 0, 0, 0, 0
}

// at is the value that so many percent do not exceed. It is never outside of
// what was recorded, as the middle of a bucket may be.
func (h *histogram) at(percentile float64) time.Duration {
	if h.n == 0 {
		return 0
	}
	return min(max(time.Duration(h.counts.ValueAtPercentile(percentile)), h.min), h.max)
}

func (h *histogram) distribution() Distribution {
	if h.n == 0 {
		return Distribution{}
	}
	return Distribution{
		Count: h.n, Min: h.min, Mean: time.Duration(h.sum / float64(h.n)),
		P50: h.at(50), P90: h.at(90), P99: h.at(99), P999: h.at(99.9), P9999: h.at(99.99),
		Max: h.max, Curve: h.curve(),
	}
}

// perHalving is how many points the curve has each time that what is left above
// it halves.
const perHalving = 5

// curve has its points where a plot over 1/(1-p) on a log axis needs them, as far
// as there are units to tell them apart, and ends with the maximum.
func (h *histogram) curve() []Point {
	points := []Point{{Percentile: 0, Value: h.min}}
	for i := 1; ; i++ {
		left := math.Pow(2, -float64(i)/perHalving)
		if left*float64(h.n) < 1 {
			break
		}
		p := 100 * (1 - left)
		points = append(points, Point{Percentile: p, Value: h.at(p)})
	}
	return append(points, Point{Percentile: 100, Value: h.max})
}
