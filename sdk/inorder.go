package sdk

import (
	"context"
	"time"

	"github.com/sallyport/sallyport/sdk/frame"
)

// flushAfter is how long a verdict may wait for those of the calls that came with
// it. When no complete frame is left, all are written at once.
const flushAfter = 250 * time.Microsecond

// inOrder handles one call after the other on the goroutine that reads: no
// hand-over, and one write for the verdicts of all calls that one read brought.
func (s *session) inOrder() error {
	c := &call{session: s}
	c.ctx = &callContext{base: s.base, watch: func(cancel context.CancelFunc) (stop func()) {
		// Whoever looks at its context is about to wait, and verdicts must not
		// wait with it.
		s.out.flush()
		return s.in.watch(c.id, cancel)
	}}
	began := time.Now()
	oldest := time.Duration(-1) // when the oldest verdict that was not written was appended
	for {
		f, ok, err := s.in.next()
		if err != nil {
			return err
		}
		if !ok {
			s.out.flush()
			oldest = -1
			s.in.linger()
			if err := s.in.fill(); err != nil {
				return err
			}
			continue
		}
		switch {
		case f.Type.Call():
			if err := c.load(f); err != nil {
				return err
			}
			v := s.decide(c)
			c.over()
			s.out.verdict(c.id, &v, c.epoch)
		case f.Type == frame.Observe:
			if err := c.load(f); err != nil {
				return err
			}
			s.notice(c)
			c.over()
		case f.Type == frame.Ping:
			s.out.plain(frame.Pong, f.ID)
		case f.Type == frame.GoAway:
			return nil
		case f.Type == frame.Cancel: // Of a call that was answered meanwhile.
		default:
			return unexpected(f)
		}
		if now := time.Since(began); oldest < 0 {
			oldest = now
		} else if now-oldest > flushAfter {
			s.out.flush()
			oldest = -1
		}
	}
}
