package pluginhost

import (
	"fmt"
	"strings"

	"github.com/sallyport/sallyport/edge/http1"
	"github.com/sallyport/sallyport/edge/identity"
)

// rules are what a plugin may change of a message's header. They are immutable.
type rules struct {
	grants []string
	// reserved are names that identities match, beside those that it knows itself:
	// headers that only the edge sets, as they carry a client's identity.
	reserved   []string
	identities *identity.Stripper
	// others are owned by other plugins.
	others []string
}

// edgeHeaders are the edge's own about where a request came from.
var edgeHeaders = strings.Fields("x-forwarded-for x-forwarded-proto x-forwarded-port x-forwarded-host forwarded x-amzn-trace-id")

// neverChanged are headers that say where a message ends, whom it is for, or
// belong to one connection (RFC 9110, sections 7.2 and 7.6.1; RFC 9112, section
// 6). The configuration grants none of them.
var neverChanged = strings.Fields(`host connection keep-alive proxy-connection proxy-authenticate
	proxy-authorization te trailer transfer-encoding upgrade expect content-length`)

// check says why a plugin may not change a header, if so. Names count as the same
// where a target could take them for the same.
func (r *rules) check(name string, ofRequest bool) error {
	for _, never := range neverChanged {
		if http1.SameName(name, never) {
			return fmt.Errorf("change header %q: it frames the message, says whom it is for, or is about one connection", name)
		}
	}
	if !ofRequest {
		return nil
	}
	for _, granted := range r.grants {
		if http1.SameName(name, granted) {
			return nil
		}
	}
	for _, own := range edgeHeaders {
		if http1.SameName(name, own) {
			return fmt.Errorf("change header %q: it is the edge's own: want it among the plugin's grants", name)
		}
	}
	if r.identities == nil || r.identities.Match(name) {
		return fmt.Errorf("change header %q: it carries a client's identity: want it among the plugin's grants", name)
	}
	for _, other := range r.others {
		if http1.SameName(name, other) {
			return fmt.Errorf("change header %q: another plugin owns it", name)
		}
	}
	return nil
}
