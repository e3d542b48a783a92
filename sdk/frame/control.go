package frame

// ConfigureBody is the body of CONFIGURE.
type ConfigureBody struct {
	Protocol uint32 // the version that both will speak
	MaxFrame int    // the longest frame that either will send from now on
	Config   []byte // the plugin's section of the configuration, as JSON; may be empty
}

// Append appends the fields of c.
func (c *ConfigureBody) Append(dst []byte) []byte {
	dst = AppendUint(dst, TagProtocol, uint64(c.Protocol))
	dst = AppendUint(dst, TagMaxFrame, uint64(c.MaxFrame))
	return AppendField(dst, TagConfig, c.Config)
}

// ParseConfigure reads the body of CONFIGURE. Config points into body. Fields
// that are not known are those of a newer host, and skipped.
func ParseConfigure(body []byte) (ConfigureBody, error) {
	c := ConfigureBody{MaxFrame: DefaultMax}
	r := read(Configure, body)
	for tag, value, ok := r.next(); ok; tag, value, ok = r.next() {
		switch tag {
		case TagProtocol:
			c.Protocol = uint32(r.number(tag, value, 1, 1<<32-1))
		case TagMaxFrame:
			c.MaxFrame = int(r.number(tag, value, MinMax, HardMax))
		case TagConfig:
			if r.once(tag); len(value) > 0 {
				c.Config = value
			}
		}
	}
	if c.Protocol == 0 {
		r.fail("no version of the protocol")
	}
	if r.err != nil {
		return ConfigureBody{}, r.err
	}
	return c, nil
}

// ConfiguredBody is the body of CONFIGURED.
type ConfiguredBody struct {
	Error string // why the plugin is not ready; empty: it is
	// Needs are the fields that calls shall have from now on, as ParseNeed reads
	// them: nil for those of HELLO, empty for none. See Covers.
	Needs []string
}

// Append appends the fields of c.
func (c *ConfiguredBody) Append(dst []byte) []byte {
	if c.Error != "" {
		dst = AppendString(dst, TagError, c.Error)
	}
	for _, need := range c.Needs {
		dst = AppendString(dst, TagNeed, need)
	}
	if c.Needs != nil && len(c.Needs) == 0 {
		dst = AppendString(dst, TagNeed, "")
	}
	return dst
}

// ParseConfigured reads the body of CONFIGURED. An error that is there but empty
// is an error all the same.
func ParseConfigured(body []byte) (ConfiguredBody, error) {
	var c ConfiguredBody
	none := false // needs are named, and they are none
	r := read(Configured, body)
	for tag, value, ok := r.next(); ok; tag, value, ok = r.next() {
		switch tag {
		case TagError:
			if c.Error = r.text(tag, string(value), MaxError); c.Error == "" {
				c.Error = "not ready"
			}
		case TagNeed:
			if none || len(value) == 0 && c.Needs != nil {
				r.fail("an empty need beside another one")
			} else if none = len(value) == 0; none {
				c.Needs = []string{}
			} else {
				c.Needs = r.need(c.Needs, string(value), MaxNeeds)
			}
		default:
			r.unknown(tag)
		}
	}
	if r.err != nil {
		return ConfiguredBody{}, r.err
	}
	return c, nil
}

// InvalidateBody is the body of INVALIDATE: the zero one forgets all cached
// verdicts of the plugin.
type InvalidateBody struct {
	One  bool     // only the verdicts on the certificate whose SHA-256 is Leaf
	Leaf [32]byte // of its DER
}

// Append appends the fields of i.
func (i *InvalidateBody) Append(dst []byte) []byte {
	if i.One {
		dst = AppendField(dst, TagLeaf, i.Leaf[:])
	}
	return dst
}

// ParseInvalidate reads the body of INVALIDATE.
func ParseInvalidate(body []byte) (InvalidateBody, error) {
	var i InvalidateBody
	r := read(Invalidate, body)
	for tag, value, ok := r.next(); ok; tag, value, ok = r.next() {
		if tag != TagLeaf {
			r.unknown(tag)
			continue
		}
		r.once(tag)
		if len(value) != len(i.Leaf) {
			r.fail("leaf of %d bytes, want a SHA-256", len(value))
		}
		i.One = true
		copy(i.Leaf[:], value)
	}
	if r.err != nil {
		return InvalidateBody{}, r.err
	}
	return i, nil
}

// Level is how serious a line of the log is. The zero Level is Info.
type Level uint8

// The levels.
const (
	Debug Level = 1
	Info  Level = 2
	Warn  Level = 3
	Error Level = 4
)

// Attr is a fact of a line of the log.
type Attr struct{ Key, Value string }

// LogBody is the body of LOG. Any byte may be in its strings.
type LogBody struct {
	Level   Level
	Message string
	Attrs   []Attr
}

// Append appends the fields of l.
func (l *LogBody) Append(dst []byte) []byte {
	level := l.Level
	if level == 0 {
		level = Info
	}
	dst = AppendUint(dst, TagLevel, uint64(level))
	dst = AppendString(dst, TagMessage, l.Message)
	for _, a := range l.Attrs {
		dst = AppendPair(dst, TagAttr, a.Key, a.Value)
	}
	return dst
}

// ParseLog reads the body of LOG.
func ParseLog(body []byte) (LogBody, error) {
	l := LogBody{Level: Info}
	size := 0
	r := read(Log, body)
	for tag, value, ok := r.next(); ok; tag, value, ok = r.next() {
		if size += len(value); size > MaxMessage {
			r.fail("more than %d bytes", MaxMessage)
			break
		}
		switch tag {
		case TagLevel:
			l.Level = Level(r.number(tag, value, uint64(Debug), uint64(Error)))
		case TagMessage:
			r.once(tag)
			l.Message = string(value)
		case TagAttr:
			key, rest, found := Pair(value)
			if !found || len(key) == 0 || len(l.Attrs) == MaxAttrs {
				r.fail("fact %d: want at most %d, a key, a zero byte and a value", len(l.Attrs)+1, MaxAttrs)
			}
			l.Attrs = append(l.Attrs, Attr{string(key), string(rest)})
		default:
			r.unknown(tag)
		}
	}
	if r.err != nil {
		return LogBody{}, r.err
	}
	return l, nil
}
