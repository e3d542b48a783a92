package proxy

import (
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"net/netip"
	"strings"
	"time"
	"unsafe"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/http1"
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

// preserves says whether a client's own account of whom it forwards for goes on.
// Its X-Forwarded-Proto and X-Forwarded-Port are always replaced. Its Forwarded
// and X-Forwarded-Host, to which the edge adds nothing that a target could tell
// the client's part from, pass only with preserve, which is for edges whose
// clients are trusted proxies; ALB passes them always.
func (x *exchange) preserves() bool {
	return x.listener.Attributes.XFFHeaderProcessing == config.XFFPreserve
}

// appendForwardedFor appends X-Forwarded-For: a client's own is appended to,
// passed on or dropped, as configured.
func (x *exchange) appendForwardedFor(dst []byte, a *about) []byte {
	mode := x.listener.Attributes.XFFHeaderProcessing
	if mode != config.XFFAppend && mode != config.XFFPreserve {
		return dst
	}
	begun := false
	for i := range x.req.Fields {
		f := &x.req.Fields[i]
		if f.Kind != http1.ForwardedFor || a.listed && listed(x.req.Fields, f.Name) {
			continue
		}
		if mode == config.XFFPreserve {
			dst = appendField(dst, headerForwardedFor, f.Value)
			continue
		}
		if dst = appendMember(dst, headerForwardedFor+": ", begun); true {
			dst, begun = append(dst, f.Value...), true
		}
	}
	if mode == config.XFFPreserve {
		return dst
	}
	dst = appendMember(dst, headerForwardedFor+": ", begun)
	return append(append(dst, x.prepared.forwardedFor...), "\r\n"...)
}

// appendMember appends what stands before a member of a list.
func appendMember(dst []byte, name string, begun bool) []byte {
	if begun {
		return append(dst, ", "...)
	}
	return append(dst, name...)
}

// forwardedAddr prints a client's address for X-Forwarded-For.
func forwardedAddr(client netip.AddrPort, port bool) string {
	addr := client.Addr().Unmap().WithZone("")
	if port {
		return netip.AddrPortFrom(addr, client.Port()).String()
	}
	return addr.String()
}

// appendTraceID appends ALB's X-Amzn-Trace-Id, and notes it in the record.
func (x *exchange) appendTraceID(dst []byte, a *about) []byte {
	if x.record.TraceID == "" {
		x.makeTraceID(a)
	}
	return appendField(dst, headerTraceID, x.record.TraceID)
}

// makeTraceID notes the request's trace id in the record. A Root that the client
// sent is kept, and a Self put in front of it; without one, the Root is made.
func (x *exchange) makeTraceID(a *about) {
	earlier := ""
	for i := range x.req.Fields {
		f := &x.req.Fields[i]
		if f.Kind != http1.TraceID || a.listed && listed(x.req.Fields, f.Name) {
			continue
		}
		if earlier != "" {
			earlier += ";"
		}
		earlier += f.Value
	}
	x.scratch = appendTraceValue(x.scratch[:0], earlier, x.started)
	x.record.TraceID = unsafe.String(unsafe.SliceData(x.scratch), len(x.scratch))
}

// appendTraceValue appends the value for a client that sent earlier, "" for
// nothing.
func appendTraceValue(dst []byte, earlier string, now time.Time) []byte {
	root := false
	for list := earlier; list != ""; {
		var field string
		field, list, _ = strings.Cut(list, ";")
		root = root || strings.HasPrefix(strings.TrimSpace(field), "Root=")
	}
	if root {
		dst = append(dst, "Self="...)
	} else {
		dst = append(dst, "Root="...)
	}
	dst = appendNewTraceID(dst, now)
	for list := earlier; list != ""; {
		var field string
		field, list, _ = strings.Cut(list, ";")
		if field = strings.TrimSpace(field); field != "" && !strings.HasPrefix(field, "Self=") {
			dst = append(append(dst, ';'), field...)
		}
	}
	return dst
}

// appendNewTraceID appends 1-, 8 hex digits of the time, -, and 24 random ones.
// They need not be a secret.
func appendNewTraceID(dst []byte, now time.Time) []byte {
	var raw [16]byte
	binary.BigEndian.PutUint32(raw[0:], uint32(now.Unix()))
	binary.BigEndian.PutUint32(raw[4:], rand.Uint32())
	binary.BigEndian.PutUint64(raw[8:], rand.Uint64())
	dst = hex.AppendEncode(append(dst, "1-"...), raw[:4])
	return hex.AppendEncode(append(dst, '-'), raw[4:])
}
