package config

import (
	"encoding"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// TestEveryKeyIsDocumented keeps the types the manual: every field says what it
// is when nothing is written, except a section, whose own fields do.
func TestEveryKeyIsDocumented(t *testing.T) {
	comments := fieldComments(t)
	for _, typ := range sections() {
		for i := range typ.NumField() {
			f := typ.Field(i)
			if !f.IsExported() {
				continue
			}
			name := typ.Name() + "." + f.Name
			comment := comments[name]
			switch {
			case f.Tag.Get("yaml") == "":
				t.Errorf("%s has no key", name)
			case comment == "":
				t.Errorf("%s has no comment", name)
			case f.Type.Kind() == reflect.Struct:
			case !strings.Contains(comment, "Default") && !strings.Contains(comment, "Needed"):
				t.Errorf("%s: want a default, or that it is needed, in: %s", name, comment)
			}
		}
	}
}

// TestDefaultsAreDocumented holds what the comments say against what the decoder
// does, for the keys of a section with nothing written.
func TestDefaultsAreDocumented(t *testing.T) {
	const text = `
logs: {connection: {syslog: {}}, access: {rotate: {}}}
trust_stores: {t: {}}
target_groups: {g: {health_check: {passive: {}}}}
plugins: {p: {}}
certificates: [{name: c}, {name: d, acme: {}}, {name: e, acme: {on_demand: {}}}]
listeners: {l: {default_action: {fixed_response: {}, redirect: {}}}}
`
	c, _ := Parse("defaults.yaml", []byte(text), "")
	comments := fieldComments(t)
	held := 0
	l := c.Listeners["l"]
	none, _ := Parse("none.yaml", []byte("{}"), "")
	for _, section := range []any{
		*none, none.Admin, none.LoadBalancer, none.Tracing, none.Ban, none.Ban.Escalate, none.Ban.SYNLimit, none.Logs.Connection, *c.Logs.Access.Rotate, *c.Logs.Connection.Syslog,
		c.TrustStores["t"].Revocation, c.TrustStores["t"].Revocation.OnExpiredCRL, c.TrustStores["t"].Revocation.Fetch, c.TrustStores["t"].Limits,
		c.TargetGroups["g"], c.TargetGroups["g"].Timeouts,
		c.TargetGroups["g"].HealthCheck, c.TargetGroups["g"].HealthCheck.Passive,
		c.Plugins["p"], c.Plugins["p"].Cache, c.Plugins["p"].Sandbox,
		c.Plugins["p"].Headers, c.Plugins["p"].Headers.Response,
		c.Certificates[0], *c.Certificates[1].ACME, c.Certificates[1].ACME.DNS, *c.Certificates[2].ACME.OnDemand, c.Certificates[2].ACME.OnDemand.Rate,
		l, l.MutualAuthentication, l.MutualAuthentication.IdentityFilters, l.MutualAuthentication.IdentityFilters.Subject, l.IdentityHeaders, l.Attributes, l.Attributes.Response, l.Timeouts, l.Limits,
		*l.DefaultAction.FixedResponse, *l.DefaultAction.Redirect,
	} {
		v := reflect.ValueOf(section)
		for _, f := range keysOf(v.Type()) {
			name := v.Type().Name() + "." + v.Type().Field(f.index).Name
			m := defaultInComment.FindStringSubmatch(comments[name])
			if m == nil {
				continue
			}
			if got := v.Field(f.index); !isDefault(t, m[1], got) {
				t.Errorf("%s: the comment says default %s, the value is %v", name, m[1], got)
			}
			held++
		}
	}
	if held < 40 {
		t.Errorf("held only %d defaults against their comments", held)
	}
}

// defaultInComment finds defaults of one word; the others are described.
var defaultInComment = regexp.MustCompile(`Default (\S+?)\.?( |$)`)

func isDefault(t *testing.T, want string, got reflect.Value) bool {
	t.Helper()
	switch want {
	case "none", "empty", "all":
		return got.IsZero()
	}
	p := reflect.New(got.Type())
	if u, ok := p.Interface().(encoding.TextUnmarshaler); ok {
		if err := u.UnmarshalText([]byte(want)); err != nil {
			t.Error(err)
		}
		return p.Elem().Interface() == got.Interface()
	}
	return want == fmt.Sprint(got)
}

// fieldComments are the comments of the package's types, in one line each, by
// TYPE.FIELD.
func fieldComments(t *testing.T) map[string]string {
	t.Helper()
	comments := map[string]string{}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			if fields, ok := spec.Type.(*ast.StructType); ok {
				for _, f := range fields.Fields.List {
					for _, name := range f.Names {
						comments[spec.Name.Name+"."+name.Name] = strings.Join(strings.Fields(f.Doc.Text()), " ")
					}
				}
			}
			return true
		})
	}
	return comments
}
