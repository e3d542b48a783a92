package identity

import (
	"errors"
	"fmt"
	"strings"
)

// usedNames are headers that no identity header may be called after, folded:
// HTTP frames and routes messages by them (RFC 9110, section 7.6.1; RFC 9112), or
// the edge writes them itself. Whatever an identity header is called is stripped
// from requests, which would take these from them. The configuration refuses
// more.
var usedNames = map[string]bool{
	"connection": true, "keep-alive": true, "proxy-connection": true, "te": true, "trailer": true,
	"transfer-encoding": true, "upgrade": true, "host": true, "content-length": true, "expect": true,
	"via": true, "forwarded": true, "x-forwarded-for": true, "x-forwarded-proto": true, "x-forwarded-port": true,
	"x-forwarded-host": true, "x-amzn-trace-id": true,
}

// maxNameLength bounds given names, so that Match can fold any name that it may
// have to find in a buffer on the stack.
const maxNameLength = 128

// checkName says why a header may not be called name, if so.
func checkName(name string) error {
	letter := false
	for i := range len(name) {
		c := name[i]
		letter = letter || isAlphanumeric(c)
		// token of RFC 9110, section 5.6.2
		if !isAlphanumeric(c) && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return errors.New("want a header name of letters, digits and hyphens")
		}
	}
	switch {
	case !letter:
		return errors.New("want a header name with a letter or digit")
	case len(name) > maxNameLength:
		return fmt.Errorf("want a header name of at most %d bytes", maxNameLength)
	case usedNames[fold(name)]:
		return errors.New("want a name that nothing else uses")
	}
	return nil
}

func isAlphanumeric(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// fold returns what name is to a target that takes headers as CGI does
// (RFC 3875, section 4.1.18), where case and punctuation fall together: in
// lower case, with any byte that is neither letter nor digit made "-", and
// without white space around it.
func fold(name string) string {
	name = trim(name)
	b := make([]byte, len(name))
	for i := range len(name) {
		b[i] = foldByte(name[i])
	}
	return string(b)
}

func foldByte(c byte) byte { return folded[c] }

var folded = func() (table [256]byte) {
	for i := range table {
		switch c := byte(i); {
		case 'A' <= c && c <= 'Z':
			table[i] = c + ('a' - 'A')
		case isAlphanumeric(c):
			table[i] = c
		default:
			table[i] = '-'
		}
	}
	return table
}()

// trim cuts off all that some target takes for white space: ASCII's controls,
// and what is white space in Latin-1.
func trim(name string) string {
	space := func(c byte) bool { return c <= ' ' || c == 0x7F || c == 0x85 || c == 0xA0 }
	for len(name) > 0 && space(name[0]) {
		name = name[1:]
	}
	for len(name) > 0 && space(name[len(name)-1]) {
		name = name[:len(name)-1]
	}
	return name
}
