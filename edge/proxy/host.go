package proxy

import (
	"net/netip"
	"strings"
)

// validHost says whether a Host header, or :authority, has the one form that
// everybody reads alike: a name of letters, digits, hyphens and underscores in
// labels, with one dot at its end at the most, or an IPv4 address, or an IPv6
// address in brackets; then a colon and a port, or nothing. RFC 3986, section
// 3.2.2, allows more, and for more there are as many readings as there are
// targets: one that takes what stands before the first colon for the host must
// not be sent a:1:2 under the policy of a:1.
func validHost(host string) bool {
	name, port, hasPort := host, "", false
	if strings.HasPrefix(host, "[") {
		address, rest, closed := strings.Cut(host[1:], "]")
		addr, err := netip.ParseAddr(address)
		if !closed || err != nil || !addr.Is6() || addr.Zone() != "" {
			return false
		}
		if rest == "" {
			return true
		}
		name, port, hasPort = "", strings.TrimPrefix(rest, ":"), rest[0] == ':'
		return hasPort && validPort(port)
	}
	name, port, hasPort = strings.Cut(host, ":")
	if hasPort && !validPort(port) {
		return false
	}
	name = strings.TrimSuffix(name, ".")
	for label := range strings.SplitSeq(name, ".") {
		if label == "" {
			return false
		}
		for i := range len(label) {
			if c := label[i]; !isAlphanumeric(c) && c != '-' && c != '_' {
				return false
			}
		}
	}
	return true
}

func isAlphanumeric(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

func validPort(port string) bool {
	if port == "" || len(port) > 5 {
		return false
	}
	n := 0
	for i := range len(port) {
		if port[i] < '0' || port[i] > '9' {
			return false
		}
		n = 10*n + int(port[i]-'0')
	}
	return n <= 65535
}
