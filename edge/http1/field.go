package http1

import "unsafe"

// Field is one field line. Its strings are the bytes of the buffer they were read
// from, and mean nothing once that is used for something else.
type Field struct {
	Name, Value string
	Kind        Kind
}

// Kind is a field that HTTP itself or a proxy has a use for, so that each name is
// compared once.
type Kind uint8

const (
	Other Kind = iota
	Host
	ContentLength
	TransferEncoding
	Connection
	KeepAlive
	ProxyConnection
	ProxyAuthenticate
	ProxyAuthorization
	TE
	Trailer
	Upgrade
	Expect
	UserAgent
	Date
	Server
	Forwarded
	ForwardedFor
	ForwardedProto
	ForwardedPort
	ForwardedHost
	TraceID
)

// HopByHop says whether a field is about one connection, and not for the next
// (RFC 9110, section 7.6.1).
func (k Kind) HopByHop() bool { return k >= TransferEncoding && k <= Upgrade }

// KindOf returns the kind of a name in any case.
func KindOf(name string) Kind {
	if len(name) >= len(kindsByLength) {
		return Other
	}
	for _, k := range kindsByLength[len(name)] {
		if equalFold(name, k.name) {
			return k.kind
		}
	}
	return Other
}

type namedKind struct {
	name string
	kind Kind
}

var kindsByLength = func() (table [20][]namedKind) {
	for _, k := range []namedKind{
		{"host", Host}, {"content-length", ContentLength}, {"transfer-encoding", TransferEncoding},
		{"connection", Connection}, {"keep-alive", KeepAlive}, {"proxy-connection", ProxyConnection},
		{"proxy-authenticate", ProxyAuthenticate}, {"proxy-authorization", ProxyAuthorization},
		{"te", TE}, {"trailer", Trailer}, {"upgrade", Upgrade}, {"expect", Expect},
		{"user-agent", UserAgent}, {"date", Date}, {"server", Server}, {"forwarded", Forwarded},
		{"x-forwarded-for", ForwardedFor}, {"x-forwarded-proto", ForwardedProto},
		{"x-forwarded-port", ForwardedPort}, {"x-forwarded-host", ForwardedHost},
		{"x-amzn-trace-id", TraceID},
	} {
		table[len(k.name)] = append(table[len(k.name)], k)
	}
	return table
}()

// equalFold compares with a name in lower case.
func equalFold(name, lower string) bool {
	if len(name) != len(lower) {
		return false
	}
	for i := range len(lower) {
		if b := name[i]; b != lower[i] && ('A' > b || b > 'Z' || b|0x20 != lower[i]) {
			return false
		}
	}
	return true
}

// EqualFold says whether two names are the same: ASCII letters in any case.
func EqualFold(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if x, y := a[i], b[i]; x != y && (x|0x20 != y|0x20 || x|0x20 < 'a' || x|0x20 > 'z') {
			return false
		}
	}
	return true
}

// NextToken cuts the first member of a comma-separated list, without the white
// space around it (RFC 9110, section 5.6.1). Members may be empty; the list has
// ended once rest is "".
func NextToken(list string) (token, rest string) {
	for i := range len(list) {
		if list[i] == ',' {
			return trim(list[:i]), list[i+1:]
		}
	}
	return trim(list), ""
}

// HasToken says whether a list has a member, in any case.
func HasToken(list, token string) bool {
	for list != "" {
		var member string
		if member, list = NextToken(list); EqualFold(member, token) {
			return true
		}
	}
	return false
}

// trim cuts white space as RFC 9110 has it: spaces and tabs.
func trim(s string) string {
	for s != "" && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	for s != "" && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t') {
		s = s[:len(s)-1]
	}
	return s
}

// text is b as a string, without a copy.
func text(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
