package logfile

import (
	"time"

	"github.com/sallyport/sallyport/edge/jsonline"
)

// drops counts lost lines. A spell of dropping begins with a lost line and ends
// when the queue is half empty again; the gap keeps a log that is slightly too
// slow from reporting a new spell with every write.
type drops struct {
	total    uint64
	untold   uint64 // of them, those of which the log itself does not say so yet
	dropping bool
	last     bool // the line that tells of the last ones is queued
}

// drop counts lost lines. The caller holds f.mu.
func (f *File) drop(lines int) {
	f.drops.total += uint64(lines)
	f.drops.untold += uint64(lines)
	if !f.drops.dropping {
		f.drops.dropping = true
		notify(f.alarm)
	}
}

// settleDrops ends a spell of dropping if there is room again. The caller holds
// f.mu.
func (f *File) settleDrops() {
	if f.drops.dropping && f.queued <= f.limit/2 {
		f.drops.dropping = false
		notify(f.alarm)
	}
}

// tellGap queues a line, behind head, that stands for those dropped since the one
// before. The caller holds f.mu.
func (f *File) tellGap(head []byte) {
	if f.drops.untold == 0 || !f.options.JSON {
		return
	}
	before := len(f.pending)
	o := jsonline.Begin(append(f.pending, head...))
	o = o.Text("event", "dropped")
	o = o.Time("timestamp", time.Now())
	f.pending = o.Number("lines", int64(f.drops.untold)).End()
	f.queued += len(f.pending) - before
	f.drops.untold = 0
}

// watch reports spells of dropping, which neither Write may do (the log of logs
// may block) nor the writer (it is blocked, that is why lines are dropped). It
// also sets the deadline of the last write, for the same reason.
func (f *File) watch(done, quit <-chan struct{}) {
	var r report
	again := time.NewTimer(0)
	defer again.Stop()
	for {
		select {
		case <-done:
			f.stop()
			done = nil
		case <-f.alarm:
		case <-again.C:
		case <-quit:
			r.update(f)
			return
		}
		now := time.Now()
		if now.Before(r.next) {
			again.Reset(r.next.Sub(now))
			continue
		}
		if r.update(f) {
			r.next = time.Now().Add(report1)
		}
		if r.begun {
			again.Reset(r.pause)
		}
	}
}

const (
	// report1 is the least time from one report to the next. While a spell lasts,
	// the time from each to the next doubles up to reportMost.
	report1    = time.Second
	reportMost = time.Minute
)

// report remembers what has been said about dropped lines.
type report struct {
	begun bool          // a spell that has not been said to be over
	ended uint64        // the total at the end of the last spell
	said  uint64        // the total when something was last said
	pause time.Duration // to the next report within a spell
	next  time.Time     // nothing is said before it
}

// update says what is new, and whether there was anything.
func (r *report) update(f *File) bool {
	f.mu.Lock()
	now := f.drops
	f.mu.Unlock()
	switch {
	case now.dropping && !r.begun:
		r.begun, r.pause = true, report1
		f.log().Warn("log lines are being dropped", "file", f.name, "dropped", now.total-r.ended)
	case now.dropping && now.total > r.said:
		r.pause = min(2*r.pause, reportMost)
		f.log().Warn("log lines are still being dropped", "file", f.name, "dropped", now.total-r.ended)
	case !now.dropping && now.total > r.ended:
		f.log().Warn("log lines are no longer dropped", "file", f.name, "dropped", now.total-r.ended)
		r.begun, r.ended = false, now.total
	default:
		return false
	}
	r.said = now.total
	return true
}
