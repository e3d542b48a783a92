package frame

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// The bounds of bodies. What is over one is malformed.
const (
	MaxNeeds       = 64
	MaxOwned       = 32
	MaxEdits       = 32
	MaxEditBytes   = 8 << 10 // names and values of all edits of a verdict
	MaxReason      = 1 << 10
	MaxError       = 4 << 10
	MaxConcurrency = 1024
	MaxTTL         = 24 * time.Hour
	MaxBan         = 100
	MaxMessage     = 8 << 10 // a LOG's message, keys and values together
	MaxAttrs       = 32
	MaxName        = 128 // of a plugin, a version or a header

	maxProtocols = 16
)

// IsToken reports whether s can be the name of a header: a token of RFC 9110,
// section 5.6.2.
func IsToken(s string) bool {
	for i := 0; i < len(s); i++ {
		if !token[s[i]] {
			return false
		}
	}
	return len(s) > 0
}

var token = func() (t [256]bool) {
	for c := range t {
		t[c] = c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' ||
			strings.IndexByte("!#$%&'*+-.^_`|~", byte(c)) >= 0
	}
	return t
}()

// IsValue reports whether s can be the value of a header that a plugin sets: any
// bytes but CR, LF and NUL (RFC 9110, section 5.5).
func IsValue(s string) bool { return !strings.ContainsAny(s, "\r\n\x00") }

// IsPrintable reports whether s is UTF-8 of printable characters and spaces, so
// that it can stand in a log or on a terminal as it is.
func IsPrintable(s string) bool {
	for i := 0; i < len(s); {
		if c := s[i]; c >= ' ' && c <= '~' {
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && size == 1 || !unicode.IsPrint(r) {
			return false
		}
		i += size
	}
	return true
}
