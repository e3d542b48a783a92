package template

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/sallyport/sallyport/sdk/frame"
)

// MaxText is the longest template, in bytes.
const MaxText = 4 << 10

// Parse reads a template, and says where it is wrong. Fields of the response are
// for templates of its own headers only.
func Parse(text string, ofResponse bool) (*Template, error) {
	if len(text) > MaxText {
		return nil, fmt.Errorf("template of %d bytes: want at most %d", len(text), MaxText)
	}
	if !frame.IsValue(text) {
		return nil, errors.New("template holds CR, LF or NUL, which no header may")
	}
	t := &Template{}
	for rest := text; rest != ""; {
		literal, after, found := strings.Cut(rest, "{{")
		if literal != "" {
			t.parts = append(t.parts, part{text: literal})
		}
		if !found {
			break
		}
		at := len(text) - len(after) - len("{{")
		p, left, err := parsePlaceholder(after, ofResponse)
		if err != nil {
			return nil, fmt.Errorf("placeholder at byte %d: %w", at+1, err)
		}
		t.parts = append(t.parts, p)
		if p.field != (frame.Need{}) && !slices.Contains(t.needs, p.field) {
			t.needs = append(t.needs, p.field)
		}
		rest = left
	}
	if len(t.needs) > frame.MaxNeeds {
		return nil, fmt.Errorf("%d fields: want at most %d", len(t.needs), frame.MaxNeeds)
	}
	return t, nil
}

// scanner reads the words of a placeholder.
type scanner struct{ rest string }

func (s *scanner) space() { s.rest = strings.TrimLeft(s.rest, " \t") }

// take reads a mark, if it comes next.
func (s *scanner) take(mark string) bool {
	s.space()
	rest, ok := strings.CutPrefix(s.rest, mark)
	if ok {
		s.rest = rest
	}
	return ok
}

// word reads up to a space or mark.
func (s *scanner) word() string {
	s.space()
	end := strings.IndexAny(s.rest, " \t[|}\"")
	if end < 0 {
		end = len(s.rest)
	}
	word := s.rest[:end]
	s.rest = s.rest[end:]
	return word
}

// quoted reads a text in quotes, as Go writes it.
func (s *scanner) quoted() (string, error) {
	s.space()
	prefix, err := strconv.QuotedPrefix(s.rest)
	if err != nil || prefix[0] == '\'' {
		return "", errors.New(`want a text in double quotes`)
	}
	s.rest = s.rest[len(prefix):]
	text, err := strconv.Unquote(prefix)
	if err == nil && !frame.IsValue(text) {
		err = errors.New("CR, LF or NUL in a text, which no header may have")
	}
	return text, err
}

// parsePlaceholder reads up to the closing marks.
func parsePlaceholder(text string, ofResponse bool) (p part, rest string, err error) {
	s := &scanner{rest: text}
	s.space()
	if strings.HasPrefix(s.rest, `"`) {
		if p.text, err = s.quoted(); err != nil {
			return p, "", err
		}
		if !s.take("}}") {
			return p, "", errors.New("want }} behind a text")
		}
		return p, s.rest, nil
	}
	name := s.word()
	if p.field, err = frame.ParseNeed(name); err != nil {
		return p, "", fmt.Errorf("no field %q", name)
	}
	kind := p.field.Tag.Kind()
	switch {
	case p.field.Tag >= frame.TagResponseStatus && !ofResponse:
		return p, "", fmt.Errorf("%s is of the response: want a field of the connection, the certificate or the request", name)
	case kind == frame.Header && p.field.Header == "":
		return p, "", fmt.Errorf("%s: want a single one, as header:NAME or response_header:NAME", name)
	}
	list := kind == frame.List || kind == frame.Header
	p.index = all
	if s.take("[") {
		digits := s.word() // up to the bracket, which ends no word
		number, found := strings.CutSuffix(digits, "]")
		n, err := strconv.ParseUint(number, 10, 16)
		if !found || err != nil {
			return p, "", fmt.Errorf("index [%s: want a number from 0 to 65535 and a bracket", digits)
		}
		if !list {
			return p, "", fmt.Errorf("%s is no list", name)
		}
		p.index, list = int(n), false
	}
	joined, err := p.filters(s)
	switch {
	case err != nil:
		return p, "", err
	case !list && joined:
		return p, "", fmt.Errorf("join: %s is one value", name)
	case list && !joined && p.encode != structured:
		return p, "", fmt.Errorf(`%s is a list: want an entry, as %[1]s[0], or all, as %[1]s | join ", "`, name)
	case list && !joined:
		p.join = ", " // RFC 9651, section 3.1
	case list && joined && p.encode == structured:
		return p, "", errors.New("join: sf makes a List by itself")
	case isBinary(p.field.Tag) && p.encode == plain:
		return p, "", fmt.Errorf("%s is binary: want base64, url or sf behind it", name)
	}
	return p, s.rest, nil
}

// filters reads what follows a field.
func (p *part) filters(s *scanner) (joined bool, err error) {
	for {
		if s.take("}}") {
			return joined, nil
		}
		if !s.take("|") {
			return joined, errors.New("want }} or | behind a field")
		}
		switch name := s.word(); name {
		case "default":
			if p.hasFallback {
				return joined, errors.New("default twice")
			}
			p.hasFallback = true
			p.fallback, err = s.quoted()
		case "join":
			if joined {
				return joined, errors.New("join twice")
			}
			joined = true
			p.join, err = s.quoted()
		case "url", "base64", "sf":
			if p.encode != plain {
				return joined, fmt.Errorf("%s: a value is encoded once", name)
			}
			p.encode = map[string]encoding{"url": percent, "base64": base64Text, "sf": structured}[name]
		default:
			return joined, fmt.Errorf("%q: want default, join, url, base64 or sf", name)
		}
		if err != nil {
			return joined, err
		}
	}
}
