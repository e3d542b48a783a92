package pluginhost

import (
	"errors"
	"fmt"
	"time"

	"github.com/sallyport/sallyport/sdk/frame"
)

// How a process is looked after. PINGs travel the way of the calls, so they find
// out what a health check beside it would not.
const (
	// unanswered is how long a plugin may leave a PING unanswered whose calls time
	// out, if it answers nothing else either.
	unanswered = time.Second
	// idlePing is how often one is looked at that nothing is wrong with, and
	// idleUnanswered how long it may take beyond a call that it may be at: the machine
	// may have been asleep.
	idlePing       = 10 * time.Second
	idleUnanswered = 5 * time.Second
	// canaryPause is between a canary and the next, doubled up to longestPause.
	canaryPause  = 50 * time.Millisecond
	longestPause = 5 * time.Second
)

var errHangs = errors.New("plugin hangs")

// watch pings: when calls time out, and now and then.
func (i *instance) watch() {
	ticker := time.NewTicker(idlePing)
	defer ticker.Stop()
	pause := canaryPause
	for {
		patience := idleUnanswered + i.plugin.cfg.Timeout.Std()
		select {
		case <-i.dead:
			return
		case <-ticker.C:
		case <-i.suspect:
			patience = unanswered
		}
		for first := true; first || i.breaker.isOpen(); first = false {
			if !first {
				// A canary was let out, or nobody has come to be one.
				if !i.sleep(pause) {
					return
				}
				pause = min(2*pause, longestPause)
				if !i.breaker.isOpen() {
					break
				}
				patience = unanswered
			}
			if err := i.ping(patience); err != nil {
				i.stop(err)
				return
			}
			i.breaker.answered()
		}
		pause = canaryPause
	}
}

// ping waits for the PONG, as long as the plugin answers anything. Once a call has
// timed out it waits no longer than for one that is suspect from the start.
func (i *instance) ping(patience time.Duration) error {
	o := i.out
	o.mu.Lock()
	id := i.nextID()
	i.pinged.Store(id)
	o.mu.Unlock()
	o.mu.Lock()
	i.tell(frame.Ping, id)
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for seen := i.alive.Load(); ; {
		select {
		case <-i.dead:
			return i.cause
		case <-i.pongs:
			return nil
		case <-i.suspect:
			if patience > unanswered {
				patience, seen = unanswered, i.alive.Load()
				timer.Reset(patience)
			}
		case <-timer.C:
			now := i.alive.Load()
			if now == seen {
				return fmt.Errorf("%w: no answer to a PING within %v", errHangs, patience)
			}
			seen = now
			timer.Reset(patience)
		}
	}
}

// sleep says no if the instance ends meanwhile.
func (i *instance) sleep(d time.Duration) bool {
	select {
	case <-i.dead:
		return false
	case <-time.After(d):
		return true
	}
}
