package loadtest

import (
	"context"
	"os"
	"syscall"
	"time"
)

const (
	// quiet is between two looks at whether a server has come to rest, and long
	// enough for a tick to show.
	quiet = 3 * tick
	// restless is how long to wait for that: a server may have work of its own.
	restless = 20 * quiet
)

// meter accounts a server's processes, if there is one, and this one.
type meter struct {
	pid           int
	before, after reading // of the server
	last          reading
	peak          int64
	lost          error // why the server cannot be read any more

	own     Usage
	ownUsed syscall.Rusage
}

// start reads both, when the server has come to rest. It is an error when there
// is no such process.
func (m *meter) start(ctx context.Context) error {
	if m.pid != 0 {
		var err error
		if m.before, err = settle(ctx, m.pid); err != nil {
			return err
		}
		m.last, m.peak = m.before, m.before.rss
	}
	m.ownUsed = ownUsage()
	m.own = Usage{PID: os.Getpid()}
	m.own.RSSBefore = ownRSS()
	m.own.RSSPeak = m.own.RSSBefore
	return nil
}

// sample reads the server once more, and returns the CPU time that it had since
// the last time and its memory.
func (m *meter) sample() (cpu time.Duration, rss int64) {
	m.own.RSSPeak = max(m.own.RSSPeak, ownRSS())
	if m.pid == 0 || m.lost != nil {
		return 0, 0
	}
	now, err := readTree(m.pid)
	if err != nil {
		m.lost = err
		return 0, 0
	}
	cpu = max(0, now.cpu()-m.last.cpu())
	m.last, m.peak = now, max(m.peak, now.rss)
	return cpu, now.rss
}

// stop reads both for the last time: this process at once, so that waiting for
// the server is not in it, and the server when it has come to rest.
func (m *meter) stop(ctx context.Context) {
	used := ownUsage()
	m.own.User = fromTimeval(used.Utime) - fromTimeval(m.ownUsed.Utime)
	m.own.System = fromTimeval(used.Stime) - fromTimeval(m.ownUsed.Stime)
	m.own.RSSAfter = ownRSS()
	m.own.RSSPeak = max(m.own.RSSPeak, m.own.RSSAfter)
	if m.pid == 0 || m.lost != nil {
		return
	}
	if m.after, m.lost = settle(ctx, m.pid); m.lost == nil {
		m.peak = max(m.peak, m.after.rss)
	}
}

// server is what the server used, over so many units; nil if that is not known.
func (m *meter) server(units int64) *Usage {
	if m.pid == 0 || m.lost != nil {
		return nil
	}
	u := &Usage{
		PID: m.pid, User: max(0, m.after.user-m.before.user), System: max(0, m.after.system-m.before.system),
		RSSBefore: m.before.rss, RSSPeak: m.peak, RSSAfter: m.after.rss,
	}
	u.perUnit(units)
	return u
}

func (m *meter) generator(units int64) Usage {
	u := m.own
	u.perUnit(units)
	return u
}

func (u *Usage) perUnit(units int64) {
	if units > 0 {
		u.PerUnit = (u.User + u.System) / time.Duration(units)
	}
}

// saturated says that one of the server's processes had nearly all the CPU time
// that it can use in so much time: on as many cores as it may, or as it has
// threads.
func (m *meter) saturated(wall time.Duration) bool {
	for pid, after := range m.after.processes {
		used := after.cpu() - m.before.processes[pid].cpu()
		if used.Seconds() > busy*wall.Seconds()*float64(max(1, min(coresOf(pid), after.threads))) {
			return true
		}
	}
	return false
}

// settle waits until a server does nothing, and reads it.
func settle(ctx context.Context, pid int) (reading, error) {
	last, err := readTree(pid)
	if err != nil {
		return last, err
	}
	for deadline := last.at.Add(restless); last.at.Before(deadline) && ctx.Err() == nil; {
		select {
		case <-ctx.Done():
		case <-time.After(quiet):
		}
		now, err := readTree(pid)
		if err != nil {
			return now, err
		}
		still := now.cpu() == last.cpu()
		last = now
		if still {
			break
		}
	}
	return last, nil
}

func ownUsage() syscall.Rusage {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // fails for another who only
	return u
}

// ownRSS is 0 where /proc is not there.
func ownRSS() int64 {
	rss, err := readRSS(os.Getpid())
	if err != nil {
		return 0
	}
	return rss
}

func fromTimeval(t syscall.Timeval) time.Duration { return time.Duration(t.Nano()) }
