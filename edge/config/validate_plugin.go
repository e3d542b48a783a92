package config

import (
	"strings"
	"time"
)

// neverGranted are headers that no plugin may change, by their folded names: they
// say where a message ends, whom it is for, or belong to one connection (RFC 9110,
// sections 7.2 and 7.6.1; RFC 9112, section 6).
var neverGranted = strings.Fields(`host connection keep-alive proxy-connection proxy-authenticate
	proxy-authorization te trailer transfer-encoding upgrade expect content-length`)

func (v *validator) plugin(path string, p Plugin) {
	command, attach, headers := child(path, "command"), child(path, "attach"), child(path, "headers")
	switch {
	case !v.sure(command, attach, headers):
	case len(p.Command) == 0 && p.Attach == "" && !v.c.source.wrote(headers):
		v.errorf(path, "want command, attach or headers")
	case len(p.Command) > 0 && p.Attach != "":
		v.errorf(attach, "%s: want either this or command", quote(p.Attach))
	case p.Headers.On() && (len(p.Command) > 0 || p.Attach != ""):
		v.errorf(headers, "want either this or a program: a plugin that is one, behind this one in a listener's list, sees these headers")
	case v.c.source.wrote(headers) && !p.Headers.On():
		v.errorf(headers, "want at least one header to set, add or remove")
	}
	if p.Attach != "" || p.Headers.On() {
		v.attached(path, p)
	}
	if p.Headers.On() {
		v.templates(path, p)
	}
	if v.sure(child(path, "hooks")) {
		v.unique(child(path, "hooks"), asStrings(p.Hooks), same)
		if p.Hooks != nil && len(p.Hooks) == 0 {
			v.errorf(child(path, "hooks"), "want at least one; leave the key out for all that the plugin implements")
		}
	}
	if t := p.Timeout; t < Duration(time.Millisecond) || t > Duration(30*time.Second) {
		v.errorf(child(path, "timeout"), "%v: want a duration from 1ms to 30s", t)
	}
	positive(v, child(path, "start_timeout"), p.StartTimeout, "a duration")
	for _, name := range sorted(p.Env) {
		if at := child(child(path, "env"), name); name == "" || strings.ContainsAny(name, "=\x00") {
			v.errorf(at, "%s: want the name of an environment variable", quote(name))
		} else if strings.HasPrefix(name, "SALLYPORT_") {
			v.errorf(at, "%s: want a name that does not begin with SALLYPORT_, as those are the edge's own", quote(name))
		}
	}
	if p.Memory != 0 && p.Memory < 16<<20 {
		v.errorf(child(path, "memory"), "%v: want at least 16MiB", p.Memory)
	}
	v.sandbox(child(path, "sandbox"), p.Sandbox)
	if v.sure(command) {
		v.pinned(child(path, "pinned"), p)
	}
	v.from(child(path, "in_flight"), p.InFlight, 1, 65536)
	cache := child(path, "cache")
	v.from(child(cache, "entries"), p.Cache.Entries, 0, 16_000_000)
	for key, ttl := range map[string]Duration{"ttl": p.Cache.TTL, "deny_ttl": p.Cache.DenyTTL} {
		if ttl > Duration(24*time.Hour) {
			v.errorf(child(cache, key), "%v: want at most 24h", ttl)
		}
	}
	v.grants(child(path, "grants"), p.Grants)
}

// attached reports what only a plugin can have that the edge starts itself.
func (v *validator) attached(path string, p Plugin) {
	const why = "only for a plugin with a command, which the edge starts itself"
	for _, f := range []struct {
		key string
		set bool
	}{
		{"dir", p.Dir != ""}, {"sha256", p.SHA256 != Fingerprint{}}, {"env", len(p.Env) > 0}, {"user", p.User != ""},
		{"network", p.Network}, {"files", len(p.Files) > 0}, {"memory", p.Memory != 0},
		{"pinned", len(p.Pinned) > 0}, {"sandbox", v.c.source.wrote(child(path, "sandbox"))},
	} {
		if at := child(path, f.key); f.set && v.sure(at) {
			v.errorf(at, "%s", why)
		}
	}
}

// templates reports what only a plugin that is a program can have.
func (v *validator) templates(path string, p Plugin) {
	for _, f := range []struct {
		key string
		set bool
	}{{"hooks", p.Hooks != nil}, {"config", p.Config != ""}} {
		if at := child(path, f.key); f.set && v.sure(at) {
			v.errorf(at, "only for a plugin that is a program")
		}
	}
}

func (v *validator) grants(path string, names []string) {
	v.unique(path, names, foldHeader)
	for i, name := range names {
		at := item(path, i)
		if !v.sure(at) {
			continue
		}
		if len(name) > 128 || !isToken(name) {
			v.errorf(at, "%s: want a header name (RFC 9110, section 5.1) of at most 128 bytes", quote(name))
			continue
		}
		for _, never := range neverGranted {
			if foldHeader(name) == never {
				v.errorf(at, "%s: no plugin may change this: it frames the message, says whom it is for, or is about one connection", quote(name))
			}
		}
	}
}

// pluginsOf judges a listener's list of them.
func (v *validator) pluginsOf(path string, names []string) {
	for i, name := range names {
		v.among(item(path, i), "plugins", name, sorted(v.c.Plugins))
	}
	v.unique(path, names, same)
}
