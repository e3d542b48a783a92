package http1

// Request is the head of a request. Its strings are the bytes it was read from:
// whoever keeps one longer than those must clone it. The zero Request is ready
// for Parse, and an HTTP/2 server may fill one by itself.
type Request struct {
	Method string
	Target string // as it was sent
	Path   string // of the target, with its query behind; "*" for that of OPTIONS
	Query  string // without its question mark
	Scheme string // of an absolute target, else ""
	Host   string // the authority of an absolute target, else the Host field
	Major  uint8
	Minor  uint8
	// Fields are those that go on: what frames the message, the Host, and what
	// merely looks like a framing field are none of them. Those about the
	// connection are there, for whoever sends the request on to leave out.
	Fields []Field
	// Length is that of the body: 0 for none, Unknown for chunks.
	Length int64
	// Encode says that the target has bytes that AppendTarget must encode.
	Encode  bool
	Finding Finding

	room [24]Field
}

// Unknown is the length of a body that says itself where it ends.
const Unknown = -1

// Parse reads a head, which Scanner has found the end of, in place. It returns
// the request's Finding, the gravest of all; if that has the level of a broken
// head, what was read so far is in r and means nothing.
func (r *Request) Parse(head []byte) Finding {
	fields := r.Fields[:0]
	if cap(fields) == 0 {
		fields = r.room[:0]
	}
	r.Method, r.Target, r.Path, r.Query, r.Scheme, r.Host = "", "", "", "", "", ""
	r.Major, r.Minor, r.Fields, r.Length, r.Encode = 0, 0, fields, 0, false
	r.Finding = r.parse(head)
	return r.Finding
}

func (r *Request) parse(head []byte) Finding {
	rest, found := r.parseLine(head)
	if found.Class == Severe {
		return found
	}
	fields, bad := parseFields(r.Fields, rest)
	r.Fields = fields
	if bad.Class != Compliant {
		return bad
	}
	return found.worse(r.frame())
}

// parseLine reads the request line (RFC 9112, section 3).
func (r *Request) parseLine(head []byte) (rest []byte, found Finding) {
	n := 0
	for n < len(head) && byteClass[head[n]]&tokenByte != 0 {
		n++
	}
	if n == 0 || n == len(head) || head[n] != ' ' {
		return nil, broken("BadMethod")
	}
	r.Method = text(head[:n])
	head = head[n+1:]
	n = 0
	for n < len(head) && head[n] > ' ' && head[n] != 0x7F {
		n++
	}
	if n == 0 || n == len(head) || head[n] != ' ' {
		if n < len(head) && head[n] != 0 && head[n] != '\r' && head[n] != '\n' && head[n] != ' ' {
			return nil, broken("AmbiguousUri") // another control character
		}
		return nil, broken("BadUri")
	}
	r.Target = text(head[:n])
	line, rest, ok := cutLine(head[n+1:])
	if !ok {
		return nil, broken("BadVersion")
	}
	switch string(line) {
	case "HTTP/1.1":
		r.Major, r.Minor = 1, 1
	case "HTTP/1.0":
		r.Major, r.Minor = 1, 0
	default:
		for _, b := range line {
			if b == ' ' {
				return nil, broken("SpaceInUri")
			}
		}
		return nil, broken("BadVersion")
	}
	return rest, r.parseTarget()
}

// maxOptions is how many bytes of Connection fields a request may have: more than
// any client has a use for, and few enough to look all other fields up in.
const maxOptions = 1 << 10

// frame finds out where the request ends, and takes what says so out of its
// fields (RFC 9112, section 6.3).
func (r *Request) frame() (found Finding) {
	var lengths, codings, hosts, options int
	var suspects suspects
	host := ""
	kept := r.Fields[:0]
	for _, f := range r.Fields {
		switch f.Kind {
		case ContentLength:
			length, ok := parseLength(f.Value)
			if !ok {
				return broken("BadContentLength")
			}
			if lengths++; lengths > 1 {
				if length != r.Length {
					return broken("MultipleContentLength")
				}
				found = found.worse(sameLengthTwice)
			}
			r.Length = length
			continue
		case TransferEncoding:
			if codings++; codings > 1 {
				return broken("MultipleTransferEncodingChunked")
			}
			if !equalFold(f.Value, "chunked") {
				return badCoding(f.Value)
			}
			continue
		case Connection:
			// Each field is looked up among these.
			if options += len(f.Value); options > maxOptions {
				return broken("BadHeader")
			}
		case Host:
			if hosts++; hosts > 1 {
				return broken("BadHeader")
			}
			if host = f.Value; !isHost(host) {
				return broken("BadHeader")
			}
			continue
		case Other:
			if suspects.note(f.Name) {
				continue
			}
		}
		if nonASCII(f.Value) {
			found = found.worse(nonASCIIHeader)
		}
		kept = append(kept, f)
	}
	r.Fields = kept
	switch {
	case codings > 0 && r.Minor == 0:
		return broken("UndefinedTransferEncodingSemantics")
	case hosts == 0 && r.Minor > 0:
		return broken("BadHeader")
	}
	found = found.worse(suspects.finding(lengths+codings > 0))
	if codings > 0 && lengths > 0 {
		found = found.worse(bothPresent)
	}
	if r.Method == "GET" || r.Method == "HEAD" {
		switch {
		case codings > 0:
			found = found.worse(codingOfGet)
		case r.Length > 0:
			found = found.worse(lengthOfGet)
		case lengths > 0:
			found = found.worse(zeroLengthOfGet)
		}
	}
	if codings > 0 {
		r.Length = Unknown // the coding overrides a length
	}
	if r.Scheme == "" {
		r.Host = host
	} else if hosts > 0 && !EqualFold(host, r.Host) {
		found = found.worse(otherAuthority)
	}
	return found
}

// isHost says whether s has only bytes of a host and port, without user
// information (RFC 3986, section 3.2.2).
func isHost(s string) bool {
	for i := range len(s) {
		if byteClass[s[i]]&hostByte == 0 {
			return false
		}
	}
	return true
}
