package proxy

import (
	"errors"
	"net/http"
)

// Health says which targets of a group may have requests. Its methods are called
// for every request, concurrently: they should neither wait nor allocate.
type Health interface {
	// Fit returns the places of those targets in the group's configuration. With
	// none, the request is answered 503. What it returns is not changed.
	Fit() []int
	// Tried is told what became of a request at a target: ok is false if that was
	// not reached, gave no answer or a malformed one, or answered 502 or 504. What
	// fails for a client's sake is not told of, nor is a stream of HTTP/2 that the
	// target resets.
	Tried(target int, ok bool)
}

// everybody is the Health of targets that nobody has an eye on.
type everybody []int

func (e everybody) Fit() []int    { return e }
func (everybody) Tried(int, bool) {}

func everybodyOf(g *TargetGroup) (e everybody) {
	for i := range g.targets {
		e = append(e, i)
	}
	return e
}

// Watch has h say which of the group's targets may have requests. Until then all
// may. It must not be called once the group has had a request.
func (g *TargetGroup) Watch(h Health) { g.health = h }

// InFlight returns how many requests the target at a place in the configuration
// has that are not over.
func (g *TargetGroup) InFlight(target int) int { return int(g.targets[target].inFlight.Load()) }

var errNoHealthyTarget = errors.New("no target is healthy")

// at has the exchange count among those of a target, and no other; nil is none.
func (x *exchange) at(t *target) {
	if x.counted != nil {
		x.counted.Add(-1)
	}
	x.counted = nil
	if t != nil {
		x.counted = &t.inFlight
		t.inFlight.Add(1)
	}
}

// report tells the group's health what became of the request at a target. The
// client's failing is not the target's, nor is a refusal of this one request: a
// client could have targets ejected by asking for what they refuse.
func (x *exchange) report(g *TargetGroup, target int, err error) {
	switch {
	case err == nil:
		status := x.resp.Status
		g.health.Tried(target, status != http.StatusBadGateway && status != http.StatusGatewayTimeout)
	case x.isGone(), x.body.failed() != nil, x.idle.who() == clientIdle, x.idle.who() == clientDeaf, isClients(err):
	case refusedAlone(err):
	default:
		g.health.Tried(target, false)
	}
}

// refusedAlone says whether a request by HTTP/2 failed by itself, its connection
// being in order: the target has reset its stream, or has said before that it takes
// no head of that size. A stream that net/http resets, as the answer on it is
// malformed, is another thing. net/http has no names for these, but texts.
func refusedAlone(err error) bool {
	var stream streamError
	if errors.As(err, &stream) {
		return stream.Cause != nil && stream.Cause.Error() == "received from peer"
	}
	return err.Error() == "http2: request header list larger than peer's advertised limit"
}
