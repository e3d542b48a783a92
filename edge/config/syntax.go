package config

import (
	"bytes"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// The parser calls itself for every level of nesting and for every further key
// of a block mapping, and a Go stack that is full cannot be recovered from. So
// both are bounded before it runs, far above what a configuration needs.
const (
	maxDepth = 32
	maxKeys  = 20000
)

// readableText returns data as text with \n at the end of lines, or what is in it
// that cannot be in a configuration.
func readableText(data []byte) (string, *Problem) {
	if len(data) > maxFileSize {
		return "", syntaxProblem(position{}, "want at most %s of configuration", Size(maxFileSize))
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	// The lexer counts the lines of a file with CRLF wrong.
	data = bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n"))
	if at, what := badCharacter(data); what != "" {
		return "", syntaxProblem(at, "%s: want UTF-8 text", what)
	}
	return string(data), nil
}

// parseYAML returns the body of the one document in text, or nil and why not.
// Of several documents it returns the first, and a problem.
func parseYAML(text string) (ast.Node, *Problem) {
	file, at, err := parseDocuments(text)
	if err != nil {
		return nil, syntaxProblem(at, "%v", err)
	}
	var bodies []ast.Node
	for _, doc := range file.Docs {
		if doc.Body != nil {
			bodies = append(bodies, doc.Body)
		}
	}
	switch {
	case len(bodies) == 0:
		return nil, syntaxProblem(position{}, "the file is empty: want a configuration with at least one listener")
	case bodies[0].Type() == ast.DirectiveType:
		return nil, syntaxProblem(positionOf(bodies[0]), "want no YAML directives")
	case len(bodies) > 1:
		return bodies[0], syntaxProblem(positionOf(bodies[1]), "want one YAML document in the file, got %d", len(bodies))
	}
	return bodies[0], nil
}

func syntaxProblem(at position, format string, args ...any) *Problem {
	return &Problem{Line: at.line, Column: at.column, Text: fmt.Sprintf(format, args...)}
}

// parseDocuments runs the library. That it panics would be a defect of its own,
// but a reload must survive whatever is in the file.
func parseDocuments(text string) (file *ast.File, at position, err error) {
	defer func() {
		if r := recover(); r != nil {
			file, at, err = nil, position{}, fmt.Errorf("parse YAML: %v", r)
		}
	}()
	tokens := lexer.Tokenize(text)
	if at, err := bounded(tokens); err != nil {
		return nil, at, err
	}
	// Duplicate keys are found by the decoder, all of them.
	file, err = parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	var syntax interface {
		GetToken() *token.Token
		GetMessage() string
	}
	if errors.As(err, &syntax) {
		return nil, tokenPosition(syntax.GetToken()), fmt.Errorf("parse YAML: %s", syntax.GetMessage())
	}
	if err != nil {
		return nil, position{}, fmt.Errorf("parse YAML: %w", err)
	}
	return file, position{}, nil
}

// bounded refuses tokens that nest deeper than maxDepth, or hold more keys than
// maxKeys.
func bounded(tokens token.Tokens) (position, error) {
	var (
		block      []int // columns of the block collections that are open
		flow, tags int
		keys       int
	)
	for _, t := range tokens {
		if t.Position == nil {
			continue
		}
		column := t.Position.Column
		switch t.Type {
		case token.CommentType:
			continue
		case token.TagType, token.AnchorType:
			tags++
		case token.MappingStartType, token.SequenceStartType:
			flow++
		case token.MappingEndType, token.SequenceEndType:
			flow = max(flow-1, 0)
		case token.MappingValueType, token.SequenceEntryType, token.MappingKeyType:
			if t.Type == token.MappingValueType {
				keys++
				if t.Prev != nil && t.Prev.Position != nil {
					column = t.Prev.Position.Column
				}
			}
			if flow > 0 {
				break
			}
			for len(block) > 0 && block[len(block)-1] >= column {
				block = block[:len(block)-1]
			}
			block = append(block, column)
			tags = 0
		default:
			tags = 0
		}
		if len(block)+flow+tags > maxDepth {
			return tokenPosition(t), fmt.Errorf("want at most %d levels of nesting", maxDepth)
		}
		if keys > maxKeys {
			return tokenPosition(t), fmt.Errorf("want at most %d keys", maxKeys)
		}
	}
	return position{}, nil
}

// badCharacter finds the first thing that may not be in a YAML file. The lexer
// would replace or pass it on without a word.
func badCharacter(data []byte) (position, string) {
	at := position{1, 1}
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			return at, fmt.Sprintf("byte 0x%02x", data[i])
		case r < ' ' && r != '\n' && r != '\t', r >= 0x7f && r < 0xa0, r == '\ufeff', r == '\u2028', r == '\u2029':
			return at, fmt.Sprintf("character %U", r)
		}
		i += size
		if r == '\n' {
			at.line, at.column = at.line+1, 1
		} else {
			at.column++
		}
	}
	return at, ""
}

// positionOf is where a node begins. A block mapping's own token is its first
// colon.
func positionOf(n ast.Node) position {
	switch n := n.(type) {
	case *ast.MappingNode:
		if !n.IsFlowStyle && len(n.Values) > 0 {
			return positionOf(n.Values[0].Key)
		}
	case *ast.MappingValueNode:
		return positionOf(n.Key)
	case *ast.NullNode:
		// A null that is not written has the place behind the : or - before it.
		if t := n.GetToken(); t != nil && t.Type == token.ImplicitNullType {
			at := tokenPosition(t)
			at.column = max(at.column-1, 1)
			return at
		}
	}
	return tokenPosition(n.GetToken())
}

func tokenPosition(t *token.Token) position {
	if t == nil || t.Position == nil {
		return position{}
	}
	return position{t.Position.Line, t.Position.Column}
}
