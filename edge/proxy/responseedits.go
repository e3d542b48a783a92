package proxy

import "github.com/sallyport/sallyport/edge/http1"

// editResponse makes the listener's changes in x.resp. What a target calls
// hop-by-hop goes first: it must not be able to have a field of ours dropped by
// naming it in Connection.
func (x *exchange) editResponse() {
	if len(x.edits) == 0 {
		return
	}
	r := &x.resp
	if hasKind(r.Fields, http1.Connection) {
		kept := make([]http1.Field, 0, len(r.Fields)+len(x.edits[0]))
		for i := range r.Fields {
			if f := &r.Fields[i]; f.Kind != http1.Connection && !listed(r.Fields, f.Name) {
				kept = append(kept, *f)
			}
		}
		r.Fields = kept
	}
	r.Fields = x.edits.Apply(r.Fields)
}
