package http1

import "bytes"

// Limits on a message's head, in bytes.
const (
	MaxLine         = 16 << 10 // a request line, and each field line: ALB's
	MaxHead         = 64 << 10 // of a request: ALB's
	MaxResponseHead = 32 << 10
	// MaxFields is how many field lines a head may have: each costs a look at
	// every name that is stripped.
	MaxFields = 512
)

// Scanner finds the end of a head that arrives in pieces, looking at each byte
// once. The zero Scanner waits for a head's first byte.
type Scanner struct {
	line, next int // where the current line begins, and what was not looked at yet
}

// End returns how many bytes of buf the head takes, or 0 if it goes on; buf is
// what the last call got, and more. A head that cannot become a good one ends
// where that shows, for Parse to say why, and oversized tells one that exceeds
// its limits: maxLine per line, maxHead in all.
func (s *Scanner) End(buf []byte, maxLine, maxHead int) (end int, oversized bool) {
	if len(buf) > 0 && byteClass[buf[0]]&tokenByte == 0 {
		return len(buf), false
	}
	for s.next < len(buf) {
		i := bytes.IndexByte(buf[s.next:], '\n')
		if i < 0 {
			s.next = len(buf)
			break
		}
		at := s.next + i
		switch {
		case at+1 > maxHead || at+1-s.line > maxLine:
			return len(buf), true
		case at == s.line || buf[at-1] != '\r': // a bare LF
			return at + 1, false
		case at == s.line+1: // the empty line
			return at + 1, false
		}
		s.line, s.next = at+1, at+1
	}
	return 0, len(buf) > maxHead || len(buf)-s.line > maxLine
}

// InFirstLine says whether no line has ended yet.
func (s *Scanner) InFirstLine() bool { return s.line == 0 }

// cutLine cuts the first line of a head, which must end in CR LF.
func cutLine(head []byte) (line, rest []byte, ok bool) {
	i := bytes.IndexByte(head, '\n')
	if i < 1 || head[i-1] != '\r' {
		return nil, nil, false
	}
	return head[:i-1], head[i+1:], true
}

// parseFields reads field lines up to the empty line.
func parseFields(fields []Field, head []byte) ([]Field, Finding) {
	var found Finding
	for {
		if len(head) == 2 && head[0] == '\r' && head[1] == '\n' {
			return fields, found
		}
		// By the name first: what stands before the colon decides what is wrong.
		n := 0
		for n < len(head) && byteClass[head[n]]&tokenByte != 0 {
			n++
		}
		switch {
		case n == len(head):
			return fields, broken("BadHeader")
		case head[n] == ':' && n == 0:
			return fields, broken("EmptyHeader")
		case head[n] == '\r' && n == 0:
			return fields, broken("BadHeader")
		case head[n] != ':':
			return fields, badName(head, n)
		}
		line, rest, ok := cutLine(head)
		if !ok {
			return fields, broken("BadHeader")
		}
		value := line[n+1:]
		if !all(value, valueByte) {
			return fields, broken("BadHeader")
		}
		if len(fields) == MaxFields {
			return fields, broken(ReasonHeadTooLarge)
		}
		name := text(line[:n])
		fields = append(fields, Field{Name: name, Value: trim(text(value)), Kind: KindOf(name)})
		head = rest
	}
}

// badName says what is wrong with a line that has no colon behind its name, of n
// bytes.
func badName(head []byte, n int) Finding {
	if head[n] == 0 || head[n] == '\r' && (n+1 == len(head) || head[n+1] != '\n') {
		return broken("BadHeader")
	}
	if n == 0 {
		for n < len(head) && (head[n] == ' ' || head[n] == '\t') {
			n++
		}
		if n > 0 && n < len(head) && (head[n] == '\r' || head[n] == '\n') {
			return broken("EmptyHeader") // a line of white space
		}
	}
	return broken("NonCompliantHeader") // white space, line folding, or no colon at all
}

// nonASCII says whether s has bytes over 0x7F.
func nonASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return true
		}
	}
	return false
}

// parseLength reads a Content-Length; no sum of it with a head's overflows.
func parseLength(value string) (length int64, ok bool) {
	if value == "" || len(value) > 18 {
		return 0, false
	}
	for i := range len(value) {
		if value[i] < '0' || value[i] > '9' {
			return 0, false
		}
		length = 10*length + int64(value[i]-'0')
	}
	return length, true
}
