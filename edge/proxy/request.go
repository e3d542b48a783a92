package proxy

import (
	"net/http"
	"net/textproto"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/sallyport/sallyport/edge/identity"
)

// hopByHop are the header fields that are about one connection (RFC 9110,
// section 7.6.1), and not for the next.
var hopByHop = []string{
	"Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate",
	"Proxy-Authorization", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
}

// ours are the headers of the edge's own besides those of identity. A client may
// send some of them, but not under a name that a target only takes for theirs.
var ours = identity.NewStripper(headerForwardedFor, headerForwardedProto, headerForwardedPort,
	headerForwardedHost, headerForwarded, headerTraceID)

var (
	valueTrailers  = []string{"trailers"}
	valueUpgrade   = []string{"Upgrade"}
	valueWebSocket = []string{"websocket"}
	noValue        = []string{""}
)

// check says with which status a request is refused for its head, 0 for none.
func check(r *http.Request) (status int, reason, detail string) {
	switch {
	case r.Method == http.MethodTrace, r.Method == http.MethodConnect:
		return http.StatusMethodNotAllowed, ReasonMethodNotAllowed, ""
	case r.URL.Opaque != "", !strings.HasPrefix(r.URL.Path, "/") && r.URL.Path != "" && r.RequestURI != "*",
		r.RequestURI == "*" && r.Method != http.MethodOptions:
		return http.StatusBadRequest, ReasonMalformedRequest, "request target"
	case r.Host != "" && !validHost(r.Host):
		return http.StatusBadRequest, ReasonMalformedRequest, "host"
	}
	// HTTP/2 can say the host twice (RFC 9113, section 8.3.1).
	if hosts := r.Header["Host"]; len(hosts) > 1 || len(hosts) == 1 && hosts[0] != r.Host {
		return http.StatusBadRequest, ReasonMalformedRequest, "host and authority differ"
	}
	if countForwardedFor(r.Header[headerForwardedFor]) > maxForwardedFor {
		return statusTooManyForwarded, ReasonTooManyForwarded, ""
	}
	return 0, "", ""
}

// wantsWebSocket says whether a request asks to become a WebSocket. No other
// protocol can be upgraded to: h2c would carry requests past the edge.
func wantsWebSocket(r *http.Request) bool {
	return r.ProtoMajor == 1 && r.ProtoMinor >= 1 && r.Method == http.MethodGet && r.ContentLength == 0 &&
		httpguts.HeaderValuesContainsToken(r.Header["Connection"], "upgrade") &&
		len(r.Header["Upgrade"]) == 1 && strings.EqualFold(r.Header["Upgrade"][0], "websocket")
}

// rewrite makes a client's header the one that the target gets, in place, and
// returns the trace id. The order is what makes it safe: first goes everything
// that the client may not say, then what it has listed in Connection, and only
// then is set what the edge says.
func rewrite(h http.Header, p *prepared, webSocket bool, now time.Time) (traceID string) {
	strip(h, p.listener.Strip)
	trailers := httpguts.HeaderValuesContainsToken(h["Te"], "trailers")
	removeHopByHop(h)
	if trailers {
		h["Te"] = valueTrailers
	}
	if webSocket {
		h["Connection"], h["Upgrade"] = valueUpgrade, valueWebSocket
	}
	if _, ok := h["User-Agent"]; !ok {
		h["User-Agent"] = noValue // or net/http makes one up
	}
	setForwarded(h, p)
	traceID = setTraceID(h, now)
	for _, f := range p.fields {
		h[f.name] = f.values
	}
	return traceID
}

// strip deletes from a header or trailer what only the edge may say.
func strip(h http.Header, identities *identity.Stripper) {
	for name := range h {
		if identities.Match(name) || isOdd(name) && ours.Match(name) {
			delete(h, name)
		}
	}
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

// mayTrail says whether a client's trailer field may go on to a target. Some
// targets merge trailers into the header, where nothing of the edge's own nor
// anything that frames or routes can be had from a client.
func mayTrail(name string, identities *identity.Stripper) bool {
	return httpguts.ValidTrailerHeader(name) && name != "Host" && name != "Connection" && !identities.Match(name) && !ours.Match(name)
}

func removeHopByHop(h http.Header) {
	for _, value := range h["Connection"] {
		for name := range strings.SplitSeq(value, ",") {
			if name = textproto.TrimString(name); name != "" {
				h.Del(name)
			}
		}
	}
	for _, name := range hopByHop {
		delete(h, name)
	}
}

// headSize is how many bytes a head of HTTP/1.1 takes.
func headSize(firstLine int, h http.Header) int64 {
	n := firstLine + len("\r\n\r\n")
	for name, values := range h {
		for _, value := range values {
			n += len(name) + len(": \r\n") + len(value)
		}
	}
	return int64(n)
}
