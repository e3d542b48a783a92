package sdk

import (
	"fmt"
	"strings"
	"time"

	"github.com/sallyport/sallyport/sdk/frame"
)

// statusMistake is the status of a denial because the plugin itself is at fault. The
// constants of net/http would bring all of that into every plugin.
const statusMistake = 500

// Verdict is what a hook decides. Make one with [Allow] or [Deny]; the zero
// Verdict denies. Its methods give a changed copy, so that one may be kept and
// used many times, from many goroutines.
type Verdict struct {
	body  frame.VerdictBody
	fault string // what was asked for and cannot be: denies
}

// Allow lets through what was judged.
func Allow() Verdict { return Verdict{body: frame.VerdictBody{Decision: frame.Allow}} }

// Deny refuses what was judged with an HTTP status of 400 to 599; any other
// status becomes 403. The reason is for the edge's log, and for metrics if it is
// one of few: the client does not see it. It is cut at 1 KiB, and what does not
// print becomes "?".
func Deny(status int, reason string) Verdict {
	if status < 400 || status > 599 {
		status = frame.DefaultDenyStatus
	}
	return Verdict{body: frame.VerdictBody{Decision: frame.Deny, Status: status, Reason: printable(reason, frame.MaxReason)}}
}

// SetHeader replaces all lines of the named header by one: of the request on its
// way to the target, or of the response on its way to the client. With Deny it is
// a header of the answer that the client gets. The edge refuses names that are its
// own to set; a name that is no token, and a value with CR, LF or NUL in it, turn
// the verdict into a denial. At most 32 edits, of 8 KiB together.
func (v Verdict) SetHeader(name, value string) Verdict {
	return v.edit(frame.Edit{Op: frame.SetHeader, Name: name, Value: value})
}

// AddHeader adds one line to those of the named header. See [Verdict.SetHeader].
func (v Verdict) AddHeader(name, value string) Verdict {
	return v.edit(frame.Edit{Op: frame.AddHeader, Name: name, Value: value})
}

// RemoveHeader drops all lines of the named header. See [Verdict.SetHeader].
func (v Verdict) RemoveHeader(name string) Verdict {
	return v.edit(frame.Edit{Op: frame.RemoveHeader, Name: name})
}

func (v Verdict) edit(e frame.Edit) Verdict {
	switch {
	case !frame.IsToken(e.Name) || len(e.Name) > frame.MaxName:
		return v.broken(fmt.Sprintf("header %q: want a token of at most %d bytes", e.Name, frame.MaxName))
	case !frame.IsValue(e.Value):
		return v.broken(fmt.Sprintf("header %s: CR, LF or NUL in its value", e.Name))
	}
	// The capacity is cut so that verdicts made of a kept one do not share room.
	n := len(v.body.Edits)
	v.body.Edits = append(v.body.Edits[:n:n], e)
	return v
}

// For says how long the verdict holds for calls with the same fields, in whole
// milliseconds and at most 24 hours. The edge may be configured to ask sooner,
// and never keeps an allow past the end of the certificate, its revocation or
// [Host.Invalidate]. Without it the verdict is for this call only.
func (v Verdict) For(d time.Duration) Verdict {
	v.body.TTL = min(max(d, 0), frame.MaxTTL).Truncate(time.Millisecond)
	return v
}

// DependsOn says that the verdict would have been the same whatever the other
// declared fields had been: then it is kept for all calls in which the named ones
// are the same. Without it the verdict depends on all of them; with no field named
// it holds for everyone. To forget one here is to decide about somebody with
// somebody else's verdict.
func (v Verdict) DependsOn(fields ...Field) Verdict {
	depends := make([]string, len(fields), len(fields)+1)
	for i, f := range fields {
		depends[i] = string(f)
	}
	v.body.Depends = depends
	return v
}

// Ban makes what was judged count as weight ordinary failures, 1 to 100, of the
// address of the judged connection, and of no other. Enough of them within the
// configured time ban it; exempt addresses stay exempt. A verdict that is kept
// counts for each request or response that it answers, and for the address which
// that came from. A connection counts once, with the greatest weight that it was
// given, however often it is judged anew.
func (v Verdict) Ban(weight int) Verdict {
	v.body.Ban = min(max(weight, 0), frame.MaxBan)
	return v
}

// Allowed reports whether the verdict lets through what was judged.
func (v Verdict) Allowed() bool { return v.body.Decision == frame.Allow && v.fault == "" }

// String tells the verdict in one line.
func (v Verdict) String() string {
	var s strings.Builder
	switch {
	case v.fault != "":
		fmt.Fprintf(&s, "deny 500 (%s)", v.fault)
		return s.String()
	case v.Allowed():
		s.WriteString("allow")
	default:
		status := v.body.Status
		if status == 0 {
			status = frame.DefaultDenyStatus
		}
		fmt.Fprintf(&s, "deny %d (%s)", status, v.body.Reason)
	}
	for _, e := range v.body.Edits {
		switch e.Op {
		case frame.SetHeader:
			fmt.Fprintf(&s, ", set %s: %s", e.Name, e.Value)
		case frame.AddHeader:
			fmt.Fprintf(&s, ", add %s: %s", e.Name, e.Value)
		case frame.RemoveHeader:
			fmt.Fprintf(&s, ", remove %s", e.Name)
		}
	}
	if v.body.TTL > 0 {
		fmt.Fprintf(&s, ", for %v", v.body.TTL)
	}
	return s.String()
}

// broken gives the denial that stands for a verdict that cannot be sent.
func (v Verdict) broken(fault string) Verdict {
	if v.fault == "" {
		v.fault = fault
	}
	return v
}

// and joins the verdicts of two hooks on the same call, the first of which has
// allowed. What both depend on, for as long as both hold.
func (v Verdict) and(w Verdict) Verdict {
	if !w.Allowed() || v.fault != "" {
		return w.broken(v.fault)
	}
	n := len(v.body.Edits)
	v.body.Edits = append(v.body.Edits[:n:n], w.body.Edits...)
	v.body.TTL = min(v.body.TTL, w.body.TTL)
	if v.body.Depends != nil && w.body.Depends != nil {
		v.body.Depends = append(v.body.Depends[:len(v.body.Depends):len(v.body.Depends)], w.body.Depends...)
	} else {
		v.body.Depends = nil
	}
	v.body.Ban = min(v.body.Ban+w.body.Ban, frame.MaxBan)
	return v
}

// finish makes the body that is sent: of a verdict that the edge would refuse, a
// denial that says what was wrong with it.
func (v Verdict) finish(d *declared) (body frame.VerdictBody, fault string) {
	if v.fault == "" {
		v.fault = v.check()
	}
	if v.fault == "" && len(v.body.Depends) > 0 {
		v.body.Depends, v.fault = d.canonical(v.body.Depends)
	}
	if v.fault == "" {
		return v.body, ""
	}
	return frame.VerdictBody{Decision: frame.Deny, Status: statusMistake,
		Reason: printable("plugin's mistake: "+v.fault, frame.MaxReason)}, v.fault
}

func (v *Verdict) check() string {
	if len(v.body.Edits) > frame.MaxEdits {
		return fmt.Sprintf("%d edits of headers: want at most %d", len(v.body.Edits), frame.MaxEdits)
	}
	size := 0
	for _, e := range v.body.Edits {
		size += len(e.Name) + len(e.Value)
	}
	if size > frame.MaxEditBytes {
		return fmt.Sprintf("edits of %d bytes: want at most %d", size, frame.MaxEditBytes)
	}
	return ""
}

// printable makes a string of at most most bytes that the edge takes.
func printable(s string, most int) string {
	if len(s) <= most && frame.IsPrintable(s) {
		return s
	}
	var b strings.Builder
	for _, r := range s { // A byte that is no UTF-8 becomes U+FFFD, which prints.
		c := string(r)
		if !frame.IsPrintable(c) {
			c = "?"
		}
		if b.Len()+len(c) > most {
			break
		}
		b.WriteString(c)
	}
	return b.String()
}
