package proxy

import (
	"net/http"
	"regexp"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/http1"
	"github.com/sallyport/sallyport/edge/identity"
)

func TestForwardedHeaders(t *testing.T) {
	sent := http.Header{
		"X-Forwarded-For":   {"192.0.2.1", "192.0.2.2"},
		"X-Forwarded-Proto": {"gopher"},
		"X-Forwarded-Port":  {"70"},
		"X-Forwarded-Host":  {"evil"},
		"Forwarded":         {"for=evil"},
	}
	https := map[string][]string{"X-Forwarded-Proto": {"https"}, "X-Forwarded-Port": {"443"}}
	with := func(more http.Header) http.Header {
		h := http.Header{}
		for k, v := range https {
			h[k] = v
		}
		for k, v := range more {
			h[k] = v
		}
		return h
	}
	tests := []struct {
		name   string
		mode   config.XFFMode
		port   bool
		client string
		sent   http.Header
		want   http.Header
	}{
		{"append", config.XFFAppend, false, "203.0.113.7:4711", sent, with(http.Header{"X-Forwarded-For": {"192.0.2.1, 192.0.2.2, 203.0.113.7"}})},
		{"append to nothing", config.XFFAppend, false, "203.0.113.7:4711", nil, with(http.Header{"X-Forwarded-For": {"203.0.113.7"}})},
		{"append with port", config.XFFAppend, true, "203.0.113.7:4711", nil, with(http.Header{"X-Forwarded-For": {"203.0.113.7:4711"}})},
		{"append IPv6", config.XFFAppend, false, "[2001:db8::1%eth0]:4711", nil, with(http.Header{"X-Forwarded-For": {"2001:db8::1"}})},
		{"append IPv6 with port", config.XFFAppend, true, "[2001:db8::1]:4711", nil, with(http.Header{"X-Forwarded-For": {"[2001:db8::1]:4711"}})},
		{"append mapped IPv4", config.XFFAppend, false, "[::ffff:203.0.113.7]:4711", nil, with(http.Header{"X-Forwarded-For": {"203.0.113.7"}})},
		{"remove", config.XFFRemove, false, "203.0.113.7:4711", sent, with(nil)},
		{"zero mode", "", false, "203.0.113.7:4711", sent, with(nil)},
		{"preserve", config.XFFPreserve, false, "203.0.113.7:4711", sent, with(http.Header{
			"X-Forwarded-For": sent["X-Forwarded-For"], "X-Forwarded-Host": {"evil"}, "Forwarded": {"for=evil"},
		})},
		{"preserve nothing", config.XFFPreserve, false, "203.0.113.7:4711", nil, with(nil)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			l := newListener(true)
			l.Attributes = config.Attributes{XFFHeaderProcessing: test.mode, XFFClientPort: test.port}
			c := newClient(New(Options{}), &Conn{Client: addrPort(test.client), Server: addrPort("198.51.100.1:8443")})
			l.Strip = identity.NewStripper()
			x := &exchange{client: c, listener: l, prepared: c.prepare(l)}
			x.req.Method, x.req.Path, x.req.Host = "GET", "/", "a"
			for name, values := range test.sent {
				for _, value := range values {
					x.req.Fields = append(x.req.Fields, http1.Field{Name: name, Value: value, Kind: http1.KindOf(name)})
				}
			}
			req, err := http.ReadRequest(newReader(string(x.appendHead([]byte(nil), new(about))) + "\r\n"))
			if err != nil {
				t.Fatal(err)
			}
			h := req.Header
			delete(h, headerTraceID)
			if len(test.want[headerForwardedFor]) == 1 && len(h[headerForwardedFor]) > 1 {
				t.Errorf("%q in several lines", h[headerForwardedFor])
			}
			if diff := cmp.Diff(test.want, h); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestTraceID(t *testing.T) {
	now := time.Unix(0x67891233, 0)
	const id = `1-67891233-[0-9a-f]{24}`
	for _, test := range []struct {
		name string
		sent []string
		want string
	}{
		{"none", nil, `^Root=` + id + `$`},
		{"empty", []string{""}, `^Root=` + id + `$`},
		{"root", []string{"Root=1-00000000-abc"}, `^Self=` + id + `;Root=1-00000000-abc$`},
		{"root and more", []string{"Root=1-0-a;CalledFrom=app"}, `^Self=` + id + `;Root=1-0-a;CalledFrom=app$`},
		{"self replaced", []string{"Self=1-0-b; Root=1-0-a"}, `^Self=` + id + `;Root=1-0-a$`},
		{"no root", []string{"CalledFrom=app"}, `^Root=` + id + `;CalledFrom=app$`},
		{"two lines", []string{"Root=1-0-a", "Sampled=1"}, `^Self=` + id + `;Root=1-0-a;Sampled=1$`},
	} {
		t.Run(test.name, func(t *testing.T) {
			x := &exchange{started: now}
			for _, value := range test.sent {
				x.req.Fields = append(x.req.Fields, http1.Field{Name: headerTraceID, Value: value, Kind: http1.TraceID})
			}
			line := string(x.appendTraceID(nil, new(about)))
			if got := x.record.TraceID; !regexp.MustCompile(test.want).MatchString(got) || line != headerTraceID+": "+got+"\r\n" {
				t.Errorf("got %q and %q, want %s", got, line, test.want)
			}
		})
	}
	if a, b := string(appendNewTraceID(nil, now)), string(appendNewTraceID(nil, now)); a == b {
		t.Errorf("%s twice", a)
	}
}
