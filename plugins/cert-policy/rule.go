package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/ext"

	"github.com/sallyport/sallyport/sdk"
)

// rule is a compiled one.
type rule struct {
	name    string
	program cel.Program
	fields  []sdk.Field // that its expression names
	headers []string    // of them, as the expression writes them
	verdict sdk.Verdict
	// depends are the fields of this rule and of those before it.
	depends []sdk.Field
}

// The bounds of an evaluation. A step of it costs about 1; so do ten bytes of text
// that are compared or searched.
const (
	costLimit = 100_000
	// stepsBetween looks at whether somebody still waits, within loops.
	stepsBetween = 1000
)

type environment = cel.Env

// newEnv is what expressions are written in: the language's own functions and
// macros, and those on texts and on addresses. There is no clock.
func newEnv() (*environment, error) {
	options := []cel.EnvOption{
		cel.ParserExpressionSizeLimit(maxWhen),
		cel.ParserRecursionLimit(100),
		cel.CrossTypeNumericComparisons(true),
		cel.Variable(headersVariable, cel.MapType(cel.StringType, texts)),
		ext.Strings(),
		ext.Sets(),
		ext.Network(),
	}
	for _, v := range variables {
		options = append(options, cel.Variable(string(v.field), v.kind))
	}
	env, err := cel.NewEnv(options...)
	if err != nil {
		return nil, fmt.Errorf("set up CEL: %w", err)
	}
	return env, nil
}

// compile checks an expression, and finds out what it names.
func (r *rule) compile(env *environment, when string) error {
	if strings.TrimSpace(when) == "" {
		return errors.New("want an expression in CEL")
	}
	checked, issues := env.Compile(when)
	if issues.Err() != nil {
		return positions(issues)
	}
	if !checked.OutputType().IsExactType(cel.BoolType) {
		return fmt.Errorf("the expression is a %v: want a bool", checked.OutputType())
	}
	for _, reference := range checked.NativeRep().ReferenceMap() {
		if v := byName[reference.Name]; v != nil && !slices.Contains(r.fields, v.field) {
			r.fields = append(r.fields, v.field)
		}
	}
	slices.Sort(r.fields) // The map has no order, and what is logged should have one.
	if err := r.findHeaders(checked.NativeRep()); err != nil {
		return err
	}
	var err error
	r.program, err = env.Program(checked, cel.CostLimit(costLimit), cel.InterruptCheckFrequency(stepsBetween), cel.EvalOptions(cel.OptOptimize))
	if err != nil {
		return fmt.Errorf("compile: %w", err)
	}
	return nil
}

// findHeaders takes note of the headers that are looked up, each of which must be
// named right there.
func (r *rule) findHeaders(tree *ast.AST) error {
	for _, e := range ast.MatchDescendants(ast.NavigateAST(tree), ast.KindMatcher(ast.IdentKind)) {
		if e.AsIdent() != headersVariable {
			continue
		}
		name, ok := indexedBy(e)
		if !ok {
			at := tree.SourceInfo().GetStartLocation(e.ID())
			return fmt.Errorf("%d:%d: %s: want the name of a header in quotes right behind, as in %[3]s[\"x-tenant\"]", at.Line(), at.Column()+1, headersVariable)
		}
		if field := sdk.Header(strings.ToLower(name)); !slices.Contains(r.fields, field) {
			r.fields = append(r.fields, field)
		}
		if !slices.Contains(r.headers, name) {
			r.headers = append(r.headers, name)
		}
	}
	return nil
}

// indexedBy gives the text in the brackets behind an expression.
func indexedBy(e ast.NavigableExpr) (string, bool) {
	parent, ok := e.Parent()
	if !ok || parent.Kind() != ast.CallKind || parent.AsCall().FunctionName() != operators.Index {
		return "", false
	}
	args := parent.AsCall().Args()
	if len(args) != 2 || args[0].ID() != e.ID() || args[1].Kind() != ast.LiteralKind {
		return "", false
	}
	name, ok := args[1].AsLiteral().(types.String)
	return string(name), ok && isHeaderName(string(name))
}

// isHeaderName says whether net/http takes it for one.
func isHeaderName(name string) bool {
	return name != "" && len(name) <= 128 && strings.Trim(name, headerNameBytes) == "" && http.CanonicalHeaderKey(name) != ""
}

const headerNameBytes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-.^_`|~"

// positions tells what is wrong with an expression, and where, in one line.
func positions(issues *cel.Issues) error {
	var list []string
	for _, e := range issues.Errors() {
		message, _, _ := strings.Cut(e.Message, "\n")
		list = append(list, fmt.Sprintf("%d:%d: %s", e.Location.Line(), e.Location.Column()+1, message))
	}
	return errors.New(strings.Join(list, "; "))
}

// holds evaluates the rule for a request.
func (r *rule) holds(ctx context.Context, request sdk.Request) (bool, error) {
	out, _, err := r.program.ContextEval(ctx, &facts{request, r.headers})
	if err != nil {
		return false, err
	}
	b, ok := out.(types.Bool)
	if !ok {
		return false, fmt.Errorf("the expression gave a %v: want a bool", out.Type())
	}
	return bool(b), nil
}
