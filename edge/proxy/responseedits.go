package proxy

import (
	"slices"
	"strings"

	"github.com/sallyport/sallyport/edge/http1"
)

// editResponse makes the listener's changes in x.resp.
func (x *exchange) editResponse() {
	x.edit(x.edits)
	x.editAnnounced()
}

// edit makes changes in x.resp. What a target calls hop-by-hop goes first: it must
// not be able to have a field of ours dropped by naming it in Connection.
func (x *exchange) edit(edits http1.Edits) {
	if len(edits) == 0 {
		return
	}
	r := &x.resp
	if hasKind(r.Fields, http1.Connection) {
		kept := make([]http1.Field, 0, len(r.Fields)+len(edits[0]))
		for i := range r.Fields {
			// The other fields about the connection go later: a 101 is known by its Upgrade.
			if f := &r.Fields[i]; f.Kind != http1.Connection && (f.Kind.HopByHop() || !listed(r.Fields, f.Name)) {
				kept = append(kept, *f)
			}
		}
		r.Fields = kept
	}
	r.Fields = edits.Apply(r.Fields)
}

// dropsTrailer says whether a response's trailer must not go on to the client: the
// header has another value of that name, or shall have none, and some readers merge
// the two.
func (x *exchange) dropsTrailer(name string) bool {
	return x.edits.Drops(name) || x.judged.ResponseEdits.Drops(name)
}

// editTrailers takes out the trailers of a response that must not go on.
func (x *exchange) editTrailers(trailers []http1.Field) []http1.Field {
	return slices.DeleteFunc(trailers, func(f http1.Field) bool { return x.dropsTrailer(f.Name) })
}

// editAnnounced takes the names of such trailers out of what announces them.
func (x *exchange) editAnnounced() {
	if len(x.edits) == 0 && len(x.judged.ResponseEdits) == 0 {
		return
	}
	fields := x.resp.Fields
	for i := range fields {
		if fields[i].Kind != http1.Trailer {
			continue
		}
		var names []string
		for list := fields[i].Value; list != ""; {
			var name string
			if name, list = http1.NextToken(list); name != "" && !x.dropsTrailer(name) {
				names = append(names, name)
			}
		}
		fields[i].Value = strings.Join(names, ", ")
	}
	x.resp.Fields = slices.DeleteFunc(fields, func(f http1.Field) bool { return f.Kind == http1.Trailer && f.Value == "" })
}
