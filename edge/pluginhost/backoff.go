package pluginhost

import (
	"errors"
	"slices"
	"syscall"
	"time"
)

// How often a plugin is started anew.
const (
	firstWait   = 50 * time.Millisecond
	longestWait = 30 * time.Second
	// budget is how many ends within budgetTime make a plugin degraded: it is then
	// started anew after the longest wait only.
	budget     = 5
	budgetTime = time.Minute
	// shortWait is how long to wait for what the host is short of.
	shortWait = time.Second
)

// isShortage says whether a start has failed for want of something that the host will
// have again: descriptors, memory, processes, room on a disk. That is not the
// plugin's doing, and who takes it all must not have it count as that.
func isShortage(err error) bool {
	return slices.ContainsFunc([]error{syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.EAGAIN, syscall.ENOSPC},
		func(short error) bool { return errors.Is(err, short) })
}

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
