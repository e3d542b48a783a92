package loadtest

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Validate returns everything that is wrong with p, joined, one line each: the
// key, the value, and what was wanted. It opens no file and no socket.
func (p Plan) Validate() error {
	v := judge{plan: p}
	v.target()
	v.protocol()
	v.clients()
	v.bounds()
	return errors.Join(v.found...)
}

type judge struct {
	plan  Plan
	found []error
}

func (v *judge) fault(key, format string, args ...any) {
	v.found = append(v.found, fmt.Errorf("%s: %s", key, fmt.Sprintf(format, args...)))
}

// word refuses what is not one of words; the empty text is the default.
func (v *judge) word(key, value string, words ...string) {
	if value != "" && !slices.Contains(words, value) {
		v.fault(key, "%q: want one of %s", value, strings.Join(words, ", "))
	}
}

func within[T int | int64](v *judge, key string, value, least, most T) {
	if value < least || value > most {
		v.fault(key, "%d: want %d to %d", value, least, most)
	}
}

func (v *judge) target() {
	u, err := url.Parse(v.plan.Target)
	switch {
	case v.plan.Target == "":
		v.fault("target", `"": want an https URL`)
	case err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.Fragment != "" || u.Opaque != "":
		v.fault("target", "%q: want https://HOST:PORT/PATH", v.plan.Target)
	case u.Port() != "":
		if n, err := strconv.ParseUint(u.Port(), 10, 16); err != nil || n == 0 {
			v.fault("target", "%q: want a port of 1 to 65535", v.plan.Target)
		}
	}
	if c := v.plan.ConfirmTarget; c != "" {
		if host, port, err := net.SplitHostPort(c); err != nil || host == "" || port == "" {
			v.fault("confirm_target", "%q: want HOST:PORT", c)
		}
	}
}

func (v *judge) protocol() {
	p := v.plan
	if p.Scenario == "" {
		v.fault("scenario", `"": want one of %s`, strings.Join(scenarios, ", "))
	}
	v.word("scenario", string(p.Scenario), scenarios...)
	v.word("protocol", string(p.Protocol), string(HTTP1), string(HTTP2))
	for i, name := range p.ALPN {
		if name == "" || len(name) > 255 {
			v.fault(fmt.Sprintf("alpn[%d]", i), "%q: want 1 to 255 bytes", name)
		}
	}
	if p.Method != "" && !isToken(p.Method) {
		v.fault("method", "%q: want a token (RFC 9110 section 9.1)", p.Method)
	}
	for _, name := range sortedKeys(p.Headers) {
		switch value := p.Headers[name]; {
		case !isToken(name):
			v.fault("headers", "name %q: want a token (RFC 9110 section 5.1)", name)
		case slices.Contains(framing, strings.ToLower(name)):
			v.fault("headers", "name %q: want none of %s, which follow from the body", name, strings.Join(framing, ", "))
		case strings.ContainsFunc(value, isControl) || strings.TrimSpace(value) != value:
			v.fault("headers", "%s: %q: want no control characters, and no space around", name, value)
		}
	}
	within(v, "body_size", p.BodySize, 0, MaxBodySize)
	if p.Scenario == Upload && p.BodySize == 0 {
		v.fault("body_size", "0: want 1 or more in scenario upload")
	}
	if p.ExpectStatus != 0 {
		within(v, "expect_status", p.ExpectStatus, 200, 599)
	}
	if p.ExpectRefusal && (p.Scenario == Resume || p.Scenario == Idle) {
		v.fault("expect_refusal", "true: want a scenario in which a server can refuse every unit, not %q", p.Scenario)
	}
}

func (v *judge) clients() {
	p := v.plan
	if p.Key != "" && p.Certificate == "" && p.IdentityFiles == "" {
		v.fault("key", "%q: want a certificate as well", p.Key)
	}
	for i, id := range p.Identities {
		if id.Certificate == "" {
			v.fault(fmt.Sprintf("identities[%d]", i), `certificate "": want a PEM file`)
		}
	}
	if _, err := path.Match(p.IdentityFiles, ""); err != nil {
		v.fault("identity_files", "%q: want a pattern such as clients/*.pem", p.IdentityFiles)
	}
	if strings.ContainsFunc(p.ServerName, isControl) || strings.Contains(p.ServerName, " ") {
		v.fault("server_name", "%q: want a host name", p.ServerName)
	}
	v.word("profile", p.Profile, Profiles()...)
	v.word("tls_version", p.TLSVersion, "1.2", "1.3")
	for i, group := range p.Groups {
		v.word(fmt.Sprintf("groups[%d]", i), group, sortedKeys(groups)...)
		if group == "" {
			v.fault(fmt.Sprintf("groups[%d]", i), `"": want one of %s`, strings.Join(sortedKeys(groups), ", "))
		}
	}
	if p.browser() {
		if p.TLSVersion != "" {
			v.fault("tls_version", "%q: want none with profile %q, which has its own", p.TLSVersion, p.Profile)
		}
		if len(p.Groups) > 0 {
			v.fault("groups", "%q: want none with profile %q, which has its own", p.Groups, p.Profile)
		}
	}
}

func (v *judge) bounds() {
	p := v.plan
	for _, problem := range p.Pace.problems() {
		v.fault("pace", "%s", problem)
	}
	if p.Scenario == Idle && p.Pace.Open() && p.Pace.Rate == 0 {
		v.fault("pace", "%q: want a constant rate in scenario idle", p.Pace)
	}
	within(v, "connections", p.Connections, 0, MaxConnections)
	within(v, "streams", p.Streams, 0, MaxStreams)
	if p.Streams > 1 && p.Protocol != HTTP2 {
		v.fault("streams", "%d: want protocol http2", p.Streams)
	}
	within(v, "count", p.Count, 0, MaxCount)
	if p.Count > 0 && p.Scenario == Idle {
		v.fault("count", "%d: want connections in scenario idle", p.Count)
	}
	for _, d := range []struct {
		key   string
		value time.Duration
		most  time.Duration
	}{
		{"duration", p.Duration, MaxDuration}, {"warm_up", p.WarmUp, MaxDuration}, {"timeout", p.Timeout, time.Hour},
	} {
		if d.value < 0 || d.value > d.most {
			v.fault(d.key, "%q: want 0s to %s", d.value.String(), d.most)
		}
	}
	if p.Pace.Open() && len(v.found) == 0 {
		if q := p.withDefaults(); q.Pace.over(q.Duration).units() > MaxCount && q.Count == MaxCount && p.Duration > 0 {
			v.fault("pace", "%q for %s is over %d units: want fewer", q.Pace, q.Duration, MaxCount)
		}
	}
	if p.PID < 0 {
		v.fault("pid", "%d: want the id of a process", p.PID)
	}
}

var scenarios = []string{string(Handshake), string(Resume), string(Request), string(Download), string(Upload), string(Idle)}

// framing are the headers that say how long a message is, and what HTTP/2 has no
// room for.
var framing = []string{"content-length", "transfer-encoding", "connection", "upgrade", "trailer", "expect", "te"}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r)
	})
}
