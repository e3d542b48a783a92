package fetch

import (
	"math/rand/v2"
	"time"
)

// afterSuccess is how long to wait when something newer is due at next (zero:
// not known). late counts the fetches since then that brought nothing newer: a
// CA that publishes late is asked again soon, and then less and less often.
func (o *Options) afterSuccess(now, next time.Time, late int) time.Duration {
	if !next.IsZero() && !next.After(now) {
		return max(o.MinInterval, o.backoff(late+1))
	}
	wait := o.MaxInterval
	if !next.IsZero() {
		wait = min(wait, next.Sub(now))
	}
	return max(o.MinInterval, early(wait))
}

// backoff is how long to wait after failures in a row.
func (o *Options) backoff(failures int) time.Duration {
	wait := o.MinBackoff
	for range failures - 1 {
		if wait >= o.MaxBackoff/2 {
			wait = o.MaxBackoff
			break
		}
		wait *= 2
	}
	return early(wait)
}

// early takes up to a tenth off: never later than asked, and not all at once.
func early(d time.Duration) time.Duration {
	if d < 10 {
		return d
	}
	return d - rand.N(d/10)
}
