package accesslog

import (
	"strconv"
	"strings"
)

// quoted is the inside of a value in quotes, being printed: of a line of ALB's or
// of a JSON object.
type quoted[T any] interface {
	~[]byte
	Escaped(string) T
}

// appendRequest appends the request line as ALB prints it: the URL whole, with
// its port, and otherwise as it was sent, spaces included. Of what could not be
// read as a request it tells where that came in.
func appendRequest[T quoted[T]](dst T, r *Record) T {
	if r.Method == "" {
		dst = append(append(append(dst, "- "...), r.scheme()...), "://"...)
		switch addr := r.Server.Addr().Unmap().WithZone(""); {
		case addr.Is6():
			dst = append(addr.AppendTo(append(dst, '[')), ']')
		case addr.IsValid():
			dst = addr.AppendTo(dst)
		default:
			dst = append(dst, '-')
		}
		port := r.Port
		if port == 0 {
			port = r.Server.Port()
		}
		return append(appendPort(dst, port), "- -"...)
	}
	dst = append(dst.Escaped(r.Method), ' ')
	if !strings.Contains(r.URI, "://") || strings.HasPrefix(r.URI, "/") {
		dst = append(dst.Escaped(r.Scheme), "://"...)
		dst = dst.Escaped(r.Host)
		if !hasPort(r.Host) {
			dst = appendPort(dst, r.Port)
		}
	}
	dst = append(dst.Escaped(r.URI), ' ')
	return dst.Escaped(r.Proto)
}

// scheme is what the edge was spoken to by, whatever the client said.
func (r *Record) scheme() string {
	switch r.Type {
	case TypeHTTP, TypeWS, "":
		return "http"
	}
	return "https"
}

func appendPort[T ~[]byte](dst T, port uint16) T {
	return strconv.AppendUint(append(dst, ':'), uint64(port), 10)
}

// hasPort says whether a Host header names a port. The colons of an IPv6 address
// are in brackets.
func hasPort(host string) bool {
	return strings.LastIndexByte(host, ':') > strings.LastIndexByte(host, ']')
}
