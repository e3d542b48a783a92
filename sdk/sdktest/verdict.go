package sdktest

import (
	"fmt"
	"strings"
	"time"

	"github.com/sallyport/sallyport/sdk/frame"
)

// Verdict is a plugin's verdict as the edge has read it.
type Verdict struct {
	Allowed   bool
	Status    int    // of a denial
	Reason    string // of a denial
	Edits     []Edit
	For       time.Duration
	DependsOn []string // nil: all that was sent; empty: nothing
	Ban       int
}

// Edit is a change of a header: Op is "set", "add" or "remove".
type Edit struct{ Op, Name, Value string }

// Header gives the value that the edits leave in the named header, in any spelling
// that a target could take for it: of several lines the last one, and nothing if
// there is none or they only remove.
func (v Verdict) Header(name string) string {
	value := ""
	for _, e := range v.Edits {
		if sameName(e.Name, name) {
			value = e.Value // which is empty where the header is removed
		}
	}
	return value
}

// String tells the verdict in one line.
func (v Verdict) String() string {
	var s strings.Builder
	if v.Allowed {
		s.WriteString("allow")
	} else {
		fmt.Fprintf(&s, "deny %d (%s)", v.Status, v.Reason)
	}
	for _, e := range v.Edits {
		fmt.Fprintf(&s, ", %s %s", e.Op, e.Name)
		if e.Op != "remove" {
			fmt.Fprintf(&s, ": %s", e.Value)
		}
	}
	if v.For > 0 {
		fmt.Fprintf(&s, ", for %v", v.For)
	}
	if v.DependsOn != nil {
		fmt.Fprintf(&s, ", depends on %s", strings.Join(v.DependsOn, " "))
	}
	if v.Ban > 0 {
		fmt.Fprintf(&s, ", ban %d", v.Ban)
	}
	return s.String()
}

func newVerdict(b frame.VerdictBody) Verdict {
	v := Verdict{
		Allowed: b.Decision == frame.Allow, Status: b.Status, Reason: b.Reason,
		For: b.TTL, DependsOn: b.Depends, Ban: b.Ban,
	}
	ops := map[frame.EditOp]string{frame.SetHeader: "set", frame.AddHeader: "add", frame.RemoveHeader: "remove"}
	for _, e := range b.Edits {
		v.Edits = append(v.Edits, Edit{ops[e.Op], e.Name, e.Value})
	}
	return v
}
