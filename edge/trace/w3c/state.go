package w3c

import "strings"

// Bounds of a tracestate that goes on: the members are the specification's, the
// bytes are ours. It asks for 512 at least.
const (
	maxMembers = 32
	maxState   = 2048
)

// ValidState says whether a tracestate is one (W3C Trace Context, section 3.3) and
// may go on as it is. What is not is dropped whole, as the specification says.
func ValidState(state string) bool {
	if state == "" || len(state) > maxState {
		return false
	}
	members := 0
	for list := state; list != ""; {
		var member string
		member, list, _ = strings.Cut(list, ",")
		if member = strings.Trim(member, " \t"); member == "" {
			continue // an empty member is allowed
		}
		key, value, ok := strings.Cut(member, "=")
		if members++; !ok || members > maxMembers || !isKey(key) || !isValue(value) {
			return false
		}
	}
	return members > 0
}

func isKey(key string) bool {
	if len(key) == 0 || len(key) > 256 || !isLetterOrDigit(key[0]) {
		return false
	}
	for i := range len(key) {
		if c := key[i]; !isLetterOrDigit(c) && strings.IndexByte("_-*/@", c) < 0 {
			return false
		}
	}
	return true
}

func isLetterOrDigit(c byte) bool { return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' }

func isValue(value string) bool {
	if len(value) == 0 || len(value) > 256 {
		return false
	}
	for i := range len(value) {
		if c := value[i]; c < ' ' || c > '~' || c == '=' {
			return false
		}
	}
	return true
}
