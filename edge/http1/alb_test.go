package http1

import (
	"strings"
	"testing"
)

// outcome is a class, and the modes that refuse what has it.
type outcome struct {
	class   Class
	refused string
}

// What ALB documents of its desync mitigation: the class of each reason; and what
// this package makes of the same. It is never milder. Why it is graver where it
// is: what cannot be sent on as one message of RFC 9112 without guessing is Severe
// and refused in every mode, and two accounts of where a request ends are refused
// by default.
var albReasons = []struct {
	reason string
	alb    Class
	ours   []outcome
}{
	{"AmbiguousUri", Ambiguous, []outcome{{Severe, all3}, {Ambiguous, "ds"}}}, // control characters; two authorities
	{"BadContentLength", Severe, []outcome{{Severe, all3}}},
	{"BadHeader", Severe, []outcome{{Severe, all3}}},
	{"BadTransferEncoding", Severe, []outcome{{Severe, all3}}},
	{"BadUri", Severe, []outcome{{Severe, all3}}},
	{"BadMethod", Severe, []outcome{{Severe, all3}}},
	{"BadVersion", Severe, []outcome{{Severe, all3}}},
	{"BothTeClPresent", Ambiguous, []outcome{{Ambiguous, "ds"}}},
	{"DuplicateContentLength", Ambiguous, []outcome{{Ambiguous, "ds"}}},
	{"EmptyHeader", Ambiguous, []outcome{{Severe, all3}}},
	{"GetHeadZeroContentLength", Acceptable, []outcome{{Acceptable, "s"}}},
	{"MultipleContentLength", Severe, []outcome{{Severe, all3}}},
	{"MultipleTransferEncodingChunked", Severe, []outcome{{Severe, all3}}},
	{"NonCompliantHeader", Acceptable, []outcome{{Acceptable, "s"}, {Severe, all3}}}, // bytes over 0x7F; folding, names that are no tokens
	{"NonCompliantVersion", Acceptable, nil},                                         // any other version is a BadVersion
	{"SpaceInUri", Acceptable, []outcome{{Severe, all3}}},
	{"SuspiciousHeader", Ambiguous, []outcome{{Ambiguous, "s"}}},
	{"SuspiciousTeClPresent", Severe, []outcome{{Severe, "ds"}}},
	{"UndefinedContentLengthSemantics", Ambiguous, []outcome{{Ambiguous, "s"}}},
	{"UndefinedTransferEncodingSemantics", Ambiguous, []outcome{{Ambiguous, "s"}, {Severe, all3}}}, // of GET and HEAD; in HTTP/1.0
	// Ours.
	{ReasonOddTarget, Compliant, []outcome{{Acceptable, "s"}}},
	{ReasonHeadTooLarge, Compliant, []outcome{{Severe, all3}}},
}

// albRefuses is what ALB refuses of a class, by mode.
var albRefuses = map[Class]string{Compliant: "", Acceptable: "s", Ambiguous: "s", Severe: "ds"}

func TestALBClasses(t *testing.T) {
	type key struct {
		reason string
		outcome
	}
	seen := map[key]bool{}
	for _, list := range [][]attack{attacks, spellings()} {
		for _, test := range list {
			seen[key{test.reason, outcome{test.class, test.refused}}] = true
		}
	}
	delete(seen, key{})
	for _, row := range albReasons {
		for _, ours := range row.ours {
			k := key{row.reason, ours}
			if !seen[k] {
				t.Errorf("%v %s, refused in %q: no request shows it", ours.class, row.reason, ours.refused)
			}
			delete(seen, k)
			if ours.class < row.alb {
				t.Errorf("%s is %v, and %v at ALB", row.reason, ours.class, row.alb)
			}
			for _, mode := range albRefuses[row.alb] {
				if !strings.ContainsRune(ours.refused, mode) {
					t.Errorf("%s is not refused in mode %c, as ALB does", row.reason, mode)
				}
			}
			if ours.class == Compliant || !strings.Contains(ours.refused, "s") {
				t.Errorf("%s passes in strictest mode", row.reason)
			}
		}
	}
	for k := range seen {
		t.Errorf("%v %s, refused in %q, is not in the table", k.class, k.reason, k.refused)
	}
}
