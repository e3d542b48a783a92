package proxy

import (
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/sallyport/sallyport/edge/config"
)

const (
	headerForwardedFor   = "X-Forwarded-For"
	headerForwardedProto = "X-Forwarded-Proto"
	headerForwardedPort  = "X-Forwarded-Port"
	headerForwardedHost  = "X-Forwarded-Host"
	headerForwarded      = "Forwarded"
	headerTraceID        = "X-Amzn-Trace-Id"
)

// maxForwardedFor is how many addresses ALB takes in X-Forwarded-For.
const maxForwardedFor = 30

func countForwardedFor(values []string) int {
	n := 0
	for _, value := range values {
		n += strings.Count(value, ",") + 1
	}
	return n
}

// setForwarded sets ALB's X-Forwarded headers.
//
// A client's own X-Forwarded-For is appended to, passed on or dropped, as
// configured. Its X-Forwarded-Proto and X-Forwarded-Port are always replaced.
// Its Forwarded and X-Forwarded-Host, to which the edge adds nothing that a
// target could tell the client's part from, pass only with preserve, which is
// for edges whose clients are trusted proxies; ALB passes them always.
func setForwarded(h http.Header, p *prepared) {
	h[headerForwardedProto] = p.proto
	h[headerForwardedPort] = p.port
	if p.listener.Attributes.XFFHeaderProcessing == config.XFFPreserve {
		return
	}
	delete(h, headerForwarded)
	delete(h, headerForwardedHost)
	switch p.listener.Attributes.XFFHeaderProcessing {
	case config.XFFAppend:
		earlier := h[headerForwardedFor]
		if len(earlier) == 0 {
			h[headerForwardedFor] = p.forwardedFor
			return
		}
		h[headerForwardedFor] = []string{strings.Join(earlier, ", ") + ", " + p.forwardedFor[0]}
	default:
		delete(h, headerForwardedFor)
	}
}

// forwardedAddr prints a client's address for X-Forwarded-For.
func forwardedAddr(client netip.AddrPort, port bool) string {
	addr := client.Addr().Unmap().WithZone("")
	if port {
		return netip.AddrPortFrom(addr, client.Port()).String()
	}
	return addr.String()
}

// setTraceID sets ALB's X-Amzn-Trace-Id and returns it. A Root that the client
// sent is kept, and a Self put in front of it; without one, the Root is made.
func setTraceID(h http.Header, now time.Time) string {
	id := newTraceID(now)
	value := "Root=" + id
	if earlier := h[headerTraceID]; len(earlier) > 0 {
		var rest []string
		root := false
		for field := range strings.SplitSeq(strings.Join(earlier, ";"), ";") {
			field = strings.TrimSpace(field)
			if field == "" || strings.HasPrefix(field, "Self=") {
				continue
			}
			root = root || strings.HasPrefix(field, "Root=")
			rest = append(rest, field)
		}
		if root {
			value = "Self=" + id
		}
		value = strings.Join(append([]string{value}, rest...), ";")
	}
	h[headerTraceID] = []string{value}
	return value
}

// newTraceID returns 1-, 8 hex digits of the time, -, and 24 random ones. It
// need not be a secret.
func newTraceID(now time.Time) string {
	var raw [16]byte
	binary.BigEndian.PutUint32(raw[0:], uint32(now.Unix()))
	binary.BigEndian.PutUint32(raw[4:], rand.Uint32())
	binary.BigEndian.PutUint64(raw[8:], rand.Uint64())
	text := [35]byte{0: '1', 1: '-', 10: '-'}
	hex.Encode(text[2:10], raw[:4])
	hex.Encode(text[11:], raw[4:])
	return string(text[:])
}
