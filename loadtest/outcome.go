package loadtest

import (
	"slices"
	"strconv"
	"time"
)

// outcome is what became of a unit. Moments are kept, so that nothing is worked
// out while the unit runs; those that were not reached are zero.
type outcome struct {
	begun, dialled, connected, shaken time.Time // of a connection that the unit made
	sent, first, ended                time.Time // of the request: begun, first byte of the answer, last
	in, out                           int64     // bytes of bodies
	status                            int
	resumed                           bool
	err                               error // no answer came, or not the whole of it
	connecting                        bool  // err is of the TCP connection
}

// verdict is how a unit ended.
type verdict int

const (
	failed verdict = iota
	refused
	done
)

// judge decides how a unit ended, by the server's own word; kind and example are
// empty for what is done.
func (o *outcome) judge(p *Plan) (v verdict, kind, example string) {
	if o.err != nil {
		kind, refusal := kindOf(o.err, o.connecting)
		if refusal {
			return refused, kind, o.err.Error()
		}
		return failed, kind, o.err.Error()
	}
	if o.status != p.ExpectStatus {
		kind = "status " + strconv.Itoa(o.status)
		if slices.Contains(refusals[:], o.status) {
			return refused, kind, kind
		}
		return failed, kind, kind + ", want " + strconv.Itoa(p.ExpectStatus)
	}
	switch {
	case p.ExpectRefusal:
		return failed, "not refused", "status " + strconv.Itoa(o.status) + ", want a refusal"
	case p.Scenario == Resume && !o.resumed:
		return failed, "not resumed", "the server made a full handshake"
	}
	return done, "", ""
}
