package http1

// suspects are fields that are none of those that frame a message, under names
// that a target could take for theirs.
type suspects struct{ length, coding bool }

// note says whether name is a suspect's.
func (s *suspects) note(name string) bool {
	switch {
	case foldsTo(name, "content", "length"):
		s.length = true
	case foldsTo(name, "transfer", "encoding"):
		s.coding = true
	default:
		return false
	}
	return true
}

// finding judges them; framed says whether the message has fields that do frame
// it, or a body.
func (s *suspects) finding(framed bool) Finding {
	switch {
	case !s.length && !s.coding:
		return Finding{}
	case framed || s.length && s.coding:
		return suspiciousBoth
	}
	return suspiciousHeader
}

// LooksFraming says whether a target could take a field's name for one that says
// where a message ends: in any case, and with any bytes that are neither letter
// nor digit for the hyphen, in front and behind, as targets do that clean up names
// or fold them for CGI.
func LooksFraming(name string) bool { return new(suspects).note(name) }

// foldsTo says whether name is two words in lower case, with something between
// that is neither letter nor digit.
func foldsTo(name, first, second string) bool {
	if len(name) <= len(first)+len(second) {
		return false
	}
	rest, ok := cutWord(name, first)
	if !ok || rest == "" || isWord(rest[0]) {
		return false
	}
	rest, ok = cutWord(rest, second)
	for i := range len(rest) {
		if isWord(rest[i]) {
			return false
		}
	}
	return ok
}

// cutWord cuts a word in lower case from s, and what is in front of it that is
// part of none.
func cutWord(s, word string) (rest string, ok bool) {
	i := 0
	for i < len(s) && !isWord(s[i]) {
		i++
	}
	if s = s[i:]; len(s) < len(word) || !equalFold(s[:len(word)], word) {
		return "", false
	}
	return s[len(word):], true
}

func isWord(b byte) bool {
	return 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9'
}

// badCoding says what is wrong with a Transfer-Encoding that is not chunked alone.
func badCoding(value string) Finding {
	chunked := 0
	for value != "" {
		var coding string
		if coding, value = NextToken(value); equalFold(coding, "chunked") {
			chunked++
		}
	}
	if chunked > 1 {
		return broken("MultipleTransferEncodingChunked")
	}
	return broken("BadTransferEncoding")
}
