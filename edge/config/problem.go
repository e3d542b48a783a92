package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Severity tells what keeps a configuration from being used from what does not.
type Severity uint8

const (
	// Error is a defect: the configuration must not be used.
	Error Severity = iota
	// Warning is most likely a mistake; the configuration may be used.
	Warning
)

// Problem is one thing wrong with a configuration: where it is, and what was
// wanted there.
type Problem struct {
	// File as it was named to Load or Parse; empty for a Config made in code.
	File string
	// Line and Column count from 1, columns in characters; 0 when not known.
	Line, Column int
	// Path of keys that leads there, such as
	// listeners.public.certificates[0]; empty for the file as a whole. Keys that
	// are not letters, digits, '_' and '-' are in double quotes.
	Path string
	// Text quotes the bad value and says what was wanted.
	Text string
	// Severity is Error unless set.
	Severity Severity
}

// String is FILE:LINE:COLUMN: PATH: TEXT, without the parts that are not known,
// and with "warning: " before the path of a Warning.
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", p.Line, p.Column)
	}
	if b.Len() > 0 {
		b.WriteString(": ")
	}
	if p.Severity == Warning {
		b.WriteString("warning: ")
	}
	if p.Path != "" {
		b.WriteString(p.Path + ": ")
	}
	b.WriteString(p.Text)
	return b.String()
}

// Problems are all that was found wrong, in the order of Sort. As an error it
// reads one line each; use Err to get one, since Problems that hold only
// warnings, or nothing, are no error.
type Problems []Problem

func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// Err returns those of severity Error as one error, a Problems, or nil if there
// are none.
func (ps Problems) Err() error {
	if errs := ps.of(Error); len(errs) > 0 {
		return errs
	}
	return nil
}

// Warnings returns those of severity Warning.
func (ps Problems) Warnings() Problems { return ps.of(Warning) }

// With returns ps and those of more that are not about what an error in ps is
// about already, at its path, above it or below it: so that who looks further
// after Load does not say in other words what Load has said.
func (ps Problems) With(more Problems) Problems {
	all := slices.Clone(ps)
	for _, p := range more {
		echo := slices.ContainsFunc(ps, func(said Problem) bool {
			return said.Severity == Error && (within(p.Path, said.Path) || within(said.Path, p.Path))
		})
		if !echo {
			all = append(all, p)
		}
	}
	all.Sort()
	return all
}

// within says whether path is that of above, or below it.
func within(path, above string) bool {
	rest, ok := strings.CutPrefix(path, above)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

func (ps Problems) of(s Severity) Problems {
	var some Problems
	for _, p := range ps {
		if p.Severity == s {
			some = append(some, p)
		}
	}
	return some
}

// Sort puts ps into the order of the file: by file, line, column, path, text.
func (ps Problems) Sort() {
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(
			cmp.Compare(a.File, b.File),
			cmp.Compare(a.Line, b.Line),
			cmp.Compare(a.Column, b.Column),
			cmp.Compare(a.Path, b.Path),
			cmp.Compare(a.Text, b.Text),
		)
	})
}
