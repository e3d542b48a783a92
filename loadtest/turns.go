package loadtest

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// batch is the least time between two awakenings: at more than 10,000 units
// a second some begin up to so much late, which their latency includes.
const batch = 100 * time.Microsecond

// turns says when workers begin units. Units that are due and find no worker
// free wait in it, and are no more than a difference of two numbers.
type turns struct {
	start time.Time
	end   time.Duration // from start: none is begun later
	total int64         // units that there are
	ctx   context.Context
	fail  context.CancelCauseFunc // of ctx

	// Open loop: one worker at a time has the token, which is the number of the
	// next unit. It sleeps until that is due, hands the token on, and begins.
	schedule schedule
	token    chan int64
	alarm    *alarm
	woke     time.Duration // by whoever has the token

	next atomic.Int64 // closed loop
}

// newTurns lays a pace over a time, in which count units are begun at most. fail
// ends ctx. close must be called.
func newTurns(ctx context.Context, fail context.CancelCauseFunc, p Pace, length time.Duration, count int64) (*turns, error) {
	t := &turns{end: length, total: count, ctx: ctx, fail: fail}
	if p.Open() {
		var err error
		if t.alarm, err = newAlarm(); err != nil {
			return nil, fmt.Errorf("start pace: %w", err)
		}
		t.schedule = p.over(length)
		t.total = min(count, t.schedule.units())
		t.token = make(chan int64, 1)
	}
	return t, nil
}

// begin starts the clock.
func (t *turns) begin() {
	t.start = time.Now()
	if t.token != nil {
		t.token <- 0
	}
}

// take returns when the next unit is to be begun, and says when it was due; in
// closed loop that is now. ok is false when there is nothing more to begin. It
// allocates nothing.
func (t *turns) take() (due time.Time, ok bool) {
	if t.token == nil {
		now := time.Now()
		if t.ctx.Err() != nil || now.Sub(t.start) >= t.end || t.next.Add(1) > t.total {
			return time.Time{}, false
		}
		return now, true
	}
	n := <-t.token
	if n >= t.total {
		t.token <- n
		return time.Time{}, false
	}
	at := t.schedule.due(n)
	if now := time.Since(t.start); now < at {
		t.woke = max(at, t.woke+batch)
		if err := t.alarm.sleep(t.woke - now); err != nil {
			t.fail(clockFault{err}) // does nothing where stop was the reason
		}
	}
	if t.ctx.Err() != nil || time.Since(t.start) >= t.end {
		t.token <- n
		return time.Time{}, false
	}
	t.token <- n + 1
	return t.start.Add(at), true
}

// stop wakes whoever waits; ctx must have ended.
func (t *turns) stop() {
	if t.alarm != nil {
		t.alarm.stop()
	}
}

// close may be called when no worker is in take any more.
func (t *turns) close() {
	if t.alarm != nil {
		t.alarm.close()
	}
}

// due is how many units were due by a moment; -1 in closed loop.
func (t *turns) due(at time.Duration) int64 {
	if t.token == nil {
		return -1
	}
	if at >= t.end {
		return t.total
	}
	// Unit n is due when n units' worth of time has passed, so unit 0 at once.
	return min(t.total, int64(t.schedule.until(at))+1)
}

// asked is how many units are due between two moments.
func (t *turns) asked(from, to time.Duration) float64 {
	if t.token == nil {
		return 0
	}
	units := func(at time.Duration) float64 { return min(t.schedule.until(at), float64(t.total)) }
	return units(to) - units(from)
}

// counted says that the run ended with its last unit, and not with its time.
func (t *turns) counted() bool {
	if t.token == nil {
		return t.next.Load() >= t.total
	}
	return t.total < t.schedule.units()
}
