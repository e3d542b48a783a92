package proxy

import (
	"strconv"
	"strings"
)

// A second reader of HTTP/1.1, made of the grammar of RFC 9110 and RFC 9112 and of
// nothing that the engine is made of: whole strings, line by line, as plain as can
// be. A dialect is how it reads: strictly, or with one of the liberties that
// servers in the field are known to take.
type dialect struct {
	name string

	lf, cr   bool                     // a bare one ends a line
	nul      bool                     // NUL ends a value
	fold     bool                     // a line that begins with white space goes on with the last
	spaces   bool                     // white space around names counts for nothing
	blank    bool                     // empty lines in front of a message do
	anySpace bool                     // any white space separates the parts of a request line
	rename   func(name string) string // what a name is taken for
	// frame says what a head's lengths and codings mean.
	frame func(lengths, codings []string) (length int, chunked, ok bool)
	// size reads the line of a chunk.
	size   func(line string) (int, bool)
	anyEnd bool // whatever stands behind a chunk's data ends it
}

// message is what was read: a start line in its parts, and the rest.
type wireMessage struct {
	start    [3]string
	fields   [][2]string
	body     string
	trailers [][2]string
}

// get returns all values of a field.
func (m *wireMessage) get(name string) (values []string) {
	for _, f := range m.fields {
		if strings.EqualFold(f[0], name) {
			values = append(values, f[1])
		}
	}
	return values
}

// verdict is how reading a message ended.
type verdict int

const (
	malformed verdict = iota
	incomplete
	complete
)

const tokenBytes = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

func isGrammarToken(s string) bool { return s != "" && strings.Trim(s, tokenBytes) == "" }

// isGrammarValue: field-content is VCHAR, obs-text, SP and HTAB.
func isGrammarValue(s string) bool {
	for i := range len(s) {
		if b := s[i]; b != '\t' && (b < ' ' || b == 0x7F) {
			return false
		}
	}
	return true
}

// line cuts a line from text.
func (d *dialect) line(text string) (line, rest string, end verdict) {
	for i := range len(text) {
		switch {
		case text[i] == '\r' && i+1 < len(text) && text[i+1] == '\n':
			return text[:i], text[i+2:], complete
		case text[i] == '\r' && d.cr && i+1 < len(text), text[i] == '\n' && d.lf:
			return text[:i], text[i+1:], complete
		case text[i] == '\n' && !d.cr && !d.lf:
			return "", "", malformed
		}
	}
	return "", "", incomplete
}

// section reads field lines up to the empty line.
func (d *dialect) section(text string) (fields [][2]string, rest string, end verdict) {
	for {
		line, next, end := d.line(text)
		if end != complete {
			return nil, "", end
		}
		text = next
		if line == "" {
			return fields, text, complete
		}
		if (line[0] == ' ' || line[0] == '\t') && d.fold && len(fields) > 0 {
			fields[len(fields)-1][1] += " " + strings.Trim(line, " \t")
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		if d.nul {
			value, _, _ = strings.Cut(value, "\x00")
		} else if !isGrammarValue(value) {
			return nil, "", malformed
		}
		if d.spaces {
			name = strings.Trim(name, " \t\v\f\x00")
		}
		if !ok || !isGrammarToken(name) {
			return nil, "", malformed
		}
		fields = append(fields, [2]string{name, strings.Trim(value, " \t")})
	}
}

// read reads the first message of text. Where it is a response that has no body
// whatever its head says, noBody says so; toEnd, that without a length the body is
// all that follows.
func (d *dialect) read(text string, noBody func(status string) bool, toEnd bool) (m wireMessage, rest string, end verdict) {
	for d.blank && (strings.HasPrefix(text, "\r\n") || strings.HasPrefix(text, "\n")) {
		text = strings.TrimPrefix(strings.TrimPrefix(text, "\r"), "\n")
	}
	start, text, end := d.line(text)
	if end != complete {
		return m, "", end
	}
	if d.anySpace {
		start = strings.Join(strings.Fields(start), " ")
	}
	var ok bool
	m.start[0], start, ok = strings.Cut(start, " ")
	m.start[1], m.start[2], _ = strings.Cut(start, " ")
	if !ok || m.start[1] == "" {
		return m, "", malformed
	}
	if m.fields, text, end = d.section(text); end != complete {
		return m, "", end
	}
	if noBody != nil && noBody(m.start[1]) {
		return m, text, complete
	}
	var lengths, codings []string
	for _, f := range m.fields {
		name := strings.ToLower(f[0])
		if d.rename != nil {
			name = d.rename(name)
		}
		switch name {
		case "content-length":
			lengths = append(lengths, f[1])
		case "transfer-encoding":
			codings = append(codings, f[1])
		}
	}
	length, chunked, ok := d.frame(lengths, codings)
	switch {
	case !ok:
		return m, "", malformed
	case chunked:
		rest, end = d.chunks(&m, text)
		return m, rest, end
	case toEnd && len(lengths) == 0:
		m.body = text
		return m, "", complete
	case len(text) < length:
		return m, "", incomplete
	}
	m.body = text[:length]
	return m, text[length:], complete
}

func (d *dialect) chunks(m *wireMessage, text string) (rest string, end verdict) {
	for {
		line, next, end := d.line(text)
		if end != complete {
			return "", end
		}
		n, ok := d.size(line)
		if !ok || n < 0 {
			return "", malformed
		}
		text = next
		if n == 0 {
			m.trailers, rest, end = d.section(text)
			return rest, end
		}
		if len(text) < n+2 {
			return "", incomplete
		}
		if !d.anyEnd && text[n:n+2] != "\r\n" {
			return "", malformed
		}
		m.body += text[:n]
		text = text[n+2:]
	}
}

// number reads decimal digits; a length that no test has bytes for is as good as
// none.
func number(s string) (int, bool) {
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		return 1 << 50, true
	}
	return n, true
}

// strictFrame: one length, or chunked, or neither.
func strictFrame(lengths, codings []string) (length int, chunked, ok bool) {
	switch {
	case len(codings) == 1 && len(lengths) == 0:
		return 0, true, strings.EqualFold(codings[0], "chunked")
	case len(codings) == 0 && len(lengths) == 1:
		length, ok = number(lengths[0])
		return length, false, ok
	}
	return 0, false, len(lengths)+len(codings) == 0
}

// strictSize: hexadecimal digits and nothing else.
func strictSize(line string) (int, bool) {
	if line == "" || strings.Trim(line, "0123456789abcdefABCDEF") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(line, 16, 64)
	return int(min(n, 1<<50)), err == nil
}

var strict = dialect{name: "strict", frame: strictFrame, size: strictSize}

// received reads what the edge takes and mends: extensions of chunks, a length
// beside chunks, and a length said twice.
var received = dialect{name: "received", size: func(line string) (int, bool) {
	size, extension, _ := strings.Cut(line, ";")
	n, ok := strictSize(size)
	return n, ok && isGrammarValue(extension)
}, frame: func(lengths, codings []string) (int, bool, bool) {
	if len(codings) > 0 {
		return strictFrame(nil, codings)
	}
	return strictFrame(lengths[:min(1, len(lengths))], nil)
}}
