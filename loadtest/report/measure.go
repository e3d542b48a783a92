package report

import (
	"math"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/loadtest"
)

// noise is the relative difference below which two runs are taken to be equal:
// what the same run gives twice on a host shared with others.
const noise = 0.10

// measure is one quantity that a result may have, as comparisons list them.
type measure struct {
	group, name string
	of          func(*loadtest.Result) float64 // NaN: the result has none
	show        func(float64) string
	better      direction
}

// direction says which way a quantity is better.
type direction int

const (
	neither direction = iota
	higher
	lower
)

// verdict judges b beside a.
func (m measure) verdict(a, b float64) (ratio float64, word string) {
	ratio = b / a
	if !finite(a) || !finite(b) || a == 0 && b == 0 {
		return math.NaN(), ""
	}
	switch {
	case a == b:
		return ratio, ""
	case finite(ratio) && math.Abs(ratio-1) < noise:
		return ratio, "noise"
	case m.better == neither:
		return ratio, ""
	case (b > a) == (m.better == higher):
		return ratio, "better"
	}
	return ratio, "worse"
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// measures are the quantities that at least one of the results has.
func measures(rs []*loadtest.Result) []measure {
	all := []measure{
		{"rate", "asked", asked, rate, neither},
		{"rate", "done", func(r *loadtest.Result) float64 { return r.Units.Rate }, rate, higher},
		{"rate", "generator's capacity", func(r *loadtest.Result) float64 { return positive(r.Capacity) }, rate, neither},
		{"units", "done", units(func(u loadtest.Units) int64 { return u.Done }), count, neither},
		{"units", "refused", units(func(u loadtest.Units) int64 { return u.Refused }), count, neither},
		{"units", "failed", units(func(u loadtest.Units) int64 { return u.Failed }), count, lower},
		{"units", "unfinished", units(func(u loadtest.Units) int64 { return u.Unfinished }), count, lower},
		{"units", "resumed", positives(units(func(u loadtest.Units) int64 { return u.Resumed })), count, neither},
		{"units", "bytes in", positives(units(func(u loadtest.Units) int64 { return u.BytesIn })), size, neither},
		{"units", "bytes out", positives(units(func(u loadtest.Units) int64 { return u.BytesOut })), size, neither},
	}
	all = append(all, quantiles("latency", func(r *loadtest.Result) loadtest.Distribution { return r.Latency }, true)...)
	if slices.ContainsFunc(rs, serviceDiffers) {
		all = append(all, quantiles("service", func(r *loadtest.Result) loadtest.Distribution { return r.Service }, false)...)
	}
	all = append(all, quantiles("refusal", func(r *loadtest.Result) loadtest.Distribution { return r.Refusal }, false)...)
	for _, phase := range phases(rs) {
		all = append(all, quantiles(phaseName(phase), func(r *loadtest.Result) loadtest.Distribution { return r.Phases[phase] }, false)...)
	}
	all = append(all, usages("server", func(r *loadtest.Result) *loadtest.Usage { return r.Server }, lower)...)
	all = append(all, usages("generator", func(r *loadtest.Result) *loadtest.Usage { return &r.Generator }, neither)...)
	return slices.DeleteFunc(all, func(m measure) bool {
		return !slices.ContainsFunc(rs, func(r *loadtest.Result) bool { return finite(m.of(r)) })
	})
}

func units(of func(loadtest.Units) int64) func(*loadtest.Result) float64 {
	return func(r *loadtest.Result) float64 { return float64(of(r.Units)) }
}

func positives(of func(*loadtest.Result) float64) func(*loadtest.Result) float64 {
	return func(r *loadtest.Result) float64 { return positive(of(r)) }
}

// positive is v where zero means that there is none.
func positive(v float64) float64 {
	if v > 0 && finite(v) {
		return v
	}
	return math.NaN()
}

func quantiles(group string, of func(*loadtest.Result) loadtest.Distribution, all bool) []measure {
	m := func(name string, value func(loadtest.Distribution) time.Duration) measure {
		return measure{group, name, func(r *loadtest.Result) float64 {
			d := of(r)
			if d.Count <= 0 {
				return math.NaN()
			}
			return float64(value(d))
		}, duration, lower}
	}
	p50 := m("p50", func(d loadtest.Distribution) time.Duration { return d.P50 })
	p99 := m("p99", func(d loadtest.Distribution) time.Duration { return d.P99 })
	if !all {
		return []measure{p50, p99}
	}
	return []measure{
		m("mean", func(d loadtest.Distribution) time.Duration { return d.Mean }),
		p50,
		m("p90", func(d loadtest.Distribution) time.Duration { return d.P90 }),
		p99,
		m("p99.9", func(d loadtest.Distribution) time.Duration { return d.P999 }),
		m("p99.99", func(d loadtest.Distribution) time.Duration { return d.P9999 }),
		m("max", func(d loadtest.Distribution) time.Duration { return d.Max }),
	}
}

func usages(group string, of func(*loadtest.Result) *loadtest.Usage, better direction) []measure {
	m := func(name string, show func(float64) string, better direction, value func(*loadtest.Result, *loadtest.Usage) float64) measure {
		return measure{group, name, func(r *loadtest.Result) float64 {
			u := of(r)
			if u == nil {
				return math.NaN()
			}
			return positive(value(r, u))
		}, show, better}
	}
	return []measure{
		m("CPU per unit", duration, better, func(_ *loadtest.Result, u *loadtest.Usage) float64 { return float64(u.PerUnit) }),
		m("cores", number, neither, func(r *loadtest.Result, u *loadtest.Usage) float64 { return cores(r, u) }),
		m("RSS peak", size, better, func(_ *loadtest.Result, u *loadtest.Usage) float64 { return float64(u.RSSPeak) }),
		m("RSS after", size, better, func(_ *loadtest.Result, u *loadtest.Usage) float64 { return float64(u.RSSAfter) }),
	}
}

// cores is how many processor cores a process kept busy.
func cores(r *loadtest.Result, u *loadtest.Usage) float64 {
	return float64(u.User+u.System) / float64(r.Wall)
}

// openLoop says whether units were due by a pace, or followed on each other.
func openLoop(r *loadtest.Result) bool { return r.Plan.Pace.Open() }

// asked is the rate at which units were due, the mean of one that changed; NaN in
// closed loop.
func asked(r *loadtest.Result) float64 {
	if !openLoop(r) {
		return math.NaN()
	}
	if r.Plan.Pace.Rate > 0 {
		return r.Plan.Pace.Rate
	}
	return float64(r.Units.Due) / r.Wall.Seconds()
}

// serviceDiffers says whether units waited for their turn at all.
func serviceDiffers(r *loadtest.Result) bool {
	l, s := r.Latency, r.Service
	return l.Mean != s.Mean || l.P50 != s.P50 || l.P90 != s.P90 || l.P99 != s.P99 || l.P999 != s.P999 || l.P9999 != s.P9999 || l.Max != s.Max
}

// phases are the names of all phases, in the order in which a unit goes through
// them.
func phases(rs []*loadtest.Result) []string {
	order := []string{"connect", "handshake", "first_byte"}
	var names []string
	for _, r := range rs {
		for name, d := range r.Phases {
			if d.Count > 0 && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	rank := func(name string) int {
		if i := slices.Index(order, name); i >= 0 {
			return i
		}
		return len(order)
	}
	slices.SortFunc(names, func(a, b string) int {
		if ra, rb := rank(a), rank(b); ra != rb {
			return ra - rb
		}
		return strings.Compare(a, b)
	})
	return names
}

func phaseName(key string) string { return strings.ReplaceAll(plain(key), "_", " ") }
