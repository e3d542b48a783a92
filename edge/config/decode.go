package config

import (
	"encoding"
	"fmt"
	"reflect"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// decoder fills a Config from a syntax tree. It goes no deeper than the Go types
// do, and goes on after a problem, to find them all.
type decoder struct {
	c     *Config
	lines []string // of the file
	found Problems
}

// errorf reports that the value at path cannot be known.
func (d *decoder) errorf(path string, at position, format string, args ...any) {
	d.c.source.spoil(path)
	d.report(path, at, format, args...)
}

// place is where to report a value: that of a key with nothing behind it is the
// key's.
func (d *decoder) place(path string, n ast.Node) position {
	if at, ok := d.c.source.positions[path]; ok && n.Type() == ast.NullType {
		return at
	}
	return positionOf(n)
}

// keyErrorf reports that a key of the mapping at path cannot be known. What the
// other keys say still holds.
func (d *decoder) keyErrorf(path string, at position, format string, args ...any) {
	d.c.source.taint(path)
	d.report(path, at, format, args...)
}

func (d *decoder) report(path string, at position, format string, args ...any) {
	d.found = append(d.found, Problem{
		File: d.c.source.name, Line: at.line, Column: at.column,
		Path: path, Text: fmt.Sprintf(format, args...),
	})
}

// config fills the whole, and tells whether there was anything to fill it from.
func (d *decoder) config(body ast.Node) bool {
	d.value("", body, reflect.ValueOf(d.c).Elem())
	_, ok := body.(ast.MapNode)
	return ok
}

var (
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
	wordType        = reflect.TypeFor[worder]()
	addressesType   = reflect.TypeFor[Addresses]()
)

// value fills v from n.
func (d *decoder) value(path string, n ast.Node, v reflect.Value) {
	n, ok := d.plain(path, n)
	if !ok {
		return
	}
	t := v.Type()
	switch {
	case t == pluginConfigType:
		d.free(path, n, v)
	case isScalar(t):
		d.scalar(path, n, v)
	case t.Kind() == reflect.Pointer:
		v.Set(reflect.New(t.Elem()))
		d.value(path, n, v.Elem())
	case t.Kind() == reflect.Struct:
		d.section(path, n, v)
	case t.Kind() == reflect.Map:
		d.named(path, n, v)
	case t.Kind() == reflect.Slice:
		d.list(path, n, v)
	default:
		panic("config: no rule to decode " + t.String())
	}
}

// plain refuses what YAML has beyond mappings, lists and scalars, and a key with
// nothing behind it. It returns what is behind an anchor, so that the problems
// there are found as well.
func (d *decoder) plain(path string, n ast.Node) (ast.Node, bool) {
	switch n := n.(type) {
	case *ast.AnchorNode:
		d.errorf(path, positionOf(n), "&%s: anchors are not taken: write the value out where it is used", n.Name)
		return d.plain(path, n.Value)
	case *ast.AliasNode:
		d.errorf(path, positionOf(n), "*%s is a YAML alias: write the value out, or put it in quotes if it begins with *", n.Value)
		return nil, false
	case *ast.TagNode:
		d.errorf(path, positionOf(n), "%s is a YAML tag: leave it out, or put the value in quotes if it begins with !", n.GetToken().Value)
		return nil, false
	case nil:
		d.errorf(path, position{}, "want a value, got nothing")
		return nil, false
	}
	return n, true
}

// section fills a struct, whose keys are known.
func (d *decoder) section(path string, n ast.Node, v reflect.Value) {
	m, ok := n.(ast.MapNode)
	if !ok {
		d.errorf(path, d.place(path, n), "want %s, got %s", wanted(v.Type()), got(n))
		return
	}
	if s, ok := v.Addr().Interface().(defaulter); ok {
		s.setDefaults()
	}
	fields := keysOf(v.Type())
	d.pairs(path, m, func(key string, at position, value ast.Node) {
		for _, f := range fields {
			if f.key == key {
				d.value(child(path, key), value, v.Field(f.index))
				return
			}
		}
		if near := nearest(key, fields); near != "" {
			d.errorf(child(path, key), at, "unknown key: did you mean %s?", near)
			// What is missing has been found already.
			d.c.source.spoil(child(path, near))
			return
		}
		d.errorf(child(path, key), at, "unknown key: want %s", oneOf(keyNames(fields)))
	})
}

// named fills a map, whose keys are names or words.
func (d *decoder) named(path string, n ast.Node, v reflect.Value) {
	m, ok := n.(ast.MapNode)
	if !ok {
		d.errorf(path, d.place(path, n), "want %s, got %s", wanted(v.Type()), got(n))
		return
	}
	t := v.Type()
	v.Set(reflect.MakeMap(t))
	d.pairs(path, m, func(key string, at position, value ast.Node) {
		k := reflect.New(t.Key()).Elem()
		k.SetString(key)
		if w, ok := k.Interface().(worder); ok && !known(w, key) {
			d.errorf(child(path, key), at, "unknown key: want %s", oneOf(w.words()))
			return
		}
		e := reflect.New(t.Elem()).Elem()
		d.value(child(path, key), value, e)
		v.SetMapIndex(k, e)
	})
}

// pairs calls visit for every key of m that is a plain name and new.
func (d *decoder) pairs(path string, m ast.MapNode, visit func(key string, at position, value ast.Node)) {
	seen := map[string]position{}
	for it := m.MapRange(); it.Next(); {
		at := positionOf(it.Key())
		key, ok := d.key(path, it.Key())
		if !ok {
			continue
		}
		if first, ok := seen[key]; ok {
			d.errorf(child(path, key), at, "key is in line %d already", first.line)
			continue
		}
		seen[key] = at
		value := it.Value()
		d.c.source.positions[child(path, key)] = at
		if _, null := value.(*ast.NullNode); !null && isScalarNode(value) {
			d.c.source.positions[child(path, key)] = positionOf(value)
		}
		visit(key, at, value)
	}
}

func (d *decoder) key(path string, n ast.MapKeyNode) (string, bool) {
	switch n := n.(type) {
	case *ast.MergeKeyNode:
		d.keyErrorf(path, positionOf(n), "<<: merge keys are not taken: write the keys out")
		return "", false
	case *ast.StringNode:
		return n.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.NullNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, true
	}
	d.keyErrorf(path, positionOf(n), "want a plain key")
	return "", false
}

// list fills a slice. Items that cannot be decoded keep their place as zero
// values, so that indexes stay those of the file.
func (d *decoder) list(path string, n ast.Node, v reflect.Value) {
	t := v.Type()
	seq, ok := n.(*ast.SequenceNode)
	if !ok {
		if t == addressesType && isScalarNode(n) && n.Type() != ast.NullType {
			v.Set(reflect.MakeSlice(t, 1, 1))
			d.value(path, n, v.Index(0))
			return
		}
		d.errorf(path, d.place(path, n), "want %s, got %s", wanted(t), got(n))
		return
	}
	v.Set(reflect.MakeSlice(t, len(seq.Values), len(seq.Values)))
	for i, value := range seq.Values {
		if value != nil {
			d.c.source.positions[item(path, i)] = positionOf(value)
		}
		d.value(item(path, i), value, v.Index(i))
	}
}

// field is one key of a section.
type field struct {
	key   string
	index int
}

// keysOf returns the keys of a section's type in the order of its fields.
func keysOf(t reflect.Type) []field {
	var fields []field
	for i := range t.NumField() {
		key, _, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ",")
		if key != "" {
			fields = append(fields, field{key, i})
		}
	}
	return fields
}

func keyNames(fields []field) []string {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.key
	}
	return names
}
