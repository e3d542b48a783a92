package bpf

import (
	"fmt"
	"math"
	"time"

	"golang.org/x/sys/unix"
)

// forever is the end of a ban that has none.
const forever = math.MaxUint64

// instant is one moment on two clocks: the wall's, and the kernel's, which
// counts nanoseconds since boot while the machine is not suspended, and is never
// set. A ban therefore lasts as long as it was meant to, whatever happens to the
// wall clock meanwhile.
type instant struct {
	wall time.Time
	boot uint64
}

func now() instant {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		panic(fmt.Sprintf("read the monotonic clock: %v", err)) // there is no Linux without it
	}
	return instant{wall: time.Now(), boot: uint64(ts.Nano())}
}

// until returns t in the kernel's time; the zero time is forever.
func (n instant) until(t time.Time) uint64 {
	if t.IsZero() {
		return forever
	}
	return n.at(t)
}

// at returns t in the kernel's time, 0 if it was before boot.
func (n instant) at(t time.Time) uint64 {
	d := t.Sub(n.wall)
	if d < 0 && uint64(-d) > n.boot {
		return 0
	}
	return n.boot + uint64(d)
}

// time returns the wall time of boot, to the millisecond, since the two clocks
// cannot be read at once; forever is the zero time.
func (n instant) time(boot uint64) time.Time {
	if boot == forever {
		return time.Time{}
	}
	return n.wall.Add(time.Duration(boot - n.boot)).Round(time.Millisecond)
}
