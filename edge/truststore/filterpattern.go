package truststore

import (
	"bytes"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/identity"
)

// nameCondition is a part of a subject or an issuer, of which one value must
// match a pattern: exact, or with a * at its beginning or end for one or more
// characters.
type nameCondition struct {
	key, typ string // common_name, CN
	exact    map[string]bool
	prefixes []string
	suffixes []string
}

func newNameCondition(part config.NamePart) nameCondition {
	c := nameCondition{key: part.Key, typ: part.Type, exact: map[string]bool{}}
	for _, pattern := range part.Values {
		if prefix, ok := strings.CutSuffix(pattern, "*"); ok {
			c.prefixes = append(c.prefixes, prefix)
		} else if suffix, ok := strings.CutPrefix(pattern, "*"); ok {
			c.suffixes = append(c.suffixes, suffix)
		} else {
			c.exact[pattern] = true
		}
	}
	return c
}

func (c *nameCondition) satisfied(attributes []identity.Attribute) bool {
	for i := range attributes {
		if attributes[i].Type() != c.typ {
			continue
		}
		var room [128]byte
		if text, ok := attributes[i].AppendText(room[:0]); ok && c.match(text) {
			return true
		}
	}
	return false
}

func (c *nameCondition) match(text []byte) bool {
	if !prints(text) {
		return false
	}
	if c.exact[string(text)] {
		return true
	}
	for _, prefix := range c.prefixes {
		if len(text) > len(prefix) && string(text[:len(prefix)]) == prefix {
			return true
		}
	}
	for _, suffix := range c.suffixes {
		if n := len(text) - len(suffix); n > 0 && string(text[n:]) == suffix {
			return true
		}
	}
	return false
}

// prints tells that text, which is UTF-8, holds nothing that a reader would not
// see: others may end it at a NUL, or show it differently.
func prints(text []byte) bool {
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		if !unicode.IsPrint(r) || r == utf8.RuneError {
			return false
		}
		text = text[size:]
	}
	return true
}

// hostPatterns are DNS names in lower case: exact, or those with one label more
// than a name in below.
type hostPatterns struct{ exact, below map[string]bool }

func newHostPatterns(patterns []string) *hostPatterns {
	p := &hostPatterns{exact: map[string]bool{}, below: map[string]bool{}}
	for _, pattern := range patterns {
		pattern = strings.ToLower(pattern)
		if rest, ok := strings.CutPrefix(pattern, "*."); ok {
			p.below[rest] = true
		} else {
			p.exact[pattern] = true
		}
	}
	return p
}

func (p *hostPatterns) match(name []byte) bool {
	if len(name) > 253 {
		return false
	}
	var room [253]byte
	name = appendLower(room[:0], name)
	if p.exact[string(name)] {
		return true
	}
	label, rest, ok := bytes.Cut(name, []byte("."))
	return ok && isLabel(label) && p.below[string(rest)]
}

// isLabel: what a * stands for must be the label of a host, and so no * itself.
func isLabel(label []byte) bool {
	n := len(label)
	if n == 0 || n > 63 || label[0] == '-' || label[n-1] == '-' {
		return false
	}
	for _, c := range label {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

// appendLower appends text with ASCII in lower case.
func appendLower(b, text []byte) []byte {
	for _, c := range text {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		b = append(b, c)
	}
	return b
}

// emailPatterns are mail addresses with their domains in lower case: exact, or
// any in a domain of domains.
type emailPatterns struct{ exact, domains map[string]bool }

func newEmailPatterns(patterns []string) *emailPatterns {
	p := &emailPatterns{exact: map[string]bool{}, domains: map[string]bool{}}
	for _, pattern := range patterns {
		local, domain, _ := strings.Cut(pattern, "@")
		domain = strings.ToLower(domain)
		if local == "*" {
			p.domains[domain] = true
		} else {
			p.exact[local+"@"+domain] = true
		}
	}
	return p
}

func (p *emailPatterns) match(address []byte) bool {
	local, domain, ok := bytes.Cut(address, []byte("@"))
	if !ok || !config.IsDotAtom(local) || len(domain) > 253 {
		return false
	}
	var room [64 + 1 + 253]byte
	address = appendLower(append(append(room[:0], local...), '@'), domain)
	return p.exact[string(address)] || p.domains[string(address[len(local)+1:])]
}
