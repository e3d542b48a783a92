// Package http1 reads the messages of HTTP/1.1 as their bytes came, in place, and
// says what is wrong with them (RFC 9110, RFC 9112). It knows bytes only: no
// sockets, no clock, nothing of the edge.
//
// What it lets through has one reading. Where readers are known to differ it
// either refuses, or leaves out what they differ about and says so in the words
// of ALB's desync classification.
package http1

// Class is ALB's classification of a request.
type Class uint8

const (
	Compliant  Class = iota // with the RFCs: ALB has no word for it
	Acceptable              // against them, but read by all in one way
	Ambiguous               // read in different ways by servers in the field
	Severe                  // made to be read in different ways, or not to be read at all
)

// String returns ALB's word, "" for Compliant.
func (c Class) String() string {
	switch c {
	case Acceptable:
		return "Acceptable"
	case Ambiguous:
		return "Ambiguous"
	case Severe:
		return "Severe"
	}
	return ""
}

// Mode is ALB's desync mitigation mode: which requests are refused.
type Mode uint8

const (
	// Defensive refuses what is Severe, and what is Ambiguous about where the
	// request ends. What else is Ambiguous goes on without what makes it so, and
	// is the last on its connections.
	Defensive Mode = iota
	// Monitor refuses only what has no single reading.
	Monitor
	// Strictest refuses everything but what is Compliant.
	Strictest
)

// Finding is what is wrong with a message: the zero Finding is nothing.
type Finding struct {
	Class  Class
	Reason string // ALB's word for it, where it has one
	level  level
}

// level is the mildest mode that refuses.
type level uint8

const (
	always    level = iota // there is no one reading to send on
	defensive              // and strictest
	strictest
)

// Refused says whether a request with this finding must not go on in a mode.
func (f Finding) Refused(m Mode) bool {
	if f.Class == Compliant {
		return false
	}
	switch m {
	case Strictest:
		return true
	case Monitor:
		return f.level == always
	}
	return f.level <= defensive
}

// worse returns the graver of two findings, the first of equals.
func (f Finding) worse(other Finding) Finding {
	if other.Class == Compliant || f.Class != Compliant && (f.level < other.level || f.level == other.level && f.Class >= other.Class) {
		return f
	}
	return other
}

// Malformed is the Finding of a message that must not go on in any mode.
func Malformed(reason string) Finding { return broken(reason) }

// broken is a message without a single reading.
func broken(reason string) Finding { return Finding{Class: Severe, Reason: reason, level: always} }

// Reasons that are not ALB's.
const (
	ReasonHeadTooLarge   = "HeadTooLarge"
	ReasonTargetTooLarge = "UriTooLarge"
	// ReasonOddTarget is a target with visible bytes that RFC 3986 wants encoded,
	// which ALB has no word for.
	ReasonOddTarget = "NonCompliantUri"
)

var (
	nonASCIIHeader   = Finding{Acceptable, "NonCompliantHeader", strictest}
	oddTarget        = Finding{Acceptable, ReasonOddTarget, strictest}
	paddedHeader     = Finding{Acceptable, "NonCompliantHeader", strictest}
	zeroLengthOfGet  = Finding{Acceptable, "GetHeadZeroContentLength", strictest}
	lengthOfGet      = Finding{Ambiguous, "UndefinedContentLengthSemantics", strictest}
	codingOfGet      = Finding{Ambiguous, "UndefinedTransferEncodingSemantics", strictest}
	suspiciousHeader = Finding{Ambiguous, "SuspiciousHeader", strictest}
	suspiciousBoth   = Finding{Severe, "SuspiciousTeClPresent", defensive}
	bothPresent      = Finding{Ambiguous, "BothTeClPresent", defensive}
	sameLengthTwice  = Finding{Ambiguous, "DuplicateContentLength", defensive}
	otherAuthority   = Finding{Ambiguous, "AmbiguousUri", defensive}
)
