package loadtest

import (
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestValidate(t *testing.T) {
	t.Parallel()
	good := func() Plan { return Plan{Target: "https://127.0.0.1:8443/", Scenario: Request} }
	for want, edit := range map[string]func(*Plan){
		// Good ones are told apart by what is after the #.
		"#defaults":      func(*Plan) {},
		"#no port":       func(p *Plan) { p.Target = "https://localhost" },
		"#IPv6":          func(p *Plan) { p.Target = "https://[::1]:8443/" },
		"#streams":       func(p *Plan) { p.Protocol, p.Streams = HTTP2, MaxStreams },
		"#one stream":    func(p *Plan) { p.Streams = 1 },
		"#all bounds":    func(p *Plan) { p.Connections, p.Count, p.Duration = MaxConnections, MaxCount, MaxDuration },
		"#idle, paced":   func(p *Plan) { p.Scenario, p.Pace.Rate = Idle, 50 },
		"#groups":        func(p *Plan) { p.Groups = []string{"x25519mlkem768", "p521"} },
		"#browser":       func(p *Plan) { p.Profile, p.ALPN = "firefox", []string{"h2"} },
		"#header":        func(p *Plan) { p.Headers = map[string]string{"X-!#$%&'*+-.^_`|~9": "ä, b"} },
		"#count of many": func(p *Plan) { p.Pace.Rate, p.Count = MaxRate, 10 },

		`target: "": want an https URL`:                                                       func(p *Plan) { p.Target = "" },
		`target: "http://x/": want https://HOST:PORT/PATH`:                                    func(p *Plan) { p.Target = "http://x/" },
		`target: "https://": want https://HOST:PORT/PATH`:                                     func(p *Plan) { p.Target = "https://" },
		`target: "https://:443/": want https://HOST:PORT/PATH`:                                func(p *Plan) { p.Target = "https://:443/" },
		`target: "https://a:b@x/": want https://HOST:PORT/PATH`:                               func(p *Plan) { p.Target = "https://a:b@x/" },
		`target: "https://x/#y": want https://HOST:PORT/PATH`:                                 func(p *Plan) { p.Target = "https://x/#y" },
		`target: "127.0.0.1:443": want https://HOST:PORT/PATH`:                                func(p *Plan) { p.Target = "127.0.0.1:443" },
		`target: "https://x:0/": want a port of 1 to 65535`:                                   func(p *Plan) { p.Target = "https://x:0/" },
		`target: "https://x:65536/": want a port of 1 to 65535`:                               func(p *Plan) { p.Target = "https://x:65536/" },
		`confirm_target: "x": want HOST:PORT`:                                                 func(p *Plan) { p.ConfirmTarget = "x" },
		`confirm_target: ":443": want HOST:PORT`:                                              func(p *Plan) { p.ConfirmTarget = ":443" },
		`scenario: "": want one of handshake, resume, request, download, upload, idle`:        func(p *Plan) { p.Scenario = "" },
		`scenario: "refused": want one of handshake, resume, request, download, upload, idle`: func(p *Plan) { p.Scenario = "refused" },
		`protocol: "h2": want one of http1, http2`:                                            func(p *Plan) { p.Protocol = "h2" },
		`alpn[1]: "": want 1 to 255 bytes`:                                                    func(p *Plan) { p.ALPN = []string{"h2", ""} },
		`method: "GE T": want a token (RFC 9110 section 9.1)`:                                 func(p *Plan) { p.Method = "GE T" },
		`method: "GET\r\nX": want a token (RFC 9110 section 9.1)`:                             func(p *Plan) { p.Method = "GET\r\nX" },
		`headers: name "A B": want a token (RFC 9110 section 5.1)`:                            func(p *Plan) { p.Headers = map[string]string{"A B": "x"} },
		`headers: name "": want a token (RFC 9110 section 5.1)`:                               func(p *Plan) { p.Headers = map[string]string{"": "x"} },
		`headers: X: "a\r\nB: c": want no control characters, and no space around`:            func(p *Plan) { p.Headers = map[string]string{"X": "a\r\nB: c"} },
		`headers: X: " a": want no control characters, and no space around`:                   func(p *Plan) { p.Headers = map[string]string{"X": " a"} },
		`headers: name "Content-LENGTH": want none of content-length, transfer-encoding, connection, upgrade, trailer, expect, te, which follow from the body`: func(p *Plan) { p.Headers = map[string]string{"Content-LENGTH": "5"} },
		`body_size: -1: want 0 to 1099511627776`:                                                      func(p *Plan) { p.BodySize = -1 },
		`body_size: 0: want 1 or more in scenario upload`:                                             func(p *Plan) { p.Scenario = Upload },
		`expect_status: 100: want 200 to 599`:                                                         func(p *Plan) { p.ExpectStatus = 100 },
		`expect_refusal: true: want a scenario in which a server can refuse every unit, not "resume"`: func(p *Plan) { p.ExpectRefusal, p.Scenario = true, Resume },
		`key: "k": want a certificate as well`:                                                        func(p *Plan) { p.Key = "k" },
		`identities[0]: certificate "": want a PEM file`:                                              func(p *Plan) { p.Identities = []Identity{{"", "k"}} },
		`identity_files: "[": want a pattern such as clients/*.pem`:                                   func(p *Plan) { p.IdentityFiles = "[" },
		`server_name: "a b": want a host name`:                                                        func(p *Plan) { p.ServerName = "a b" },
		`profile: "lynx": want one of ` + strings.Join(Profiles(), ", "):                              func(p *Plan) { p.Profile = "lynx" },
		`tls_version: "1.1": want one of 1.2, 1.3`:                                                    func(p *Plan) { p.TLSVersion = "1.1" },
		`groups[0]: "p224": want one of p256, p384, p521, x25519, x25519mlkem768`:                     func(p *Plan) { p.Groups = []string{"p224"} },
		`groups[0]: "": want one of p256, p384, p521, x25519, x25519mlkem768`:                         func(p *Plan) { p.Groups = []string{""} },
		`tls_version: "1.3": want none with profile "ios", which has its own`:                         func(p *Plan) { p.TLSVersion, p.Profile = "1.3", "ios" },
		`groups: ["p256"]: want none with profile "ios", which has its own`:                           func(p *Plan) { p.Groups, p.Profile = []string{"p256"}, "ios" },
		`pace: rate: -1: want units a second, 0.001 to 1000000`:                                       func(p *Plan) { p.Pace.Rate = -1 },
		`pace: rate: NaN: want units a second, 0.001 to 1000000`:                                      func(p *Plan) { p.Pace.Rate = math.NaN() },
		`pace: to: 1e+07: want units a second, 0 to 1000000`:                                          func(p *Plan) { p.Pace.To = 1e7 },
		`pace: steps[1]: 0: want units a second, 0.001 to 1000000`:                                    func(p *Plan) { p.Pace.Steps = []float64{1, 0} },
		`pace: steps: 1001 of them: want 1000 at most`:                                                func(p *Plan) { p.Pace.Steps = slices.Repeat([]float64{1}, 1001) },
		`pace: ["rate 1" "from 2 to 3" "steps []"]: want only one of rate, from with to, and steps`:   func(p *Plan) { p.Pace = Pace{Rate: 1, From: 2, To: 3} },
		`pace: "1..2": want a constant rate in scenario idle`:                                         func(p *Plan) { p.Pace, p.Scenario = Pace{From: 1, To: 2}, Idle },
		`pace: "1000000" for 24h0m0s is over 1000000000 units: want fewer`:                            func(p *Plan) { p.Pace.Rate, p.Duration = MaxRate, MaxDuration },
		`connections: 60001: want 0 to 60000`:                                                         func(p *Plan) { p.Connections = 60_001 },
		`streams: 1001: want 0 to 1000`:                                                               func(p *Plan) { p.Streams, p.Protocol = 1001, HTTP2 },
		`streams: 2: want protocol http2`:                                                             func(p *Plan) { p.Streams = 2 },
		`count: -1: want 0 to 1000000000`:                                                             func(p *Plan) { p.Count = -1 },
		`count: 5: want connections in scenario idle`:                                                 func(p *Plan) { p.Count, p.Scenario = 5, Idle },
		`duration: "25h0m0s": want 0s to 24h0m0s`:                                                     func(p *Plan) { p.Duration = 25 * time.Hour },
		`warm_up: "-1s": want 0s to 24h0m0s`:                                                          func(p *Plan) { p.WarmUp = -time.Second },
		`timeout: "2h0m0s": want 0s to 1h0m0s`:                                                        func(p *Plan) { p.Timeout = 2 * time.Hour },
		`pid: -1: want the id of a process`:                                                           func(p *Plan) { p.PID = -1 },
	} {
		p := good()
		edit(&p)
		err := p.Validate()
		switch {
		case strings.HasPrefix(want, "#"):
			if err != nil {
				t.Errorf("%s: %v", want, err)
			}
		case err == nil || err.Error() != want:
			t.Errorf("got  %v\nwant %s", err, want)
		}
		if err != nil {
			if _, runErr := Run(t.Context(), p, nil); runErr == nil || runErr.Error() != err.Error() {
				t.Errorf("Run: got %v, want %v", runErr, err)
			}
		}
	}
	// All at once, in lines of their own.
	lines := strings.Split(Plan{Connections: -1, PID: -1}.Validate().Error(), "\n")
	if len(lines) != 4 {
		t.Errorf("got %q, want four lines", lines)
	}
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	base := Plan{
		Name: "https://localhost/", Target: "https://localhost/", Scenario: Request, Protocol: HTTP1, Method: "GET",
		ExpectStatus: 200, ServerName: "localhost", Profile: "go", Connections: 16,
		Duration: 10 * time.Second, Count: MaxCount, Timeout: 10 * time.Second,
	}
	for name, edit := range map[string]func(given, want *Plan){
		"none":                  func(_, _ *Plan) {},
		"HTTP/2 has streams":    func(g, w *Plan) { g.Protocol, w.Protocol, w.Streams = HTTP2, HTTP2, 8 },
		"a body is posted":      func(g, w *Plan) { g.BodySize, w.BodySize, w.Method = 5, 5, "POST" },
		"a body and its method": func(g, w *Plan) { g.BodySize, w.BodySize, g.Method, w.Method = 5, 5, "PUT", "PUT" },
		"a browser has its own": func(g, w *Plan) { g.Profile, w.Profile, w.Protocol = "chrome", "chrome", "" },
		"a count alone":         func(g, w *Plan) { g.Count, w.Count, w.Duration = 5, 5, MaxDuration },
		"a count at a rate":     func(g, w *Plan) { g.Count, w.Count, w.Duration, g.Pace.Rate, w.Pace.Rate = 5, 5, MaxDuration, 1, 1 },
		"a count in a ramp":     func(g, w *Plan) { g.Count, w.Count, g.Pace.To, w.Pace.To = 5, 5, 1, 1 },
		"a count in steps": func(g, w *Plan) {
			g.Count, w.Count, g.Pace.Steps, w.Pace.Steps = 5, 5, []float64{1}, []float64{1}
		},
		"idle has no warm-up": func(g, w *Plan) { g.Scenario, w.Scenario, g.WarmUp = Idle, Idle, time.Second },
		"a name":              func(g, w *Plan) { g.Name, w.Name, g.ServerName, w.ServerName = "a", "a", "b", "b" },
	} {
		given, want := Plan{Target: base.Target, Scenario: Request}, base
		edit(&given, &want)
		if got := given.withDefaults(); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got\n%+v\nwant\n%+v", name, got, want)
		}
		if again := want.withDefaults(); !reflect.DeepEqual(again, want) {
			t.Errorf("%s: defaults change what has them: %+v", name, again)
		}
	}
}
