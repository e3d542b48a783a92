package servercert

import (
	"context"
	"crypto/x509"
	"math/rand/v2"
	"time"
)

// shortLife is below what a third of a certificate's life is too little to mend
// what keeps it from being renewed.
const shortLife = 10 * 24 * time.Hour

// renewAt is when a certificate is renewed, unless its CA says otherwise.
func renewAt(leaf *x509.Certificate) time.Time {
	life := leaf.NotAfter.Sub(leaf.NotBefore)
	if life < shortLife {
		return leaf.NotAfter.Add(-life / 2)
	}
	return leaf.NotAfter.Add(-life / 3)
}

// lastChance is when a certificate is renewed whatever its CA has said: a window may
// reach to the very end, and a renewal may have to be tried more than once.
func lastChance(leaf *x509.Certificate) time.Time {
	return leaf.NotAfter.Add(-leaf.NotAfter.Sub(leaf.NotBefore) / 5)
}

// The waits after the first, second, … failure; the last one from there on. Who
// cannot be reached may be asked again soon. A CA that refuses counts: Let's
// Encrypt takes five failed checks of a name in an hour.
var (
	afterUnreachable = []time.Duration{5 * time.Second, 15 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 30 * time.Minute}
	afterRefused     = []time.Duration{time.Minute, 5 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 4 * time.Hour, 6 * time.Hour}
)

// backoff is how long to wait after so many failures in a row, from 1, give or
// take a tenth: edges that failed together need not come back together.
func backoff(failures int, refused bool) time.Duration {
	waits := afterUnreachable
	if refused {
		waits = afterRefused
	}
	wait := waits[min(max(failures, 1), len(waits))-1]
	return wait*9/10 + rand.N(wait/5)
}

// retryIn is backoff for a certificate in force: one that lives for hours must not
// be past its end before it is tried for again.
func retryIn(failures int, refused bool, leaf *x509.Certificate) time.Duration {
	wait := backoff(failures, refused)
	if leaf == nil {
		return wait
	}
	return min(wait, max(leaf.NotAfter.Sub(leaf.NotBefore)/20, time.Second))
}

// milestones are the days left at which an operator is told.
var milestones = []int{45, 30, 15, 7, 1}

// milestone returns the smallest of the milestones that is not below the time
// left, and when the next smaller one is reached; days is 0 before the first.
// Those that a certificate has never been above are left out.
func milestone(leaf *x509.Certificate, now time.Time) (days int, next time.Time) {
	life := leaf.NotAfter.Sub(leaf.NotBefore)
	for _, n := range milestones {
		left := time.Duration(n) * 24 * time.Hour
		if left >= life {
			continue
		}
		at := leaf.NotAfter.Add(-left)
		if now.Before(at) {
			return days, at
		}
		days = n
	}
	return days, leaf.NotAfter
}

// maxFloor bounds how long a fresh certificate stays in any case, which is a sixth of
// its life. revokedInterval is how often one is replaced because it is revoked: a
// responder that says so of every certificate must not have us order without end.
const (
	maxFloor        = 24 * time.Hour
	revokedInterval = 24 * time.Hour
)

// sleep waits for d, and says whether ctx lasted as long.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
