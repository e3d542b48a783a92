package http1

// JudgeFramed looks at a request that came by HTTP/2, which says by itself where a
// message ends, for what a target of HTTP/1.1 could read in another way, and for
// what makes it malformed (RFC 9113, section 8). It makes Finding worse, never
// better, takes out the fields that Parse takes out, and the white space around
// values.
func (r *Request) JudgeFramed() {
	found := r.Finding
	var suspects suspects
	lengths, length := 0, int64(0)
	kept := r.Fields[:0]
	for _, f := range r.Fields {
		if f.Kind == Other && suspects.note(f.Name) {
			continue
		}
		if !IsToken(f.Name) {
			found = found.worse(broken("NonCompliantHeader"))
		}
		if !IsValue(f.Value) {
			found = found.worse(broken("BadHeader"))
		}
		if value := trim(f.Value); len(value) != len(f.Value) {
			f.Value = value
			found = found.worse(paddedHeader)
		}
		if nonASCII(f.Value) {
			found = found.worse(nonASCIIHeader)
		}
		if f.Kind == ContentLength {
			n, ok := parseLength(f.Value)
			switch lengths++; {
			case !ok:
				found = found.worse(broken("BadContentLength"))
			case lengths > 1 && n != length:
				found = found.worse(broken("MultipleContentLength"))
			case lengths > 1:
				found = found.worse(sameLengthTwice)
			case r.Length >= 0 && n != r.Length: // and not that of the body
				found = found.worse(broken("BadContentLength"))
			}
			length = n
		}
		kept = append(kept, f)
	}
	r.Fields = kept
	switch {
	case !IsToken(r.Method):
		found = found.worse(broken("BadMethod"))
	case r.Length < 0 && (r.Method == "GET" || r.Method == "HEAD"):
		found = found.worse(codingOfGet)
	case r.Length > 0 && (r.Method == "GET" || r.Method == "HEAD"):
		found = found.worse(lengthOfGet)
	}
	r.Finding = found.worse(suspects.finding(r.Length != 0))
}
