package health

import (
	"net/netip"
	"time"

	"github.com/sallyport/sallyport/edge/accesslog"
	"github.com/sallyport/sallyport/edge/config"
)

// standing is what checks have found.
type standing struct {
	state       State
	reason      Reason
	description string
	since       time.Time
	streak      int    // results in a row that speak against the state
	last        result // none: it began at the zero time
	due         bool   // the next check is not to wait
}

// result is one check's.
type result struct {
	began    time.Time
	took     time.Duration
	pass     bool
	code     int
	answered bool // there is a code
	reason   string
	detail   string
	from     netip.Addr     // the edge's own
	to       netip.AddrPort // the one that the target's name stood for
}

// take makes of a result what it means, and says whether the state is another.
func (s *standing) take(r result, cfg *config.HealthCheck) (changed bool) {
	s.last = r
	if r.reason == accesslog.CheckInternalError {
		return false // the edge's own trouble is not held against targets
	}
	against, needed := !r.pass, cfg.UnhealthyThreshold
	switch {
	case s.state == Unhealthy:
		against, needed = r.pass, cfg.HealthyThreshold
	case s.state == Initial && r.pass:
		against, needed = true, 1
	}
	if !against {
		s.streak = 0
		if s.state == Unhealthy {
			s.reason, s.description = r.why()
		}
		return false
	}
	if s.streak++; s.streak < needed {
		return false
	}
	if r.pass {
		s.state, s.reason, s.description = Healthy, "", ""
	} else {
		s.state = Unhealthy
		s.reason, s.description = r.why()
	}
	s.since, s.streak = r.began.Add(r.took), 0
	return true
}

// why is what a failed check makes an unhealthy target's reason.
func (r *result) why() (Reason, string) {
	reason := reasonOf(r.reason)
	return reason, reason.Description(r.code)
}
