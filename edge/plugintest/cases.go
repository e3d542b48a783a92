// Package plugintest tries plugins out, with the code by which the edge asks them:
// golden cases (Run), what becomes of the plugin when it is killed, stopped or told
// nonsense (Misbehave), what it says of itself (Describe) and what it costs (Bench).
package plugintest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/goccy/go-yaml"
)

// File is a file of cases.
type File struct {
	// Config is the plugin's section of the edge's configuration.
	Config any `yaml:"config"`
	// Timeout bounds each answer; 0 is 5s, which is generous: a test is no place to
	// find out that a machine is busy.
	Timeout time.Duration `yaml:"timeout"`
	// Env, Files and Network are as in the edge's configuration.
	Env     map[string]string `yaml:"env"`
	Files   []string          `yaml:"files"`
	Network bool              `yaml:"network"`
	Cases   []Case            `yaml:"cases"`

	dir string // of the file, which its own files are relative to
}

// Case is a question, and the verdict that it must have.
type Case struct {
	Name string `yaml:"name"`
	// Hook is what is asked: connection, request or response. Empty is the last of
	// these for which there is a section, and connection if there is none.
	Hook       string      `yaml:"hook"`
	Connection Connection  `yaml:"connection"`
	Cert       *Cert       `yaml:"cert"` // nil: the client has shown none
	Request    *Request    `yaml:"request"`
	Response   *Response   `yaml:"response"`
	Want       Expectation `yaml:"want"`
}

// Connection is what plugins may be told of one. What is left out has the value of
// an ordinary connection.
type Connection struct {
	ClientIP    string `yaml:"client_ip"`
	ClientPort  uint16 `yaml:"client_port"`
	ServerPort  uint16 `yaml:"server_port"`
	Listener    string `yaml:"listener"`
	ServerName  string `yaml:"server_name"`
	ALPN        string `yaml:"alpn"`
	TLSVersion  string `yaml:"tls_version"`
	CipherSuite string `yaml:"cipher_suite"`
	JA4         string `yaml:"ja4"`
	Resumed     bool   `yaml:"resumed"`
}

// Cert is the client's certificate: one in a PEM file, with its chain behind it, or
// one that is made with these names.
type Cert struct {
	File                string     `yaml:"file"`
	CommonName          string     `yaml:"common_name"`
	Organizations       []string   `yaml:"organizations"`
	OrganizationalUnits []string   `yaml:"organizational_units"`
	DNSNames            []string   `yaml:"dns_names"`
	Emails              []string   `yaml:"emails"`
	URIs                []string   `yaml:"uris"`
	IPs                 []string   `yaml:"ips"`
	Serial              uint64     `yaml:"serial"`
	NotBefore           *time.Time `yaml:"not_before"`
	NotAfter            *time.Time `yaml:"not_after"`
	// Unverified makes it one of which the edge has verified nothing: plugins are
	// told of none.
	Unverified bool `yaml:"unverified"`
}

// Request is a request's head.
type Request struct {
	Method  string            `yaml:"method"`
	Scheme  string            `yaml:"scheme"`
	Host    string            `yaml:"host"`
	Path    string            `yaml:"path"`
	Query   string            `yaml:"query"`
	Version string            `yaml:"version"`
	Headers map[string]Values `yaml:"headers"`
}

// Response is a response's head.
type Response struct {
	Status  int               `yaml:"status"`
	Headers map[string]Values `yaml:"headers"`
}

// Expectation is what the answer must be. What is left out may be anything.
type Expectation struct {
	Verdict string `yaml:"verdict"` // allow, deny, or none: the edge got no verdict that it takes
	Status  int    `yaml:"status"`
	Reason  string `yaml:"reason"`
	// Headers are all lines that the verdict makes, by their names, and Removes all
	// that it drops without making another.
	Headers map[string]Values `yaml:"headers"`
	Removes []string          `yaml:"removes"`
	Ban     *int              `yaml:"ban"`
	Failure string            `yaml:"failure"` // of none: timeout, down, malformed and the like
}

// Values are the lines of a header: in YAML a text, or a list of them.
type Values []string

// UnmarshalYAML implements yaml.BytesUnmarshaler.
func (v *Values) UnmarshalYAML(b []byte) error {
	var one string
	if err := yaml.Unmarshal(b, &one); err == nil {
		*v = Values{one}
		return nil
	}
	var list []string
	if err := yaml.Unmarshal(b, &list); err != nil {
		return fmt.Errorf("want a text or a list of texts: %w", err)
	}
	*v = list
	return nil
}

// Load reads a file of cases, and says what is wrong with it.
func Load(name string) (*File, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("read cases: %w", err)
	}
	f, err := parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	f.dir, err = filepath.Abs(filepath.Dir(name))
	return f, err
}

func parse(text []byte) (*File, error) {
	f := &File{}
	if err := yaml.NewDecoder(bytes.NewReader(text), yaml.Strict()).Decode(f); err != nil {
		return nil, err
	}
	if f.Timeout == 0 {
		f.Timeout = 5 * time.Second
	}
	if f.Timeout < time.Millisecond || f.Timeout > 30*time.Second {
		return nil, fmt.Errorf("timeout: %v: want 1ms to 30s", f.Timeout)
	}
	if len(f.Cases) == 0 {
		return nil, fmt.Errorf("cases: want at least one")
	}
	seen := map[string]bool{}
	for i := range f.Cases {
		c := &f.Cases[i]
		if err := c.check(); err != nil {
			return nil, fmt.Errorf("case %d %q: %w", i+1, c.Name, err)
		}
		if seen[c.Name] {
			return nil, fmt.Errorf("case %d %q: another case has that name", i+1, c.Name)
		}
		seen[c.Name] = true
	}
	return f, nil
}

func (c *Case) check() error {
	if c.Name == "" {
		return fmt.Errorf("name: want one")
	}
	if c.Hook == "" {
		switch {
		case c.Response != nil:
			c.Hook = "response"
		case c.Request != nil:
			c.Hook = "request"
		default:
			c.Hook = "connection"
		}
	}
	switch c.Hook {
	case "connection", "request", "response":
	default:
		return fmt.Errorf("hook: %q: want connection, request or response", c.Hook)
	}
	switch w := &c.Want; {
	case w.Verdict != "allow" && w.Verdict != "deny" && w.Verdict != "none":
		return fmt.Errorf("want.verdict: %q: want allow, deny or none", w.Verdict)
	case w.Verdict != "deny" && (w.Status != 0 || w.Reason != ""):
		return fmt.Errorf("want.status and want.reason: only where the verdict is deny")
	case w.Verdict != "none" && w.Failure != "":
		return fmt.Errorf("want.failure: only where the verdict is none")
	}
	return nil
}

// section is the plugin's configuration as JSON; empty for none.
func (f *File) section() (string, error) {
	if f.Config == nil {
		return "", nil
	}
	text, err := json.Marshal(f.Config)
	if err != nil {
		return "", fmt.Errorf("config: %w", err)
	}
	return string(text), nil
}
