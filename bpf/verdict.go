package bpf

import (
	"fmt"
	"iter"
)

// Verdict is what became of a packet, and why. Its String is a name fit for a
// metric's label.
type Verdict uint8

const (
	Pass                  = Verdict(xdpVerdictPASS)                     // judged, and nothing against it
	PassOff               = Verdict(xdpVerdictPASS_OFF)                 // not looked at
	PassTruncated         = Verdict(xdpVerdictPASS_TRUNCATED)           // ends within a header
	PassMalformed         = Verdict(xdpVerdictPASS_MALFORMED)           // an IP header that cannot be
	PassTooManyTags       = Verdict(xdpVerdictPASS_TOO_MANY_TAGS)       // of VLANs: more than four
	PassNotIP             = Verdict(xdpVerdictPASS_NOT_IP)              //
	PassNotTCP            = Verdict(xdpVerdictPASS_NOT_TCP)             //
	PassLaterFragment     = Verdict(xdpVerdictPASS_LATER_FRAGMENT)      // has no ports
	PassTooManyExtensions = Verdict(xdpVerdictPASS_TOO_MANY_EXTENSIONS) // of IPv6: more than eight
	PassOutOfScope        = Verdict(xdpVerdictPASS_OUT_OF_SCOPE)        // to no listener
	PassForwarded         = Verdict(xdpVerdictPASS_FORWARDED)           // to another machine, past a listener on any address
	PassExempt            = Verdict(xdpVerdictPASS_EXEMPT)              //
	PassExpired           = Verdict(xdpVerdictPASS_EXPIRED)             // the ban that it met is over
	DropHost              = Verdict(xdpVerdictDROP_HOST)                // its source is banned
	DropNetwork           = Verdict(xdpVerdictDROP_NETWORK)             // its source's network is banned
	DropSYNLimit          = Verdict(xdpVerdictDROP_SYN_LIMIT)           //
	WouldDropHost         = Verdict(xdpVerdictWOULD_DROP_HOST)          // these in dry run, and passed
	WouldDropNetwork      = Verdict(xdpVerdictWOULD_DROP_NETWORK)       //
	WouldDropSYNLimit     = Verdict(xdpVerdictWOULD_DROP_SYN_LIMIT)     //
)

var verdictNames = [xdpVerdictVERDICTS]string{
	Pass:                  "pass",
	PassOff:               "pass_off",
	PassTruncated:         "pass_truncated",
	PassMalformed:         "pass_malformed",
	PassTooManyTags:       "pass_too_many_vlan_tags",
	PassNotIP:             "pass_not_ip",
	PassNotTCP:            "pass_not_tcp",
	PassLaterFragment:     "pass_later_fragment",
	PassTooManyExtensions: "pass_too_many_extensions",
	PassOutOfScope:        "pass_out_of_scope",
	PassForwarded:         "pass_forwarded",
	PassExempt:            "pass_exempt",
	PassExpired:           "pass_expired",
	DropHost:              "drop_host",
	DropNetwork:           "drop_network",
	DropSYNLimit:          "drop_syn_limit",
	WouldDropHost:         "would_drop_host",
	WouldDropNetwork:      "would_drop_network",
	WouldDropSYNLimit:     "would_drop_syn_limit",
}

func (v Verdict) String() string {
	if int(v) < len(verdictNames) {
		return verdictNames[v]
	}
	return fmt.Sprintf("Verdict(%d)", uint8(v))
}

// Verdicts returns every Verdict, in order.
func Verdicts() iter.Seq[Verdict] {
	return func(yield func(Verdict) bool) {
		for v := range Verdict(len(verdictNames)) {
			if !yield(v) {
				return
			}
		}
	}
}

// Dropped says whether a packet of this verdict goes no further.
func (v Verdict) Dropped() bool {
	return v >= DropHost && v <= DropSYNLimit
}
