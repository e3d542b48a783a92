package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// leastCPU is what a window must have cost the server, so that a tick lost at
// either end is 2.5 percent at most.
const leastCPU = 40 * tick

// settle is waited for before CPU time is read, so that what follows a unit
// (closing, logging, putting back buffers) is counted in its window.
const settle = 30 * time.Millisecond

// worker does one unit of load.
type worker func() error

// load is what a server is measured under.
type load struct {
	units   int           // the most in a window
	least   time.Duration // the least CPU time of the server's in a window
	workers int
	open    func(ctx context.Context, address string, workers int) ([]worker, func(), error)
}

// window is what was done in one, and what it cost the server.
type window struct {
	units     int
	wall, cpu time.Duration
}

// perUnit is the server's CPU time for a unit, in microseconds.
func (w window) perUnit() float64 { return float64(w.cpu.Nanoseconds()) / 1e3 / float64(w.units) }

// busy is how much of a core the server used.
func (w window) busy() float64 { return w.cpu.Seconds() / w.wall.Seconds() }

// measure loads a server for warmUp, and then until load.units are done or the
// time is over. A unit that fails is an error, and so is a window too short for
// the clock.
func measure(ctx context.Context, s *server, l load, warmUp, length time.Duration) (window, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	workers, closeAll, err := l.open(ctx, s.address, l.workers)
	if err != nil {
		return window{}, err
	}
	defer closeAll()
	if _, _, err := drive(ctx, workers, l.units, warmUp); err != nil {
		return window{}, err
	}
	time.Sleep(settle)
	before, pidsBefore, err := cpuTime(s.process.pid)
	if err != nil {
		return window{}, err
	}
	units, wall, err := drive(ctx, workers, l.units, length)
	if err != nil {
		return window{}, err
	}
	time.Sleep(settle)
	after, pidsAfter, err := cpuTime(s.process.pid)
	if err != nil {
		return window{}, err
	}
	if !slices.Equal(pidsBefore, pidsAfter) {
		return window{}, fmt.Errorf("its processes changed from %v to %v within a window", pidsBefore, pidsAfter)
	}
	w := window{units: units, wall: wall, cpu: after - before}
	if w.cpu < l.least {
		return window{}, fmt.Errorf("a window of %s and %d units cost %s of CPU: want %s or more, by a longer -window, more -handshakes or -requests",
			wall.Round(tick), units, w.cpu, l.least)
	}
	return w, nil
}

// drive has the workers do units until most are done, the time is over, one fails
// or ctx ends, and returns when all have stopped. Units under way when the time
// is over are finished and counted.
func drive(ctx context.Context, workers []worker, most int, length time.Duration) (int, time.Duration, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	start := time.Now()
	var taken, done atomic.Int64
	var all sync.WaitGroup
	for _, unit := range workers {
		all.Go(func() {
			for time.Since(start) < length && ctx.Err() == nil && taken.Add(1) <= int64(most) {
				if err := unit(); err != nil {
					cancel(err)
					return
				}
				done.Add(1)
			}
		})
	}
	all.Wait()
	wall := time.Since(start)
	if err := context.Cause(ctx); err != nil {
		return 0, 0, err
	}
	if done.Load() == 0 {
		return 0, 0, fmt.Errorf("nothing was done within %s", length)
	}
	return int(done.Load()), wall, nil
}
