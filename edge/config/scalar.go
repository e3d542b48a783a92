package config

import (
	"encoding"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

func isScalar(t reflect.Type) bool {
	if reflect.PointerTo(t).Implements(textUnmarshaler) || t.Implements(wordType) {
		return true
	}
	switch t.Kind() {
	case reflect.String, reflect.Bool, reflect.Int:
		return true
	}
	return false
}

// isScalarNode tells mappings and lists, also behind an anchor, from the rest.
func isScalarNode(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.AnchorNode:
		return isScalarNode(n.Value)
	case nil, *ast.SequenceNode, *ast.MappingNode, *ast.MappingValueNode:
		return false
	}
	return true
}

var (
	decimal = regexp.MustCompile(`^-?(0|[1-9][0-9]*)$`)

	// mayBeEmpty are the keys for which an empty string means something. For all
	// others it is a value that somebody forgot, or a template did not fill in.
	mayBeEmpty = []string{"message_body", "query"}
)

// scalar fills v, for which isScalar holds. Whatever YAML would make of a plain
// scalar, only v's type counts: the text 0123 is a number for a number and the
// text 0123 for a string.
func (d *decoder) scalar(path string, n ast.Node, v reflect.Value) {
	at := d.place(path, n)
	text, ok := textOf(n)
	if !ok {
		d.errorf(path, at, "want %s, got %s%s", wanted(v.Type()), got(n), d.commentHint(n))
		return
	}
	if strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' }) {
		d.errorf(path, at, "%s: want no control characters", quote(text))
		return
	}
	switch p := v.Addr().Interface().(type) {
	case encoding.TextUnmarshaler:
		if err := p.UnmarshalText([]byte(text)); err != nil {
			d.errorf(path, at, "%v", err)
		}
		return
	case worder:
		if !known(p, text) {
			d.errorf(path, at, "%s: want %s", quote(text), oneOf(p.words()))
			return
		}
		v.SetString(text)
		return
	}
	switch v.Kind() {
	case reflect.String:
		if key := path[strings.LastIndexByte(path, '.')+1:]; text == "" && !slices.Contains(mayBeEmpty, key) {
			d.errorf(path, at, `"": want text; leave the key out for its default`)
			return
		}
		v.SetString(text)
	case reflect.Bool:
		if _, ok := n.(*ast.BoolNode); !ok {
			d.errorf(path, at, "%s: want true or false%s", quote(text), quotedHint(n))
			return
		}
		v.SetBool(strings.EqualFold(text, "true"))
	case reflect.Int:
		i, err := strconv.Atoi(text)
		if _, str := n.(*ast.StringNode); err != nil || !decimal.MatchString(text) || str && quoted(n) {
			d.errorf(path, at, "%s: want a whole number%s", quote(text), quotedHint(n))
			return
		}
		v.SetInt(int64(i))
	}
}

// textOf is a scalar as it is written.
func textOf(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, true
	}
	return "", false
}

func quoted(n ast.Node) bool {
	t := n.GetToken()
	return t != nil && (t.Type == token.SingleQuoteType || t.Type == token.DoubleQuoteType)
}

func quotedHint(n ast.Node) string {
	if quoted(n) {
		return " without quotes"
	}
	return ""
}

// commentHint explains a value that YAML takes for a comment, such as
// #{host}.
func (d *decoder) commentHint(n ast.Node) string {
	at := tokenPosition(n.GetToken())
	if n.Type() != ast.NullType || at.line < 1 || at.line > len(d.lines) {
		return ""
	}
	line := []rune(d.lines[at.line-1])
	rest := string(line[min(max(at.column-1, 0), len(line)):])
	if strings.HasPrefix(strings.TrimLeft(rest, " \t"), "#") {
		return ": what begins with # is a comment unless it is in quotes"
	}
	return ""
}

func known(w worder, text string) bool { return slices.Contains(w.words(), text) }

// wanted describes what is written for a type.
func wanted(t reflect.Type) string {
	if w, ok := reflect.Zero(t).Interface().(worder); ok {
		return oneOf(w.words())
	}
	switch t {
	case reflect.TypeFor[Duration]():
		return "a duration such as 10s"
	case reflect.TypeFor[Size]():
		return "a size such as 64KiB"
	case reflect.TypeFor[Weight](), reflect.TypeFor[Cores]():
		return "a number such as 0.1"
	case reflect.TypeFor[Sample]():
		return "a number from 0 to 1, or parent"
	case reflect.TypeFor[OnOff]():
		return "on or off"
	case reflect.TypeFor[Network]():
		return "a network such as 10.0.0.0/8"
	case reflect.TypeFor[Fingerprint]():
		return "a SHA-256 of 64 hex digits"
	case addressesType:
		return "an address or a list of them"
	}
	switch t.Kind() {
	case reflect.String:
		return "text"
	case reflect.Bool:
		return "true or false"
	case reflect.Int:
		return "a whole number"
	case reflect.Slice:
		switch e := t.Elem(); {
		case e.Implements(wordType):
			return "a list of words"
		case e.Kind() == reflect.Struct:
			return "a list of mappings"
		default:
			return "a list of strings"
		}
	case reflect.Map:
		if t.Elem().Kind() == reflect.Struct {
			return "a mapping of names to sections"
		}
	}
	return "a mapping"
}

// got describes what is written.
func got(n ast.Node) string {
	switch n.(type) {
	case ast.MapNode:
		return "a mapping"
	case *ast.SequenceNode:
		return "a list"
	case *ast.NullNode:
		return "nothing"
	}
	if text, ok := textOf(n); ok {
		return quote(text)
	}
	return "something else"
}

// quote is for values in messages, which stay readable when the value is not.
func quote(s string) string {
	const most = 80
	if len(s) > most {
		return strconv.Quote(strings.ToValidUTF8(s[:most], "")) + "…"
	}
	return strconv.Quote(s)
}

// oneOf reads "a, b or c".
func oneOf(words []string) string {
	switch n := len(words); n {
	case 0:
		return "nothing"
	case 1:
		return words[0]
	default:
		return strings.Join(words[:n-1], ", ") + " or " + words[n-1]
	}
}
