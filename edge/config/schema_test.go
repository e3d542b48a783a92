package config

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/invopop/jsonschema"
)

const packagePath = "github.com/sallyport/sallyport/edge/config"

// TestSchema holds schema.json against the types; -update writes it.
func TestSchema(t *testing.T) {
	r := &jsonschema.Reflector{
		Anonymous:                  true,
		FieldNameTag:               "yaml",
		RequiredFromJSONSchemaTags: true,
		Mapper:                     schemaOf,
	}
	if err := r.AddGoComments(packagePath, "./", jsonschema.WithFullComment()); err != nil {
		t.Fatal(err)
	}
	for key, text := range r.CommentMap {
		r.CommentMap[key] = strings.Join(strings.Fields(text), " ")
	}
	schema := r.Reflect(&Config{})
	schema.Title = "Sallyport configuration"
	for _, def := range schema.Definitions {
		for p := def.Properties.Oldest(); p != nil; p = p.Next() {
			if isNeeded(p.Value.Description) {
				def.Required = append(def.Required, p.Key)
			}
		}
	}
	got, err := json.MarshalIndent(schema, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "schema.json", string(got)+"\n")
}

// isNeeded tells from a field's comment whether its key must be written in every
// case. What is needed in some is left to Parse.
func isNeeded(comment string) bool {
	return strings.Contains(comment, "Needed.") || strings.Contains(comment, "Needed, at least one.")
}

// schemaOf says what is written for types that are not written as Go has them.
func schemaOf(t reflect.Type) *jsonschema.Schema {
	text := func(pattern, example string) *jsonschema.Schema {
		return &jsonschema.Schema{Type: "string", Pattern: pattern, Examples: []any{example}}
	}
	switch t {
	case reflect.TypeFor[Duration]():
		return text(durationPattern, "10s")
	case reflect.TypeFor[Size]():
		return text(sizePattern, "64KiB")
	case reflect.TypeFor[Weight](), reflect.TypeFor[Cores]():
		return &jsonschema.Schema{Type: "number", Minimum: "0", Maximum: "1000"}
	case reflect.TypeFor[Sample]():
		return &jsonschema.Schema{OneOf: []*jsonschema.Schema{{Type: "number", Minimum: "0", Maximum: "1"}, {Const: "parent"}}}
	case reflect.TypeFor[Network]():
		return &jsonschema.Schema{Type: "string", Examples: []any{"10.0.0.0/8"}}
	case reflect.TypeFor[Fingerprint]():
		return text(fingerprintPattern, strings.Repeat("0123456789abcdef", 4))
	case reflect.TypeFor[PluginConfig]():
		return &jsonschema.Schema{} // whatever the plugin takes
	case reflect.TypeFor[OnOff]():
		return &jsonschema.Schema{Enum: []any{"on", "off", true, false}}
	case reflect.TypeFor[Addresses]():
		one := &jsonschema.Schema{Type: "string"}
		least := uint64(1)
		return &jsonschema.Schema{OneOf: []*jsonschema.Schema{one, {Type: "array", Items: one, MinItems: &least}}}
	}
	if w, ok := reflect.Zero(t).Interface().(worder); ok {
		return words(w)
	}
	if t.Kind() == reflect.Map && t.Key().Implements(wordType) {
		w := reflect.Zero(t.Key()).Interface().(worder)
		return &jsonschema.Schema{
			Type:                 "object",
			PropertyNames:        words(w),
			AdditionalProperties: valueOf(t.Elem()),
		}
	}
	return nil
}

// valueOf is the schema of a value in a map of words.
func valueOf(t reflect.Type) *jsonschema.Schema {
	if s := schemaOf(t); s != nil {
		return s
	}
	return &jsonschema.Schema{Type: "string"}
}

func words(w worder) *jsonschema.Schema {
	s := &jsonschema.Schema{Type: "string"}
	for _, word := range w.words() {
		s.Enum = append(s.Enum, word)
	}
	return s
}

const (
	durationPattern    = `^\+?(0|[0-9]+d|(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+)$`
	fingerprintPattern = `^([0-9a-fA-F]{64}|([0-9a-fA-F]{2}:){31}[0-9a-fA-F]{2})$`

	sizePattern = `^[0-9]+(B|KiB|MiB|GiB)$`
)

// TestSchemaHasTheKeysOfTheDecoder is about the tags that the reflector and the
// decoder read each in their own way.
func TestSchemaHasTheKeysOfTheDecoder(t *testing.T) {
	r := &jsonschema.Reflector{Anonymous: true, FieldNameTag: "yaml", RequiredFromJSONSchemaTags: true, Mapper: schemaOf}
	schema := r.Reflect(&Config{})
	for _, typ := range sections() {
		def := schema.Definitions[typ.Name()]
		if def == nil {
			t.Errorf("%s is not in the schema", typ.Name())
			continue
		}
		for _, key := range keyNames(keysOf(typ)) {
			if _, ok := def.Properties.Get(key); !ok {
				t.Errorf("%s.%s is not in the schema", typ.Name(), key)
			}
		}
		if n := len(keysOf(typ)); def.Properties.Len() != n {
			t.Errorf("%s has %d keys in the schema, want %d", typ.Name(), def.Properties.Len(), n)
		}
		if def.AdditionalProperties != jsonschema.FalseSchema {
			t.Errorf("%s takes additional properties", typ.Name())
		}
	}
}

// sections are all struct types of a configuration.
func sections() []reflect.Type {
	var found []reflect.Type
	seen := map[reflect.Type]bool{}
	var walk func(t reflect.Type)
	walk = func(t reflect.Type) {
		switch t.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Map:
			walk(t.Elem())
		case reflect.Struct:
			if !seen[t] && !isScalar(t) {
				seen[t] = true
				found = append(found, t)
				for _, f := range keysOf(t) {
					walk(t.Field(f.index).Type)
				}
			}
		}
	}
	walk(reflect.TypeFor[Config]())
	return found
}
