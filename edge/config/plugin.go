package config

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
)

// Plugin is a program that authorizes connections and requests, and shapes their
// headers. It runs in a process of its own, without capabilities: with no
// environment but Env, no network, and only the system's files and its own to
// read. Without User it has the edge's user id, and only the sandbox is between it
// and the edge's files and processes. A plugin that cannot be started keeps the
// edge from starting, and a reload from being taken; one that dies later is started
// again, and until it runs what it would judge is refused.
type Plugin struct {
	// Command starts the plugin: a program and its arguments. A program with a
	// slash is a file, any other is looked up in the system's directories;
	// arguments that begin with ./ or ../ are files as well. On a reload, a plugin
	// whose files have changed is replaced by what they are now, without a request
	// lost. Needed unless attach or headers is given. Default none.
	Command []string `yaml:"command"`

	// Dir is its own directory: it works there and may read what is in it, so that
	// no secret should be. Default none.
	Dir string `yaml:"dir"`

	// Attach is a unix socket on which a plugin listens that somebody else has
	// started, in a debugger say. Nothing but its user and the file's mode
	// protects it. Default none.
	Attach string `yaml:"attach"`

	// Headers makes a plugin that is no program: headers for the target, made of
	// templates by the edge itself.
	Headers PluginHeaders `yaml:"headers"`

	// Hooks are what the plugin is asked: connection (may this client come in),
	// request (may this request pass), shape_request and shape_response (changes
	// of headers only), observe (is told, and not asked). Default: all that it
	// implements.
	Hooks []PluginHook `yaml:"hooks"`

	// Config is the plugin's own section: it gets it as JSON, and may refuse it.
	// Default none.
	Config PluginConfig `yaml:"config"`

	// Timeout bounds each answer, 1ms to 30s. A plugin that misses it five times
	// in a row is not asked until it answers again. Default 50ms.
	Timeout Duration `yaml:"timeout"`

	// StartTimeout bounds a start, the plugin's own configuration included.
	// Default 10s.
	StartTimeout Duration `yaml:"start_timeout"`

	// OnError is what becomes of a connection or request for which there is no
	// answer: deny (503), or allow, which lets everything in while the plugin is
	// away or late. Each is counted. A connection that was let in so is asked about
	// again before each of its requests, until there is an answer. An answer that makes no sense, and a request
	// longer than the plugin takes, are refused (503) all the same. Default deny.
	OnError PluginOnError `yaml:"on_error"`

	// SHA256 is that of the program's file: any other is not started. Of an
	// interpreter it says nothing about what that runs: see pinned. Default none.
	SHA256 Fingerprint `yaml:"sha256"`

	// Pinned has the SHA-256 of files that are arguments of the command, by the
	// argument as it stands there: {./rule.py: HEX}. The program gets copies that
	// nobody can change, as /proc/self/fd/4 and so on. With this or sha256, an
	// interpreter must have a pinned script for its program, and each file that it
	// is given be pinned; options and variables by which it would run something else
	// (-m, -c, --require, NODE_OPTIONS) are refused. What a script itself imports or
	// reads is not pinned. Default none.
	Pinned map[string]Fingerprint `yaml:"pinned"`

	// Env is the plugin's environment, beside PATH and LANG. Nothing of the
	// edge's own is passed on. Default none.
	Env map[string]string `yaml:"env"`

	// User runs the plugin as somebody else than the edge: by name, as uid:gid, or
	// "dynamic" for a user id that nothing else uses. The edge must have the right
	// to. Empty is the edge's own user. Default none.
	User string `yaml:"user"`

	// Network lets the plugin open connections and send datagrams, by unix sockets
	// too. Default false.
	Network bool `yaml:"network"`

	// Files are files and directories that it may read beside its own. Default
	// none.
	Files []string `yaml:"files"`

	// Memory it may use, at least 16MiB; beyond, it is ended. 0B is no bound.
	// Default 0B.
	Memory Size `yaml:"memory"`

	// Sandbox is how the program is confined, beyond what is always so.
	Sandbox PluginSandbox `yaml:"sandbox"`

	// InFlight is how many answers may be waited for at once; what comes beyond is
	// refused at once. Default 1024.
	InFlight int `yaml:"in_flight"`

	// Cache keeps verdicts to which the plugin gives a lifetime.
	Cache PluginCache `yaml:"cache"`

	// Grants are headers that the plugin may change although only the edge may
	// otherwise: those that carry a client's identity, and X-Forwarded-For and
	// its like. Headers that frame a message, its Host and those about one
	// connection can be granted to nobody. Default none.
	Grants []string `yaml:"grants"`
}

// PluginCache keeps verdicts, each under all that the plugin was told. What it
// keeps is forgotten when the trust store changes, at the certificate's end, and
// when the plugin says so or is started anew. Beyond 16MiB of them and of what
// they are kept under, those that were not used lately go.
type PluginCache struct {
	// Entries kept at most; 0 keeps none. Default 16384.
	Entries int `yaml:"entries"`
	// TTL is the longest that a verdict is kept, whatever lifetime the plugin
	// gives it. Default 1m.
	TTL Duration `yaml:"ttl"`
	// DenyTTL is the same for denials. Default 1s.
	DenyTTL Duration `yaml:"deny_ttl"`
}

type (
	PluginHook    string
	PluginOnError string

	// PluginConfig is a plugin's own section as JSON, with keys in order; empty
	// for none.
	PluginConfig string
)

const (
	HookConnection    PluginHook = "connection"
	HookRequest       PluginHook = "request"
	HookShapeRequest  PluginHook = "shape_request"
	HookShapeResponse PluginHook = "shape_response"
	HookObserve       PluginHook = "observe"

	OnErrorDeny  PluginOnError = "deny"
	OnErrorAllow PluginOnError = "allow"
)

func (PluginHook) words() []string {
	return []string{"connection", "request", "shape_request", "shape_response", "observe"}
}
func (PluginOnError) words() []string { return []string{"deny", "allow"} }

// MarshalJSON writes the section as the plugin gets it.
func (c PluginConfig) MarshalJSON() ([]byte, error) {
	if c == "" {
		return []byte("null"), nil
	}
	return []byte(c), nil
}

func (p *Plugin) setDefaults() {
	*p = Plugin{
		Timeout:      Duration(50 * time.Millisecond),
		StartTimeout: Duration(10 * time.Second),
		OnError:      OnErrorDeny,
		InFlight:     1024,
	}
	p.Cache.setDefaults()
	p.Sandbox.setDefaults()
}

func (c *PluginCache) setDefaults() {
	*c = PluginCache{Entries: 16384, TTL: Duration(time.Minute), DenyTTL: Duration(time.Second)}
}

var pluginConfigType = reflect.TypeFor[PluginConfig]()

// free fills v with whatever is at n, as JSON: nobody here knows what a plugin's
// own section means.
func (d *decoder) free(path string, n ast.Node, v reflect.Value) {
	text, err := json.Marshal(d.freeValue(path, n))
	if err != nil {
		d.errorf(path, d.place(path, n), "%v", err)
		return
	}
	v.SetString(string(text))
}

// freeValue is n in the types of encoding/json, by the rules of YAML's core
// schema.
func (d *decoder) freeValue(path string, n ast.Node) any {
	n, ok := d.plain(path, n)
	if !ok {
		return nil
	}
	switch n := n.(type) {
	case ast.MapNode:
		m := map[string]any{}
		d.pairs(path, n, func(key string, _ position, value ast.Node) { m[key] = d.freeValue(child(path, key), value) })
		return m
	case *ast.SequenceNode:
		list := make([]any, len(n.Values))
		for i, value := range n.Values {
			list[i] = d.freeValue(item(path, i), value)
		}
		return list
	case *ast.NullNode:
		return nil
	case *ast.BoolNode:
		return n.Value
	case *ast.IntegerNode, *ast.FloatNode:
		text, _ := textOf(n)
		if number, ok := jsonNumber(text); ok {
			return number
		}
	}
	text, ok := textOf(n)
	if !ok {
		d.errorf(path, d.place(path, n), "want text, a number, true or false, a list or a mapping, got %s", got(n))
	}
	if _, special := n.(*ast.InfinityNode); special || isNaN(n) {
		d.errorf(path, d.place(path, n), "%s: want a number that JSON has", quote(text))
	}
	return text
}

func isNaN(n ast.Node) bool { _, ok := n.(*ast.NanNode); return ok }

// jsonNumber is a number as JSON writes it: one of YAML's other bases becomes
// decimal. What is none, a version such as 1.2.3 or a 0123, stays text.
func jsonNumber(text string) (json.Number, bool) {
	if json.Valid([]byte(text)) {
		return json.Number(text), true
	}
	plain := strings.TrimPrefix(strings.ReplaceAll(text, "_", ""), "+")
	if i, err := strconv.ParseInt(plain, 0, 64); err == nil && (len(plain) < 2 || plain[0] != '0' || plain[1] < '0' || plain[1] > '9') {
		return json.Number(strconv.FormatInt(i, 10)), true
	}
	if f, err := strconv.ParseFloat(plain, 64); err == nil && !math.IsInf(f, 0) && !math.IsNaN(f) && strings.ContainsAny(plain, ".eE") {
		return json.Number(fmt.Sprint(f)), true
	}
	return "", false
}
