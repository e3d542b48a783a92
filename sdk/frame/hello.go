package frame

import (
	"slices"
	"strings"
)

// Hooks is a set of what a plugin can be asked.
type Hooks uint8

// The hooks. The first two may deny; what a verdict on the others may do is in
// FRAMES.md.
const (
	HookConnection    Hooks = 1 << iota // authorize a connection: CONNECTION
	HookRequest                         // authorize a request: REQUEST
	HookShapeRequest                    // edit a request's headers: REQUEST
	HookShapeResponse                   // edit a response's headers: RESPONSE
	HookObserve                         // OBSERVE
)

var hookNames = []string{"connection", "request", "shape_request", "shape_response", "observe"}

// Names gives the names of the hooks in h.
func (h Hooks) Names() []string {
	var names []string
	for i, name := range hookNames {
		if h&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return names
}

// String joins the names of the hooks in h.
func (h Hooks) String() string { return strings.Join(h.Names(), ", ") }

// ParseHook gives the hook of that name.
func ParseHook(name string) (Hooks, bool) {
	i := slices.Index(hookNames, name)
	if i < 0 {
		return 0, false
	}
	return 1 << i, true
}

// HelloBody is the body of HELLO: what a plugin says of itself.
type HelloBody struct {
	Protocols   []uint32 // versions of the protocol that it speaks
	Name        string   // a token
	Version     string
	Hooks       Hooks    // at least one
	Needs       []string // names of fields, as ParseNeed reads them
	Owns        []string // headers that only this plugin may set
	Concurrency int      // calls at once; 1: one after the other, in the order in which they were sent
	MaxFrame    int      // what it can read
}

// Append appends the fields of h. It checks nothing: ParseHello does.
func (h *HelloBody) Append(dst []byte) []byte {
	for _, version := range h.Protocols {
		dst = AppendUint(dst, TagProtocol, uint64(version))
	}
	dst = AppendString(dst, TagName, h.Name)
	dst = AppendString(dst, TagVersion, h.Version)
	for _, name := range h.Hooks.Names() {
		dst = AppendString(dst, TagHook, name)
	}
	for _, need := range h.Needs {
		dst = AppendString(dst, TagNeed, need)
	}
	for _, name := range h.Owns {
		dst = AppendString(dst, TagOwns, name)
	}
	dst = AppendUint(dst, TagConcurrency, uint64(h.Concurrency))
	return AppendUint(dst, TagMaxFrame, uint64(h.MaxFrame))
}

// ParseHello reads the body of HELLO, checks every bound, and gives needs and
// owned headers in lower case. Without a concurrency it is 1, without a greatest
// frame DefaultMax.
func ParseHello(body []byte) (HelloBody, error) {
	h := HelloBody{Concurrency: 1, MaxFrame: DefaultMax}
	r := read(Hello, body)
	for tag, value, ok := r.next(); ok; tag, value, ok = r.next() {
		switch tag {
		case TagProtocol:
			h.Protocols = append(h.Protocols, uint32(r.repeated(tag, value, 1, 1<<32-1)))
			if len(h.Protocols) > maxProtocols {
				r.fail("more than %d versions of the protocol", maxProtocols)
			}
		case TagName:
			h.Name = r.text(tag, string(value), MaxName)
		case TagVersion:
			h.Version = r.text(tag, string(value), MaxName)
		case TagHook:
			hook, known := ParseHook(string(value))
			if !known || h.Hooks&hook != 0 {
				r.fail("hook %q: want each once of %s", clip(string(value)), strings.Join(hookNames, ", "))
			}
			h.Hooks |= hook
		case TagNeed:
			h.Needs = r.need(h.Needs, string(value), MaxNeeds)
		case TagOwns:
			name := strings.ToLower(string(value))
			if !IsToken(name) || len(name) > MaxName || slices.Contains(h.Owns, name) {
				r.fail("owned header %q: want the name of a header, once", clip(name))
			}
			h.Owns = append(h.Owns, name)
			if len(h.Owns) > MaxOwned {
				r.fail("more than %d owned headers", MaxOwned)
			}
		case TagConcurrency:
			h.Concurrency = int(r.number(tag, value, 1, MaxConcurrency))
		case TagMaxFrame:
			h.MaxFrame = int(r.number(tag, value, MinMax, HardMax))
		default:
			r.unknown(tag)
		}
	}
	switch {
	case len(h.Protocols) == 0:
		r.fail("no version of the protocol")
	case !IsToken(h.Name):
		r.fail("name %q: want letters, digits, - and the like", clip(h.Name))
	case h.Hooks == 0:
		r.fail("no hook")
	}
	if r.err != nil {
		return HelloBody{}, r.err
	}
	return h, nil
}

// need appends the canonical name of a declared field.
func (r *reader) need(to []string, name string, most int) []string {
	need, err := ParseNeed(name)
	if err != nil {
		if r.err == nil {
			r.err = err
		}
		return to
	}
	name = need.String()
	if slices.Contains(to, name) {
		r.fail("field %q twice", name)
	}
	if len(to) == most {
		r.fail("more than %d fields", most)
	}
	return append(to, name)
}
