package http1

// What a byte may be part of.
const (
	tokenByte  = 1 << iota // RFC 9110, section 5.6.2
	valueByte              // a field value: visible, space, tab or over 0x7F
	targetByte             // a request target as RFC 3986 has it
	hexDigit
	hostByte
)

var byteClass = func() (table [256]uint8) {
	set := func(bytes string, class uint8) {
		for i := range len(bytes) {
			table[bytes[i]] |= class
		}
	}
	const letters, digits = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789"
	set(letters+digits+"!#$%&'*+-.^_`|~", tokenByte)
	set(letters+digits+"-._~!$&'()*+,;=:@/?%", targetByte)
	set("[]", targetByte) // only in queries, strictly: everyone sends them
	set(digits+"abcdefABCDEF", hexDigit)
	set(letters+digits+"-._~%!$&'()*+,;=:[]", hostByte)
	for b := range 256 {
		if b >= ' ' && b != 0x7F || b == '\t' {
			table[b] |= valueByte
		}
	}
	return table
}()

// all says whether every byte is of a class.
func all(b []byte, class uint8) bool {
	for _, c := range b {
		if byteClass[c]&class == 0 {
			return false
		}
	}
	return true
}

// IsToken says whether s may be a field's name, or a method.
func IsToken(s string) bool {
	for i := range len(s) {
		if byteClass[s[i]]&tokenByte == 0 {
			return false
		}
	}
	return s != ""
}

// IsValue says whether s may be a field's value.
func IsValue(s string) bool {
	for i := range len(s) {
		if byteClass[s[i]]&valueByte == 0 {
			return false
		}
	}
	return true
}
