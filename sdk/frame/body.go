package frame

// reader walks over a body's fields and keeps the first thing that is wrong.
// Each parser asks it for the values that it wants; what a field that may be
// there once was already, is noted in seen.
type reader struct {
	what   Type
	fields Fields
	seen   uint64
	err    error
}

func read(what Type, body []byte) reader { return reader{what: what, fields: Fields{rest: body}} }

// next gives the next field until the body ends or something was wrong.
func (r *reader) next() (Tag, []byte, bool) {
	if r.err != nil {
		return 0, nil, false
	}
	tag, value, ok := r.fields.Next()
	if !ok {
		r.err = r.fields.Err()
	}
	return tag, value, ok
}

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = malformed(r.what.String()+": "+format, args...)
	}
}

// once refuses a second field of the same control tag, all of which are below 64.
func (r *reader) once(tag Tag) {
	if r.seen&(1<<tag) != 0 {
		r.fail("%v twice", tag)
	}
	r.seen |= 1 << tag
}

func (r *reader) number(tag Tag, value []byte, least, most uint64) uint64 {
	r.once(tag)
	return r.repeated(tag, value, least, most)
}

func (r *reader) repeated(tag Tag, value []byte, least, most uint64) uint64 {
	n, ok := Uint(value)
	if !ok {
		r.fail("%v: number of %d bytes, want 8", tag, len(value))
	} else if n < least || n > most {
		r.fail("%v: %d, want %d to %d", tag, n, least, most)
	}
	return n
}

// text is a printable string of at most the given length.
func (r *reader) text(tag Tag, value string, most int) string {
	r.once(tag)
	if len(value) > most {
		r.fail("%v: %d bytes, want at most %d", tag, len(value), most)
	} else if !IsPrintable(value) {
		r.fail("%v: %q is not printable", tag, clip(value))
	}
	return value
}

// unknown is a field that a plugin must not send.
func (r *reader) unknown(tag Tag) { r.fail("%v does not belong here", tag) }
