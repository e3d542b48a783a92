package loadtest

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
)

// full has every key that a plan file may have.
var full = Plan{
	Name: "n", Target: "https://127.0.0.1:8443/x?y=z", ConfirmTarget: "127.0.0.1:8443", Scenario: Upload,
	Protocol: HTTP2, ALPN: []string{"h2"}, Method: "PUT", Headers: map[string]string{"X-A": "1", "X-B": "b: c"},
	BodySize: 1 << 33, ExpectStatus: 201, ExpectRefusal: true,
	Certificate: "c.crt", Key: "c.key", Identities: []Identity{{"a.crt", "a.key"}, {"b.pem", ""}},
	IdentityFiles: "clients/*.crt", CA: "ca.pem", ServerName: "site.test",
	Profile: "go", TLSVersion: "1.3", Groups: []string{"x25519"},
	Pace: Pace{Steps: []float64{100, 200.5}}, Connections: 10, Streams: 5,
	Duration: 90 * time.Second, Count: 100, WarmUp: 500 * time.Millisecond, Timeout: time.Minute,
	PID: 1234, Calibrate: true,
}

const fullText = `
name: n
target: https://127.0.0.1:8443/x?y=z
confirm_target: 127.0.0.1:8443
scenario: upload
protocol: http2
alpn: [h2]
method: PUT
headers:
  X-A: "1"
  X-B: "b: c"
body_size: 8589934592
expect_status: 201
expect_refusal: true
certificate: c.crt
key: c.key
identities:
  - {certificate: a.crt, key: a.key}
  - certificate: b.pem
identity_files: clients/*.crt
ca: ca.pem
server_name: site.test
profile: go
tls_version: "1.3"
groups: [x25519]
pace:
  steps: [100, 200.5]
connections: 10
streams: 5
duration: 1m30s
count: 100
warm_up: 500ms
timeout: 1m
pid: 1234
calibrate: true
`

func TestReadPlan(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Plan{
		fullText:                                 full,
		"":                                       {},
		"# nothing\n":                            {},
		"{}":                                     {},
		"pace: {rate: 2000}":                     {Pace: Pace{Rate: 2000}},
		"pace: {from: 0, to: 2.5}\nduration: 0s": {Pace: Pace{To: 2.5}},
		`{"target": "https://x/", "count": 5}`:   {Target: "https://x/", Count: 5},
	} {
		got, err := ReadPlan(strings.NewReader(text))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q:\ngot  %+v, %v\nwant %+v", text, got, err, want)
		}
	}
	// full has them all.
	v := reflect.ValueOf(full)
	for i := range v.NumField() {
		if f := v.Type().Field(i); v.Field(i).IsZero() && f.Tag.Get("yaml") != "-" {
			t.Errorf("the full plan has no %s", f.Name)
		}
	}
}

// A plan is read as it is written, durations as people write them.
func TestPlanWritten(t *testing.T) {
	t.Parallel()
	for _, p := range []Plan{full, {Target: "https://x/", Scenario: Idle, Pace: Pace{From: 1, To: 5}}, {}} {
		text, err := yaml.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := ReadPlan(strings.NewReader(string(text))); err != nil || !reflect.DeepEqual(got, p) {
			t.Errorf("got %+v, %v\nwant %+v\nfrom %s", got, err, p, text)
		}
		if p.Duration != 0 && !strings.Contains(string(text), "\nduration: 1m30s\n") {
			t.Errorf("the duration is not as people write it: %s", text)
		}
		// JSON is for results, and has numbers.
		if text, err = json.Marshal(p); err != nil {
			t.Fatal(err)
		}
		var got Plan
		if err := json.Unmarshal(text, &got); err != nil || !reflect.DeepEqual(got, p) {
			t.Errorf("got %+v, %v\nwant %+v\nfrom %s", got, err, p, text)
		}
	}
}

// TestReadPlanStrictly wants an error that quotes what is wrong, and says what
// was wanted.
func TestReadPlanStrictly(t *testing.T) {
	t.Parallel()
	for text, wants := range map[string][]string{
		"targets: x":                       {`unknown key "targets": want one of alpn, body_size, `},
		"Target: x":                        {`unknown key "Target": `},
		"1: x":                             {`unknown key "1": `},
		"pace: {speed: 5}":                 {`unknown key "pace.speed": want one of from, rate, steps, to`},
		"identities: [{cert: a}]":          {`unknown key "identities[0].cert": want one of certificate, key`},
		"target: x\ntarget: y":             {"target"},
		"target: 5":                        {`target: "5": want a text`},
		"target:":                          {`target: "null": want a text`},
		"target: [a]":                      {`target: "[a]": want a text`},
		"tls_version: 1.3":                 {`tls_version: "1.3": want a text, in quotation marks if need be`},
		"scenario: true":                   {`scenario: "true": want a text`},
		"duration: 10":                     {`duration: "10": want a duration such as 500ms, 10s or 5m`},
		"duration: 10 s":                   {`duration: "10 s": want a duration`},
		"duration: -1s":                    {`duration: "-1s": want a duration`},
		"timeout: soon":                    {`timeout: "soon": want a duration`},
		"warm_up: 1d":                      {`warm_up: "1d": want a duration`},
		"warm_up: null":                    {`warm_up: "null": want a duration`},
		"pace: fast":                       {`pace: "fast": want a mapping with rate, with from and to, or with steps`},
		"pace: 2000":                       {`pace: "2000": want a mapping`},
		"pace: {rate: fast}":               {`pace.rate: "fast": want a number`},
		"pace: {steps: 5}":                 {`pace.steps: "5": want a list`},
		"pace: {steps: [1, x]}":            {`pace.steps[1]: "x": want a number`},
		"connections: 1.5":                 {`connections: "1.5": want a whole number`},
		"connections: many":                {`connections: "many": want a whole number`},
		`connections: "10"`:                {`connections: "10": want a whole number`},
		"count: 99999999999999999999":      {`count: "`, `want a whole number`},
		"count: 18446744073709551615":      {`count: "18446744073709551615": want a whole number`},
		"calibrate: 1":                     {`calibrate: "1": want true or false`},
		"calibrate: yes please":            {`calibrate: "yes please": want true or false`},
		"alpn: h2":                         {`alpn: "h2": want a list`},
		"alpn: [1]":                        {`alpn[0]: "1": want a text`},
		"headers: [a]":                     {`headers: "[a]": want a mapping of names to texts`},
		"headers: {X-A: 1}":                {`headers.X-A: "1": want a text, in quotation marks if need be`},
		"identities: {certificate: a}":     {`identities: "`, `want a list`},
		"identities: [a.pem]":              {`identities[0]: "a.pem": want a mapping with certificate and key`},
		"- target: x":                      {"map"},
		"target: \"x":                      {"x"},
		"just text":                        {"mapping is expected"},
		"target: x\n---\ntarget: y":        {"want one document"},
		"duration: x\ncount: y\nfoo: 1":    {`duration: "x"`, `count: "y"`, `unknown key "foo"`}, // all of them
		strings.Repeat(" ", maxPlan) + "a": {"over 1048576 bytes"},
	} {
		p, err := ReadPlan(strings.NewReader(text))
		if err == nil {
			t.Errorf("%.60q: got %+v", text, p)
			continue
		}
		if !reflect.DeepEqual(p, Plan{}) {
			t.Errorf("%.60q: a plan came with the error", text)
		}
		for _, want := range wants {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%.60q: error %q, want %q in it", text, err, want)
			}
		}
	}
}

func TestLoadPlan(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	good, bad := filepath.Join(dir, "good.yaml"), filepath.Join(dir, "bad.yaml")
	for name, text := range map[string]string{good: fullText, bad: "foo: 1"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if p, err := LoadPlan(good); err != nil || !reflect.DeepEqual(p, full) {
		t.Errorf("got %+v, %v", p, err)
	}
	if _, err := LoadPlan(bad); err == nil || !strings.HasPrefix(err.Error(), "read plan "+bad+`: unknown key "foo"`) {
		t.Errorf("got %v", err)
	}
	if _, err := LoadPlan(filepath.Join(dir, "none")); !os.IsNotExist(unwrapped(err)) || !strings.HasPrefix(err.Error(), "open plan: ") {
		t.Errorf("got %v", err)
	}
}

func unwrapped(err error) error {
	if u, ok := err.(interface{ Unwrap() error }); ok {
		return u.Unwrap()
	}
	return err
}

// FuzzPlan reads any text: what is taken, and valid, is read as it is written.
func FuzzPlan(f *testing.F) {
	f.Add(fullText)
	for _, text := range []string{
		"", "{}", "a: &a [*a]", "? x", "pace: {rate: .nan}", "target: x\ntarget: y", "!!binary x", "<<: {target: x}",
		"target: https://127.0.0.1/\nscenario: request\npace: {rate: 1e3}\nduration: 1h",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ReadPlan(strings.NewReader(text))
		if err != nil || p.Validate() != nil {
			return
		}
		again, err := yaml.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		back, err := ReadPlan(strings.NewReader(string(again)))
		if err == nil {
			err = back.Validate()
		}
		if err != nil {
			t.Fatalf("%+v is written %q: %v", p, again, err)
		}
	})
}
