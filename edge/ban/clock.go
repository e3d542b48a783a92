package ban

import "time"

// clock counts nanoseconds since 1970 as the wall clock had them when it was
// made, and goes on at a steady pace: setting the wall clock makes no ban longer
// or shorter. On disk, where only the wall clock means anything, and for people,
// times are turned into those of the wall clock of now.
type clock struct {
	now  func() time.Time
	base time.Time
}

// instant is now on both clocks.
type instant struct {
	t  time.Time
	ns int64
}

func (c *clock) instant() instant {
	t := c.now()
	return instant{t, c.base.UnixNano() + int64(t.Sub(c.base))}
}

// time is another moment on the wall clock; zero is none.
func (i instant) time(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return i.t.Add(time.Duration(ns - i.ns)).UTC()
}

// of is time's inverse.
func (i instant) of(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return i.ns + int64(t.Sub(i.t))
}
