package loadtest

import (
	"cmp"
	"maps"
	"runtime"
	"slices"
	"sync"
	"time"
)

// recorder takes in what became of units. Workers share shards, a few for each
// core, so that they hardly ever wait for each other.
type recorder struct {
	plan   *Plan
	shards []*shard
	spare  []*tally // of the last second, cleared, for the next one
}

// shard is one part of it.
type shard struct {
	mu                        sync.Mutex
	latency, service, refusal histogram
	phases                    [len(phaseNames)]histogram
	units                     Units
	errors                    map[string]*ErrorCount
	second                    *tally
	lastEnd                   time.Time
}

// tally is what a shard took in since the last second began.
type tally struct {
	done, refused, failed int64
	latency               histogram
}

var phaseNames = [...]string{"connect", "handshake", "first_byte"}

// maxKinds bounds how many kinds of errors a shard tells apart: kinds are a
// closed set, but a server has the choice of statuses and alerts.
const maxKinds = 1000

func newRecorder(p *Plan, workers int) *recorder {
	r := &recorder{plan: p}
	for range min(workers, 2*runtime.GOMAXPROCS(0), 32) {
		r.shards = append(r.shards, &shard{errors: map[string]*ErrorCount{}, second: &tally{}})
		r.spare = append(r.spare, &tally{})
	}
	return r
}

// shard is the one that a worker uses.
func (r *recorder) shard(worker int) *shard { return r.shards[worker%len(r.shards)] }

// record takes in one unit that was due at a moment. It allocates nothing for
// a unit that is done.
func (s *shard) record(p *Plan, due time.Time, o *outcome) {
	v, kind, example := o.judge(p)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lastEnd = later(s.lastEnd, o.ended)
	s.units.BytesIn += o.in
	s.units.BytesOut += o.out
	for i, part := range [...][2]time.Time{{o.dialled, o.connected}, {o.connected, o.shaken}, {o.sent, o.first}} {
		if !part[0].IsZero() && !part[1].IsZero() {
			s.phases[i].record(part[1].Sub(part[0]))
		}
	}
	if v != done {
		s.count(kind, v == refused, example)
	}
	switch v {
	case done:
		s.units.Done++
		s.second.done++
		if o.resumed {
			s.units.Resumed++
		}
		latency := o.ended.Sub(due)
		s.latency.record(latency)
		s.service.record(o.ended.Sub(o.begun))
		s.second.latency.record(latency)
	case refused:
		s.units.Refused++
		s.second.refused++
		s.refusal.record(o.ended.Sub(due))
	case failed:
		s.units.Failed++
		s.second.failed++
		if p.Pace.Open() && timedOut(kind) {
			s.waiting(p).record(o.ended.Sub(due))
		}
	}
}

func (s *shard) count(kind string, refusal bool, example string) {
	e := s.errors[kind]
	if e == nil {
		if len(s.errors) >= maxKinds {
			kind = "other"
		}
		e = cmp.Or(s.errors[kind], &ErrorCount{Kind: kind, Refusal: refusal, Example: example})
		s.errors[kind] = e
	}
	e.Count++
}

// second takes what was recorded since the last call.
func (r *recorder) second() tally {
	var sum tally
	for i, s := range r.shards {
		s.mu.Lock()
		t := s.second
		s.second = r.spare[i]
		s.mu.Unlock()
		sum.done += t.done
		sum.refused += t.refused
		sum.failed += t.failed
		sum.latency.add(&t.latency)
		t.done, t.refused, t.failed = 0, 0, 0
		t.latency.clear()
		r.spare[i] = t
	}
	return sum
}

// into writes the sums to a result. Nothing may be recording.
func (r *recorder) into(res *Result) (lastEnd time.Time) {
	var sum shard
	kinds := map[string]ErrorCount{}
	for _, s := range r.shards {
		sum.latency.add(&s.latency)
		sum.service.add(&s.service)
		sum.refusal.add(&s.refusal)
		for i := range s.phases {
			sum.phases[i].add(&s.phases[i])
		}
		sum.units.Done += s.units.Done
		sum.units.Refused += s.units.Refused
		sum.units.Failed += s.units.Failed
		sum.units.Resumed += s.units.Resumed
		sum.units.BytesIn += s.units.BytesIn
		sum.units.BytesOut += s.units.BytesOut
		lastEnd = later(lastEnd, s.lastEnd)
		for kind, e := range s.errors {
			all := cmp.Or(kinds[kind], ErrorCount{Kind: kind, Refusal: e.Refusal, Example: e.Example})
			all.Count += e.Count
			kinds[kind] = all
		}
	}
	res.Units = sum.units
	res.Latency, res.Service = sum.latency.distribution(), sum.service.distribution()
	res.Refusal = sum.refusal.distribution()
	res.Phases = map[string]Distribution{}
	for i, name := range phaseNames {
		if sum.phases[i].n > 0 {
			res.Phases[name] = sum.phases[i].distribution()
		}
	}
	res.Errors = slices.SortedFunc(maps.Values(kinds), func(a, b ErrorCount) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Kind, b.Kind))
	})
	return lastEnd
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
