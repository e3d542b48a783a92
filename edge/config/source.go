package config

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
)

// source is where a Config came from. Its zero value is that of a Config made
// in code: no positions, relative names are the process's.
type source struct {
	name, dir string

	// positions of every path written: of a scalar or a list's item the value's
	// own, of a section or a list its key's.
	positions map[string]position

	// spoilt paths could not be decoded, and tainted ones have such a path below
	// them. Rules say nothing about either: what they would say follows from what
	// has been said already.
	spoilt, tainted map[string]bool
}

type position struct{ line, column int }

// Name is the file's name as it was given to Load or Parse.
func (c *Config) Name() string { return c.source.name }

// ResolvePath returns the file name to open for one written in the
// configuration: relative names are taken from the configuration file's
// directory.
func (c *Config) ResolvePath(name string) string {
	if name == "" || filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(c.source.dir, name)
}

// Problemf returns a Problem of severity Error at the place of path, in the form
// of Problem.Path, for what only those can see who use the configuration: that a
// file it names cannot be read, say. A path that is not written down has the
// place of its nearest parent that is.
func (c *Config) Problemf(path, format string, args ...any) Problem {
	p := Problem{File: c.source.name, Path: path, Text: fmt.Sprintf(format, args...)}
	for ; path != ""; path = parent(path) {
		if at, ok := c.source.positions[path]; ok {
			p.Line, p.Column = at.line, at.column
			break
		}
	}
	return p
}

// Warningf is Problemf with severity Warning.
func (c *Config) Warningf(path, format string, args ...any) Problem {
	p := c.Problemf(path, format, args...)
	p.Severity = Warning
	return p
}

func (s *source) spoil(path string) {
	s.spoilt[path] = true
	s.taint(path)
}

func (s *source) taint(path string) {
	for ; path != ""; path = parent(path) {
		s.tainted[path] = true
	}
	s.tainted[""] = true
}

// lost tells that the value at path is not what was written.
func (s *source) lost(path string) bool {
	for ; path != ""; path = parent(path) {
		if s.spoilt[path] {
			return true
		}
	}
	return s.spoilt[""]
}

// unsure tells that the value at path is not, or not wholly, what was written.
func (s *source) unsure(path string) bool { return s.tainted[path] || s.lost(path) }

// wrote tells that path is written down.
func (s *source) wrote(path string) bool { _, ok := s.positions[path]; return ok }

// child is the path of a key of a mapping.
func child(path, key string) string {
	for i := range len(key) {
		switch c := key[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_', c == '-':
			continue
		}
		key = strconv.Quote(key)
		break
	}
	if key == "" {
		key = `""`
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

// item is the path of an item of a list.
func item(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

// parent cuts off the last key or index. A path that is in no known form has
// no parent.
func parent(path string) string {
	cut := 0
	for rest := path; rest != ""; {
		start := len(path) - len(rest)
		switch rest[0] {
		case '"':
			quoted, err := strconv.QuotedPrefix(rest)
			if err != nil {
				return ""
			}
			rest = rest[len(quoted):]
		case '.':
			cut, rest = start, rest[1:]
		case '[':
			cut, rest = start, rest[1:]
		default:
			n := strings.IndexAny(rest, `."[`)
			if n < 0 {
				n = len(rest)
			}
			rest = rest[n:]
		}
	}
	return path[:cut]
}
