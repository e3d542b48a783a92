package proxy

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/edge/config"
)

// asRequested is a redirect as config fills it in where nothing is written.
func asRequested(change func(*config.Redirect)) config.Redirect {
	r := config.Redirect{Protocol: "#{protocol}", Host: "#{host}", Port: "#{port}", Path: "/#{path}", Query: "#{query}", StatusCode: "HTTP_301"}
	change(&r)
	return r
}

func TestRedirectLocation(t *testing.T) {
	toHTTPS := asRequested(func(r *config.Redirect) { r.Protocol, r.Port = "HTTPS", "443" })
	tests := []struct {
		name         string
		cfg          config.Redirect
		host, target string
		want         string // "" for a refusal
	}{
		{"to https", toHTTPS, "api.example.com", "/a/b?x=1", "https://api.example.com:443/a/b?x=1"},
		{"port of the host", toHTTPS, "api.example.com:8080", "/", "https://api.example.com:443/"},
		{"IPv6", toHTTPS, "[::1]:80", "/", "https://[::1]:443/"},
		{"escapes stay", toHTTPS, "a", "/a%2Fb%0d%0aX:1?%0d%0a", "https://a:443/a%2Fb%0d%0aX:1?%0d%0a"},
		{"raw bytes in the query", toHTTPS, "a", "/?\"<é>", "https://a:443/?%22%3C%C3%A9%3E"},
		{"two slashes", toHTTPS, "a", "//evil.example/x", "https://a:443//evil.example/x"},
		{"all parts", asRequested(func(r *config.Redirect) {
			r.Host, r.Path, r.Query = "www.#{host}", "/old/#{path}/#{host}", "from=#{protocol}-#{port}&#{query}"
		}), "example.com", "/p?q=1", "http://www.example.com:80/old/p/example.com?from=http-80&q=1"},
		{"no query", asRequested(func(r *config.Redirect) { r.Host, r.Query = "b", "" }), "a", "/?x=1", "http://b:80/"},
		{"user information", toHTTPS, "good@evil.example", "/", ""},
		{"slash", toHTTPS, "a/b", "/", ""},
		{"backslash", toHTTPS, "a\\b", "/", ""},
		{"header injection", toHTTPS, "a\r\nX: 1", "/", ""},
		{"question mark", toHTTPS, "a?b", "/", ""},
		{"no host", toHTTPS, "", "/", ""},
		{"half a bracket", toHTTPS, "[::1", "/", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r, err := newRedirect(test.cfg)
			if err != nil {
				t.Fatal(err)
			}
			u, err := url.ParseRequestURI(test.target)
			if err != nil {
				t.Fatal(err)
			}
			got, err := r.location(&redirectSource{protocol: "http", host: hostOnly(test.host), port: 80, url: u})
			if got != test.want || (err == nil) != (test.want != "") {
				t.Errorf("location %q, %v; want %q", got, err, test.want)
			}
		})
	}
}

func TestNewAction(t *testing.T) {
	groups := map[string]*TargetGroup{"app": newGroup(t, "http://127.0.0.1:1")}
	redirect := func(change func(*config.Redirect)) config.Action {
		r := asRequested(change)
		return config.Action{Redirect: &r}
	}
	tests := []struct {
		name string
		cfg  config.Action
		want string // "" for no error
	}{
		{"forward", config.Action{Forward: "app"}, ""},
		{"unknown group", config.Action{Forward: "ap"}, `forward to "ap": no such target group`},
		{"nothing", config.Action{}, "want exactly one of"},
		{"two", config.Action{Forward: "app", FixedResponse: &config.FixedResponse{StatusCode: 200}}, "want exactly one of"},
		{"fixed", config.Action{FixedResponse: &config.FixedResponse{StatusCode: 503, MessageBody: "later"}}, ""},
		{"fixed 302", config.Action{FixedResponse: &config.FixedResponse{StatusCode: 302}}, "want 2XX, 4XX or 5XX"},
		{"fixed too long", config.Action{FixedResponse: &config.FixedResponse{StatusCode: 200, MessageBody: strings.Repeat("x", 1025)}}, "at most 1024"},
		{"redirect", redirect(func(r *config.Redirect) { r.Host = "b" }), ""},
		{"redirect to itself", redirect(func(r *config.Redirect) { r.Query = "x" }), "come back for ever"},
		{"status", redirect(func(r *config.Redirect) { r.StatusCode, r.Host = "301", "b" }), `status code "301"`},
		{"placeholder", redirect(func(r *config.Redirect) { r.Host = "#{hots}" }), `host "#{hots}"`},
		{"open placeholder", redirect(func(r *config.Redirect) { r.Path = "/#{path" }), `path "/#{path"`},
		{"path", redirect(func(r *config.Redirect) { r.Path = "x" }), "leading /"},
		{"port", redirect(func(r *config.Redirect) { r.Port = "70000" }), `port "70000"`},
		{"protocol", redirect(func(r *config.Redirect) { r.Protocol = "javascript" }), `protocol "javascript"`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := NewAction(test.cfg, groups)
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func TestAnswersWithoutTarget(t *testing.T) {
	fixed := config.Action{FixedResponse: &config.FixedResponse{StatusCode: 404, ContentType: "application/json", MessageBody: `{"no":1}`}}
	empty := config.Action{FixedResponse: &config.FixedResponse{StatusCode: 204, ContentType: "text/plain"}}
	r := asRequested(func(r *config.Redirect) { r.Host = "www.example.com" })
	for _, way := range everyWay {
		for _, test := range []struct {
			name                    string
			cfg                     *config.Action
			method                  string
			status                  int
			contentType, body, host string
			location, action        string
		}{
			{"fixed", &fixed, "GET", 404, "application/json", `{"no":1}`, "a", "", "fixed-response"},
			{"fixed HEAD", &fixed, "HEAD", 404, "application/json", "", "a", "", "fixed-response"},
			{"fixed POST", &fixed, "POST", 404, "application/json", `{"no":1}`, "a", "", "fixed-response"},
			{"fixed 204", &empty, "GET", 204, "", "", "a", "", "fixed-response"},
			{"redirect", &config.Action{Redirect: &r}, "GET", 301, "text/html", string(page(301)), "a", "://www.example.com:443/p?q", "redirect"},
			{"none", nil, "GET", 503, "text/html", string(page(503)), "a", "", ""},
		} {
			t.Run(way.name+" "+test.name, func(t *testing.T) {
				l := newListener(way.secure)
				if test.cfg != nil {
					var err error
					if l.Action, err = NewAction(*test.cfg, nil); err != nil {
						t.Fatal(err)
					}
				}
				e := startEdge(t, l)
				client := e.client(way.h2)
				for range 2 { // the connection is kept
					req, _ := http.NewRequest(test.method, e.url("/p?q"), nil)
					if test.method == "POST" {
						req.Body, req.ContentLength = io.NopCloser(strings.NewReader("unread")), 6
					}
					req.Host = test.host
					resp, err := client.Do(req)
					if err != nil {
						t.Fatal(err)
					}
					body, _ := io.ReadAll(resp.Body)
					resp.Body.Close()
					if resp.StatusCode != test.status || resp.Header.Get("Content-Type") != test.contentType || string(body) != test.body ||
						!strings.HasSuffix(resp.Header.Get("Location"), test.location) || resp.Header.Get("Server") != "sallyport" {
						t.Errorf("got %d %v %q", resp.StatusCode, resp.Header, body)
					}
					rec := e.record()
					if rec.ELBStatusCode != test.status || rec.Action != test.action || rec.RedirectURL != resp.Header.Get("Location") || rec.Target != "" {
						t.Errorf("record %+v", rec)
					}
				}
				if n := len(e.open); n != 1 {
					t.Errorf("%d connections, want 1", n)
				}
			})
		}
	}
}

// A page of ours has no room for what a client sent.
func TestNoListener(t *testing.T) {
	l := newListener(false)
	l.Strip = nil
	e := startEdge(t, l.forwardTo(t, startTarget(t, func(http.ResponseWriter, *http.Request) { t.Error("target was asked") })))
	if got := e.raw("GET /<script> HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 503 ") || strings.Contains(got, "script") {
		t.Errorf("got %q, want 503", got)
	}
	if r := e.record(); r.ErrorReason != ReasonInternal {
		t.Errorf("record %+v", r)
	}
}
