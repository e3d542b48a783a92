package loadtest

import "time"

// Units that wait in vain have a latency of which only the least is known: how
// long they had waited. To leave them out would be coordinated omission once more:
// the slower the server, the fewer of the units that show it would count.

// timedOut says whether a failure of that kind is that no answer came in time.
func timedOut(kind string) bool { return kind == "timeout" || kind == "connect timeout" }

// waiting is the histogram of what units wait for. s.mu is held.
func (s *shard) waiting(p *Plan) *histogram {
	if p.ExpectRefusal {
		return &s.refusal
	}
	return &s.latency
}

// waited takes in n units that were not at an end when the run was over.
func (s *shard) waited(p *Plan, d time.Duration, n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting(p).recordMany(d, n)
}

// mostWaits is how many waits are worked out. Of more units, neighbours share one.
const mostWaits = 100_000

// waited takes in the units that were due by the end of a phase, and for which no
// worker was free. The workers have ended.
func (r *recorder) waited(t *turns, wall time.Duration) {
	if t.token == nil {
		return // closed loop: what was not begun was not due
	}
	begun := <-t.token
	t.token <- begun
	step := max(1, (t.due(wall)-begun)/mostWaits)
	for n, end := begun, t.due(wall); n < end; n += step {
		r.shards[0].waited(r.plan, wall-t.schedule.due(n), min(step, end-n))
	}
}
