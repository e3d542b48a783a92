package loadtest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
)

// maxPlan bounds a plan file, in bytes.
const maxPlan = 1 << 20

// LoadPlan reads the plan in the YAML file at path, as ReadPlan.
func LoadPlan(path string) (Plan, error) {
	f, err := os.Open(path)
	if err != nil {
		return Plan{}, fmt.Errorf("open plan: %w", err)
	}
	defer f.Close()
	p, err := ReadPlan(f)
	if err != nil {
		return Plan{}, fmt.Errorf("read plan %s: %w", path, err)
	}
	return p, nil
}

// ReadPlan reads a plan in YAML, of which JSON is a part. Unknown keys, keys that
// are there twice and values of another type are errors, all of them joined. It
// does not validate, so that a caller can set the rest first.
func ReadPlan(r io.Reader) (Plan, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxPlan+1))
	if err != nil {
		return Plan{}, err
	}
	if len(data) > maxPlan {
		return Plan{}, fmt.Errorf("over %d bytes: want a plan", maxPlan)
	}
	// Ordered, so that errors come in the order of the text.
	var m, more yaml.MapSlice
	documents := yaml.NewDecoder(bytes.NewReader(data), yaml.Strict(), yaml.UseOrderedMap())
	if err := documents.Decode(&m); err != nil && !errors.Is(err, io.EOF) {
		return Plan{}, errors.New(yaml.FormatError(err, false, false))
	}
	if err := documents.Decode(&more); !errors.Is(err, io.EOF) {
		return Plan{}, errors.New("more after the first document: want one document")
	}
	var p Plan
	fields := map[string]any{
		"name": &p.Name, "target": &p.Target, "confirm_target": &p.ConfirmTarget,
		"scenario": &p.Scenario, "protocol": &p.Protocol, "alpn": &p.ALPN,
		"method": &p.Method, "headers": &p.Headers, "body_size": &p.BodySize,
		"expect_status": &p.ExpectStatus, "expect_refusal": &p.ExpectRefusal,
		"certificate": &p.Certificate, "key": &p.Key, "identities": &p.Identities,
		"identity_files": &p.IdentityFiles, "ca": &p.CA, "server_name": &p.ServerName,
		"profile": &p.Profile, "tls_version": &p.TLSVersion, "groups": &p.Groups,
		"pace": &p.Pace, "connections": &p.Connections, "streams": &p.Streams,
		"duration": &p.Duration, "count": &p.Count, "warm_up": &p.WarmUp, "timeout": &p.Timeout,
		"pid": &p.PID, "calibrate": &p.Calibrate,
	}
	if err := setAll("", m, fields); err != nil {
		return Plan{}, err
	}
	return p, nil
}

// setAll sets fields, which are pointers, from a mapping.
func setAll(path string, m yaml.MapSlice, fields map[string]any) error {
	var found []error
	for _, item := range m {
		key := fmt.Sprint(item.Key)
		field, known := fields[key]
		if !known {
			found = append(found, fmt.Errorf("unknown key %q: want one of %s", path+key, strings.Join(sortedKeys(fields), ", ")))
			continue
		}
		found = append(found, set(path+key, item.Value, field))
	}
	return errors.Join(found...)
}

// set sets one field from a value as it was decoded.
func set(path string, value, field any) error {
	var wanted string
	switch field := field.(type) {
	case *string:
		return setText(path, value, field)
	case *Scenario:
		return setText(path, value, field)
	case *Protocol:
		return setText(path, value, field)
	case *bool:
		if b, ok := value.(bool); ok {
			*field = b
			return nil
		}
		wanted = "true or false"
	case *int:
		if n, ok := whole(value); ok && int64(int(n)) == n {
			*field = int(n)
			return nil
		}
		wanted = "a whole number"
	case *int64:
		if n, ok := whole(value); ok {
			*field = n
			return nil
		}
		wanted = "a whole number"
	case *float64:
		if f, ok := value.(float64); ok {
			*field = f
			return nil
		}
		if n, ok := whole(value); ok {
			*field = float64(n)
			return nil
		}
		wanted = "a number"
	case *time.Duration:
		text, ok := value.(string)
		if d, err := time.ParseDuration(text); ok && err == nil && d >= 0 {
			*field = d
			return nil
		}
		wanted = "a duration such as 500ms, 10s or 5m"
	case *[]string:
		return setList(path, value, field)
	case *[]float64:
		return setList(path, value, field)
	case *[]Identity:
		return setList(path, value, field)
	case *map[string]string:
		if m, ok := value.(yaml.MapSlice); ok {
			*field = make(map[string]string, len(m))
			for _, item := range m {
				key := fmt.Sprint(item.Key)
				var text string
				if err := setText(path+"."+key, item.Value, &text); err != nil {
					return err
				}
				(*field)[key] = text
			}
			return nil
		}
		wanted = "a mapping of names to texts"
	case *Identity:
		if m, ok := value.(yaml.MapSlice); ok {
			return setAll(path+".", m, map[string]any{"certificate": &field.Certificate, "key": &field.Key})
		}
		wanted = "a mapping with certificate and key"
	case *Pace:
		if m, ok := value.(yaml.MapSlice); ok {
			return setAll(path+".", m, map[string]any{
				"rate": &field.Rate, "from": &field.From, "to": &field.To, "steps": &field.Steps,
			})
		}
		wanted = "a mapping with rate, with from and to, or with steps"
	}
	return fmt.Errorf("%s: %q: want %s", path, shown(value), wanted)
}

func setText[T ~string](path string, value any, field *T) error {
	text, ok := value.(string)
	if !ok {
		return fmt.Errorf("%s: %q: want a text, in quotation marks if need be", path, shown(value))
	}
	*field = T(text)
	return nil
}

func setList[T any](path string, value any, field *[]T) error {
	list, ok := value.([]any)
	if !ok {
		return fmt.Errorf("%s: %q: want a list", path, shown(value))
	}
	*field = make([]T, len(list))
	var found []error
	for i, value := range list {
		found = append(found, set(fmt.Sprintf("%s[%d]", path, i), value, &(*field)[i]))
	}
	return errors.Join(found...)
}

// whole takes an integer in any of the types that the decoder makes of one.
func whole(value any) (int64, bool) {
	switch n := value.(type) {
	case int:
		return int64(n), true
	case int64:
		return n, true
	case uint64:
		return int64(n), n <= 1<<63-1
	}
	return 0, false
}

// shown is a value as its author will know it again.
func shown(value any) string {
	if value == nil {
		return "null"
	}
	return fmt.Sprint(value)
}
