package logfile

import "log/slog"

// drops counts lost lines. A spell of dropping begins with a lost line and ends
// when the queue is half empty again; the gap keeps a log that is slightly too
// slow from reporting a new spell with every write.
type drops struct {
	total    uint64
	dropping bool
}

// drop counts lost lines. The caller holds f.mu.
func (f *File) drop(lines int) {
	f.drops.total += uint64(lines)
	if !f.drops.dropping {
		f.drops.dropping = true
		notify(f.alarm)
	}
}

// settle ends a spell of dropping if there is room again. The caller holds f.mu.
func (f *File) settle() {
	if f.drops.dropping && f.queued <= f.limit/2 {
		f.drops.dropping = false
		notify(f.alarm)
	}
}

// watch reports spells of dropping, which neither Write may do (the log of logs
// may block) nor the writer (it is blocked, that is why lines are dropped). It
// also sets the deadline of the last write, for the same reason.
func (f *File) watch(done, quit <-chan struct{}) {
	var r report
	for {
		select {
		case <-done:
			f.stop()
			done = nil
		case <-f.alarm:
			r.update(f)
		case <-quit:
			r.update(f)
			return
		}
	}
}

// report remembers what has been said about dropped lines.
type report struct {
	begun bool
	said  uint64 // lines reported by the end of the last spell
}

func (r *report) update(f *File) {
	f.mu.Lock()
	now := f.drops
	f.mu.Unlock()
	switch {
	case now.dropping && !r.begun:
		r.begun = true
		slog.Warn("log lines are being dropped", "file", f.name, "dropped", now.total-r.said)
	case !now.dropping && now.total > r.said:
		slog.Warn("log lines are no longer dropped", "file", f.name, "dropped", now.total-r.said)
		r.begun, r.said = false, now.total
	}
}
