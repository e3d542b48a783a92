// Package ja4 computes the JA4 fingerprint of a TLS client: what it offers in its
// ClientHello, without what changes from one connection to the next. The same
// client program has the same fingerprint from any address; a client that resumes
// a session has another one than in its first handshake.
//
// It follows "JA4: TLS Client Fingerprinting" by FoxIO, the part of JA4+ that is
// under the BSD 3-Clause licence.
package ja4

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"slices"
	"strconv"
)

// Size is the length of every fingerprint.
const Size = 36

const (
	extServerName = 0x0000
	extALPN       = 0x0010
)

// Of returns the fingerprint of a ClientHello that came over TCP, as in
// t13d1516h2_8daaf6152771_e5627efa2ab1. It is always Size bytes long, and only
// printable ASCII, whatever the client sent.
func Of(hello *tls.ClientHelloInfo) string {
	var room [2][128]uint16 // of what clients send; append makes more for the others
	suites := withoutGREASE(room[0][:0], hello.CipherSuites)
	extensions := withoutGREASE(room[1][:0], hello.Extensions)

	out := make([]byte, 0, Size)
	out = append(out, 't')
	out = append(out, version(hello.SupportedVersions)...)
	if slices.Contains(extensions, extServerName) {
		out = append(out, 'd')
	} else {
		out = append(out, 'i')
	}
	out = appendCount(out, len(suites))
	out = appendCount(out, len(extensions))
	out = appendALPN(out, hello.SupportedProtos)

	var list [2048]byte
	slices.Sort(suites)
	out = append(out, '_')
	out = appendHash(out, appendHex(list[:0], suites))

	extensions = slices.DeleteFunc(extensions, func(e uint16) bool { return e == extServerName || e == extALPN })
	slices.Sort(extensions)
	hashed := appendHex(list[:0], extensions)
	if len(hello.SignatureSchemes) > 0 && len(hashed) > 0 {
		// These stay in the client's order, which says what it prefers.
		schemes := room[0][:0]
		for _, s := range hello.SignatureSchemes {
			if !isGREASE(uint16(s)) {
				schemes = append(schemes, uint16(s))
			}
		}
		hashed = appendHex(append(hashed, '_'), schemes)
	}
	out = append(out, '_')
	return string(appendHash(out, hashed))
}

// isGREASE tells the values that clients send in any place so that servers learn
// to ignore what they do not know (RFC 8701, section 2).
func isGREASE(v uint16) bool { return v&0x0f0f == 0x0a0a && v>>8 == v&0xff }

func withoutGREASE(dst, values []uint16) []uint16 {
	for _, v := range values {
		if !isGREASE(v) {
			dst = append(dst, v)
		}
	}
	return dst
}

// version names the highest version offered.
func version(offered []uint16) string {
	highest := uint16(0)
	for _, v := range offered {
		if !isGREASE(v) {
			highest = max(highest, v)
		}
	}
	switch highest {
	case tls.VersionTLS13:
		return "13"
	case tls.VersionTLS12:
		return "12"
	case tls.VersionTLS11:
		return "11"
	case tls.VersionTLS10:
		return "10"
	case 0x0300:
		return "s3"
	case 0x0002:
		return "s2"
	}
	return "00"
}

// appendCount writes two digits; there is no room for more.
func appendCount(dst []byte, n int) []byte {
	n = min(n, 99)
	if n < 10 {
		dst = append(dst, '0')
	}
	return strconv.AppendInt(dst, int64(n), 10)
}

// appendALPN writes the ends of the first protocol name, or those of its
// hexadecimal form where they are no letters or digits.
func appendALPN(dst []byte, protocols []string) []byte {
	if len(protocols) == 0 || protocols[0] == "" {
		return append(dst, "00"...)
	}
	name := protocols[0]
	first, last := name[0], name[len(name)-1]
	if alphanumeric(first) && alphanumeric(last) {
		return append(dst, first, last)
	}
	const digits = "0123456789abcdef"
	return append(dst, digits[first>>4], digits[last&0xf])
}

func alphanumeric(b byte) bool {
	return '0' <= b && b <= '9' || 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z'
}

// appendHex writes values as four lower-case digits each, with commas between.
func appendHex(dst []byte, values []uint16) []byte {
	for i, v := range values {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = hex.AppendEncode(dst, []byte{byte(v >> 8), byte(v)})
	}
	return dst
}

// appendHash writes the first 12 digits of the SHA-256 of a list; of an empty
// one, zeros.
func appendHash(dst, list []byte) []byte {
	if len(list) == 0 {
		return append(dst, "000000000000"...)
	}
	sum := sha256.Sum256(list)
	return hex.AppendEncode(dst, sum[:6])
}
