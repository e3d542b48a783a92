package pluginhost

import "time"

// How often a plugin is started anew.
const (
	firstWait   = 50 * time.Millisecond
	longestWait = 30 * time.Second
	// budget is how many ends within budgetTime make a plugin degraded: it is then
	// started anew after the longest wait only.
	budget     = 5
	budgetTime = time.Minute
)

// backoff says when to start a plugin that has ended. The zero backoff is that of
// one that never has.
type backoff struct {
	attempt int
	ends    [budget]time.Duration // the last ones
	count   int
}

// next takes the end of a process, or a start that failed, that had lived so
// long, and returns how long to wait: 50 ms, doubled each time up to 30 s, and a
// fifth more or less by chance, a number from 0 to 1.
func (b *backoff) next(now, lived time.Duration, chance float64) (wait time.Duration, degraded bool) {
	if lived >= budgetTime {
		b.attempt = 0
	}
	b.ends[b.count%budget] = now
	b.count++
	// What the next end will take the place of is the oldest of the last five.
	degraded = b.count >= budget && now-b.ends[b.count%budget] < budgetTime
	wait = longestWait
	if !degraded && b.attempt < 10 {
		wait = min(firstWait<<b.attempt, longestWait)
	}
	b.attempt++
	return wait + time.Duration((chance-0.5)*0.4*float64(wait)), degraded
}
