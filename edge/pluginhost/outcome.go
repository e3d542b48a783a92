package pluginhost

import (
	"time"

	"github.com/sallyport/sallyport/edge/http1"
)

// Failure is why there is no verdict. Zero is none.
type Failure uint8

const (
	Timeout   Failure = iota + 1 // no answer in time
	Down                         // the process is gone, or not started yet
	Overload                     // too many answers are waited for already
	Malformed                    // the answer is none that a plugin may give
	Breaker                      // not asked: it has missed too many deadlines
	Oversized                    // what it must be told is longer than it takes

	failures // how many there are, zero included
)

// mayAllow says whether on_error: allow lets in what there was this failure for:
// only if nobody has answered. A verdict that breaks a rule may have been a
// denial, and how long a request is is up to who sends it.
func (f Failure) mayAllow() bool {
	return f == Timeout || f == Down || f == Overload || f == Breaker
}

var failureNames = [failures]string{"", "timeout", "down", "overload", "malformed", "breaker", "oversized"}

// String returns the name that logs and metrics print.
func (f Failure) String() string {
	if f >= failures {
		return "unknown"
	}
	return failureNames[f]
}

// Failures returns every failure.
func Failures() []Failure { return []Failure{Timeout, Down, Overload, Malformed, Breaker, Oversized} }

// Hook is what a plugin is asked about.
type Hook uint8

const (
	OnConnection Hook = iota
	OnRequest
	OnResponse

	hooks
)

// String returns the name that metrics print.
func (h Hook) String() string { return [hooks]string{"connection", "request", "response"}[h] }

// Outcome is what a Decision comes to. The zero Outcome refuses.
type Outcome uint8

const (
	Unavailable Outcome = iota // a plugin gave no verdict: 503
	Denied
	Admitted
)

// String returns the name that spans have.
func (o Outcome) String() string {
	switch o {
	case Denied:
		return "deny"
	case Admitted:
		return "allow"
	}
	return "unavailable"
}

// Decision is what the plugins of a chain come to. The zero Decision refuses.
type Decision struct {
	Outcome Outcome
	Plugin  string  // that denied or failed
	Failure Failure // why it gave no verdict
	Status  int     // of the answer to who is denied
	Reason  string  // of a denial, for logs
	// Edits are changes of the request's header, or of the response's; of a
	// denial, of the answer's.
	Edits http1.Edits
	// Told, if not nil, gets what each plugin has said, and when it was asked.
	Told func(plugin string, h Hook, o Outcome, begun time.Time, took time.Duration)
	// Open says that some plugin gave no verdict, and its on_error allowed that: what
	// is Admitted so holds for this once, and must not be kept.
	Open bool
	// Ban is how many ordinary failures this counts for, beside what it is.
	Ban int

	room  [8][]http1.Edit
	lines []http1.Edit // that templates have made
	space [4]http1.Edit
}

// reset makes d refuse, with room for edits. What it had is not touched: others
// may still read it.
func (d *Decision) reset() {
	*d = Decision{Told: d.Told}
	d.Edits, d.lines = d.room[:0], d.space[:0]
}

// verdict is what a plugin has said. It is immutable, and shared by all that the
// cache answers with it.
type verdict struct {
	allow  bool
	status int
	reason string
	edits  []http1.Edit
	ban    int

	ttl  time.Duration // how long it may be kept; 0: not at all
	mask uint64        // of the declared fields that it depends on
	size int           // bytes that keeping it keeps
}

// plainAllow is the most frequent of verdicts.
var plainAllow = &verdict{allow: true, mask: everything}
