package proxy

import (
	"net/http"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/sallyport/sallyport/edge/http1"
	"github.com/sallyport/sallyport/edge/identity"
)

// ours are the headers of the edge's own besides those of identity. A client may
// send some of them, but not under a name that a target only takes for theirs.
var ours = identity.NewStripper(headerForwardedFor, headerForwardedProto, headerForwardedPort,
	headerForwardedHost, headerForwarded, headerTraceID)

// check says with which status a request is refused for its head, 0 for none.
func check(r *http1.Request) (status int, reason, detail string) {
	if r.Method == http.MethodTrace || r.Method == http.MethodConnect {
		return http.StatusMethodNotAllowed, ReasonMethodNotAllowed, ""
	}
	if r.Host != "" && !validHost(r.Host) {
		return http.StatusBadRequest, ReasonMalformedRequest, "host"
	}
	forwarded := 0
	for i := range r.Fields {
		switch f := &r.Fields[i]; f.Kind {
		case http1.ForwardedFor:
			forwarded += strings.Count(f.Value, ",") + 1
		case http1.Expect:
			if (r.Major > 1 || r.Minor > 0) && !http1.EqualFold(f.Value, "100-continue") {
				return http.StatusExpectationFailed, ReasonMalformedRequest, "expectation"
			}
		}
	}
	if forwarded > maxForwardedFor {
		return statusTooManyForwarded, ReasonTooManyForwarded, ""
	}
	return 0, "", ""
}

// about is what a request's header says about its connection and its body.
type about struct {
	listed    bool // Connection names fields that are not to go on
	upgrade   bool // Connection asks for one
	webSocket bool // and it is to this, and nothing else
	upgrades  int
	te        bool // Connection names TE
	trailers  bool // and that the client takes them
	expects   bool // 100 Continue before it sends its body
	close     bool
	keep      bool
}

func aboutOf(fields []http1.Field) (a about) {
	for i := range fields {
		switch f := &fields[i]; f.Kind {
		case http1.Connection:
			for list := f.Value; list != ""; {
				var token string
				token, list = http1.NextToken(list)
				switch {
				case token == "":
				case http1.EqualFold(token, "close"):
					a.close = true
				case http1.EqualFold(token, "keep-alive"):
					a.keep = true
				case http1.EqualFold(token, "upgrade"):
					a.upgrade = true
				case http1.EqualFold(token, "te"):
					a.te = true
				default:
					a.listed = true
				}
			}
		case http1.Upgrade:
			a.upgrades++
			a.webSocket = http1.EqualFold(f.Value, "websocket")
		case http1.TE:
			a.trailers = a.trailers || http1.HasToken(f.Value, "trailers")
		case http1.Expect:
			a.expects = true
		}
	}
	return a
}

// wantsWebSocket says whether a request asks to become a WebSocket. No other
// protocol can be upgraded to: h2c would carry requests past the edge.
func (a *about) wantsWebSocket(r *http1.Request) bool {
	return r.Major == 1 && r.Minor >= 1 && r.Method == http.MethodGet && r.Length == 0 &&
		a.upgrade && a.webSocket && a.upgrades == 1
}

// takesTrailers says whether the client takes trailers. TE is about a connection:
// in HTTP/1.1 it counts only where Connection names it, lest what somebody before
// the client has said of another passes for the client's (RFC 9110, section 10.1.4).
func (a *about) takesTrailers(r *http1.Request) bool { return a.trailers && (a.te || r.Major > 1) }

// listed says whether a Connection field names this one.
func listed(fields []http1.Field, name string) bool {
	for i := range fields {
		if fields[i].Kind == http1.Connection && http1.HasToken(fields[i].Value, name) {
			return true
		}
	}
	return false
}

// appendHead appends the head that a target of HTTP/1.1 gets, up to the line that
// frames the body.
func (x *exchange) appendHead(dst []byte, a *about) []byte {
	dst = append(append(dst, x.req.Method...), ' ')
	dst = append(x.req.AppendTarget(dst), " HTTP/1.1\r\nHost: "...)
	dst = append(x.appendAuthority(dst), "\r\n"...)
	if a.takesTrailers(&x.req) {
		dst = append(dst, "Connection: TE\r\n"...)
	}
	return x.appendFields(dst, a)
}

// appendAuthority appends the host that the request is for.
func (x *exchange) appendAuthority(dst []byte) []byte {
	if x.req.Host != "" {
		return append(dst, x.req.Host...)
	}
	// HTTP/1.0, or HTTP/2 without :authority. What the client does name is the
	// address it called.
	return x.client.Server.AppendTo(dst)
}

// appendFields appends the field lines that a target gets, whatever it speaks. The
// order is what makes it safe: what the client may not say and what it has listed
// in Connection is left out, and only then comes what the edge says.
func (x *exchange) appendFields(dst []byte, a *about) []byte {
	r := &x.req
	for i := range r.Fields {
		f := &r.Fields[i]
		if x.goesOn(f) && !x.judged.Edits.Drops(f.Name) {
			dst = appendField(dst, f.Name, f.Value)
		}
	}
	from := len(dst)
	if a.takesTrailers(&x.req) {
		dst = append(dst, "Te: trailers\r\n"...)
	}
	dst = x.appendForwardedFor(dst, a)
	dst = x.appendTraceID(dst, a)
	dst = x.appendTrace(dst)
	return x.appendEdits(x.prepared.appendTo(dst), from)
}

// goesOn says whether a client's field goes on, or would but for a Judge.
func (x *exchange) goesOn(f *http1.Field) bool {
	return x.passes(f) && !(x.about.listed && listed(x.req.Fields, f.Name))
}

// passes says whether a client's field goes on to the target as it is.
func (x *exchange) passes(f *http1.Field) bool {
	switch f.Kind {
	case http1.Other:
		return !x.listener.Strip.Match(f.Name) && (!isOdd(f.Name) || !ours.Match(f.Name)) && !x.replacesTrace(f.Name)
	case http1.Host, http1.ContentLength, http1.ForwardedProto, http1.ForwardedPort, http1.ForwardedFor, http1.TraceID:
		return false
	case http1.Forwarded, http1.ForwardedHost:
		return x.preserves()
	case http1.Expect:
		return x.req.Minor > 0 || x.req.Major > 1
	}
	return !f.Kind.HopByHop() && !x.listener.Strip.Match(f.Name)
}

func appendField(dst []byte, name, value string) []byte {
	dst = append(append(dst, name...), ": "...)
	return append(append(dst, value...), "\r\n"...)
}

// trails says whether a client's trailer field may go on to the target.
func (x *exchange) trails(name string) bool {
	if decisive := x.judged.Decisive; decisive != nil && decisive.Decisive(name) {
		return false
	}
	return mayTrail(name) && !x.listener.Strip.Match(name) && !ours.Match(name) && !x.judged.Edits.Drops(name) && !x.replacesTrace(name)
}

// appendRequestTrailers appends the trailer section of a request's body, without
// what a target may not have from a client.
func (x *exchange) appendRequestTrailers(dst []byte, trailers []http1.Field) []byte {
	for i := range trailers {
		if f := &trailers[i]; x.trails(f.Name) {
			dst = appendField(dst, f.Name, f.Value)
		}
	}
	return append(dst, "\r\n"...)
}

// appendAnnounced appends the Trailer field of a request again, without the names
// that will not pass.
func (x *exchange) appendAnnounced(dst []byte) []byte {
	first := true
	for i := range x.req.Fields {
		if x.req.Fields[i].Kind != http1.Trailer {
			continue
		}
		for list := x.req.Fields[i].Value; list != ""; {
			var name string
			if name, list = http1.NextToken(list); !http1.IsToken(name) || !x.trails(name) {
				continue
			}
			if first {
				dst = append(dst, "Trailer: "...)
			} else {
				dst = append(dst, ", "...)
			}
			first = false
			dst = append(dst, name...)
		}
	}
	if !first {
		dst = append(dst, "\r\n"...)
	}
	return dst
}

// isOdd says whether a name has a byte that some targets take for a hyphen.
func isOdd(name string) bool {
	for i := range len(name) {
		switch b := name[i]; {
		case b == '-', 'a' <= b && b <= 'z', 'A' <= b && b <= 'Z', '0' <= b && b <= '9':
		default:
			return true
		}
	}
	return false
}

// mayTrail says whether a trailer field may go on at all. Some readers merge
// trailers into the header, where nothing that frames or routes can be had from
// them.
func mayTrail(name string) bool {
	name = http.CanonicalHeaderKey(name)
	return httpguts.ValidTrailerHeader(name) && name != "Host" && !http1.KindOf(name).HopByHop() && !http1.LooksFraming(name)
}

// since is the time a step took, from one moment to another.
func since(from, to time.Time) time.Duration { return max(0, to.Sub(from)) }
