package frame

import (
	"time"
)

// Decision is the outcome of a verdict. The zero Decision is a denial, and so is
// every value but Allow.
type Decision uint8

// The decisions.
const (
	Allow Decision = 1
	Deny  Decision = 2
)

// EditOp is what an Edit does with a header.
type EditOp uint8

// The edits. Their order in a verdict is the order in which they are done.
const (
	SetHeader    EditOp = iota + 1 // replace all lines of that name by one
	AddHeader                      // one more line
	RemoveHeader                   // drop all lines of that name
)

// Edit is one change of the headers.
type Edit struct {
	Op    EditOp
	Name  string // a token, in the case in which it is to be sent
	Value string // bytes without CR, LF and NUL
}

// DefaultDenyStatus is the status of a denial that names none.
const DefaultDenyStatus = 403

// VerdictBody is the body of VERDICT. The zero VerdictBody denies.
//
// With Allow, Edits change the headers of what was judged: of the request on its
// way to the target (a connection's: of every request on it), or of the response
// on its way to the client. With Deny they are headers of the answer that the
// client gets, WWW-Authenticate say.
type VerdictBody struct {
	Decision Decision
	Status   int    // of a denial, 400 to 599; DefaultDenyStatus when none was named
	Reason   string // printable, for logs; the client does not see it
	Edits    []Edit
	TTL      time.Duration // how long the verdict holds for the same fields; 0: this once
	// Depends names the declared fields that the verdict depended on. It is nil
	// when none were named, which means all of those that were sent, and empty
	// but not nil when the verdict is the same for everyone.
	Depends []string
	Ban     int // how many ordinary failures of the client's address this counts for
}

// Append appends the fields of v. It checks nothing: ParseVerdict does.
func (v *VerdictBody) Append(dst []byte) []byte {
	decision := v.Decision
	if decision != Allow {
		decision = Deny
	}
	dst = AppendUint(dst, TagDecision, uint64(decision))
	if v.Status != 0 {
		dst = AppendUint(dst, TagStatus, uint64(v.Status))
	}
	if v.Reason != "" {
		dst = AppendString(dst, TagReason, v.Reason)
	}
	for i := range v.Edits {
		switch e := &v.Edits[i]; e.Op {
		case SetHeader:
			dst = AppendPair(dst, TagSetHeader, e.Name, e.Value)
		case AddHeader:
			dst = AppendPair(dst, TagAddHeader, e.Name, e.Value)
		case RemoveHeader:
			dst = AppendString(dst, TagRemoveHeader, e.Name)
		}
	}
	if v.TTL > 0 {
		dst = AppendUint(dst, TagTTL, uint64(v.TTL/time.Millisecond))
	}
	for _, name := range v.Depends {
		dst = AppendString(dst, TagDepends, name)
	}
	if v.Depends != nil && len(v.Depends) == 0 {
		dst = AppendString(dst, TagDepends, "")
	}
	if v.Ban > 0 {
		dst = AppendUint(dst, TagBan, uint64(v.Ban))
	}
	return dst
}

// ParseVerdict reads the body of VERDICT and checks every bound. Nothing of the
// result points into body. A plain allow or deny costs no allocation; whether
// Depends names fields that were declared is for the caller to check.
func ParseVerdict(body []byte) (VerdictBody, error) {
	var v VerdictBody
	r := read(Verdict, body)
	// One copy for all strings of the body, and only if there is one.
	var text string
	str := func(value []byte) string {
		if text == "" {
			text = string(body)
		}
		// value ends where the rest of the body begins.
		end := len(body) - len(r.fields.rest)
		return text[end-len(value) : end]
	}
	var editBytes int
	var everyone bool
	for tag, value, ok := r.next(); ok; tag, value, ok = r.next() {
		switch tag {
		case TagDecision:
			if n := r.number(tag, value, 0, 1<<64-1); n == uint64(Allow) {
				v.Decision = Allow
			} else {
				v.Decision = Deny
			}
		case TagStatus:
			v.Status = int(r.number(tag, value, 400, 599))
		case TagReason:
			v.Reason = r.text(tag, str(value), MaxReason)
		case TagSetHeader, TagAddHeader, TagRemoveHeader:
			e := r.edit(tag, str(value))
			if editBytes += len(e.Name) + len(e.Value); len(v.Edits) == MaxEdits || editBytes > MaxEditBytes {
				r.fail("more than %d edits or %d bytes of them", MaxEdits, MaxEditBytes)
			}
			v.Edits = append(v.Edits, e)
		case TagTTL:
			v.TTL = time.Duration(r.number(tag, value, 0, uint64(MaxTTL/time.Millisecond))) * time.Millisecond
		case TagDepends:
			if len(value) > 0 {
				v.Depends = r.need(v.Depends, string(value), MaxNeeds)
				break
			}
			everyone = true
			r.once(tag)
		case TagBan:
			v.Ban = int(r.number(tag, value, 1, MaxBan))
		default:
			r.unknown(tag)
		}
	}
	switch {
	case everyone && len(v.Depends) > 0:
		r.fail("depends on nothing and on %s", v.Depends[0])
	case everyone:
		v.Depends = []string{}
	}
	switch {
	case v.Decision == Allow && v.Status != 0:
		r.fail("status %d of an allow", v.Status)
	case v.Decision != Allow:
		v.Decision = Deny
		if v.Status == 0 {
			v.Status = DefaultDenyStatus
		}
	}
	if r.err != nil {
		return VerdictBody{}, r.err
	}
	return v, nil
}

// edit reads one change of a header.
func (r *reader) edit(tag Tag, text string) Edit {
	e := Edit{Name: text}
	switch tag {
	case TagSetHeader:
		e.Op = SetHeader
	case TagAddHeader:
		e.Op = AddHeader
	case TagRemoveHeader:
		e.Op = RemoveHeader
	}
	if e.Op != RemoveHeader {
		i := 0
		for i < len(text) && text[i] != 0 {
			i++
		}
		if i == len(text) {
			r.fail("%v without a zero byte between name and value", tag)
			return e
		}
		e.Name, e.Value = text[:i], text[i+1:]
	}
	if !IsToken(e.Name) || len(e.Name) > MaxName {
		r.fail("header %q: want the name of a header", clip(e.Name))
	}
	if !IsValue(e.Value) {
		r.fail("header %s: CR, LF or NUL in its value", e.Name)
	}
	return e
}
