package health

import (
	"crypto/tls"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/sallyport/sallyport/edge/accesslog"
	"github.com/sallyport/sallyport/edge/config"
)

// startHTTP2 is a server of HTTP/2, over TLS or with prior knowledge.
func startHTTP2(t *testing.T, secure bool, handler http.HandlerFunc) (string, *tls.Config) {
	t.Helper()
	s := httptest.NewUnstartedServer(handler)
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	t.Cleanup(s.Close)
	if secure {
		s.EnableHTTP2 = true
		s.StartTLS()
		return s.URL, s.Client().Transport.(*http.Transport).TLSClientConfig
	}
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	return s.URL, nil
}

// What a server of gRPC says, and what is made of it.
func TestGRPC(t *testing.T) {
	trailers := func(status string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/grpc")
			w.Header().Set("Trailer", "Grpc-Status")
			w.Write([]byte{0, 0, 0, 0, 2, 8, 1})
			w.Header().Set("Grpc-Status", status)
		}
	}
	endless := func(w http.ResponseWriter, r *http.Request) {
		for err := error(nil); err == nil; {
			_, err = w.Write(make([]byte, 16<<10))
		}
	}
	for _, test := range []struct {
		name, matcher string
		serve         http.HandlerFunc
		code          int
		answered      bool
		reason        string
	}{
		{"not implemented", "12", func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if r.Method != "POST" || r.RequestURI != "/AWS.ALB/healthcheck" || r.Header.Get("Content-Type") != "application/grpc" || r.Header.Get("Te") != "trailers" ||
				r.UserAgent() != userAgent || string(body) != "\x00\x00\x00\x00\x00" || err != nil || r.Host == "" {
				w.Header().Set("Grpc-Status", "3")
				return
			}
			w.Header().Set("Grpc-Status", "12")
		}, 12, true, ""},
		{"ok, behind a message", "0", trailers("0"), 0, true, ""},
		{"any", "0-99", trailers("14"), 14, true, ""},
		{"another status", "0", trailers("14"), 14, true, accesslog.CheckGRPCUnexpectedStatus},
		{"ok is not 12", "12", trailers("0"), 0, true, accesslog.CheckGRPCUnexpectedStatus},
		{"no status", "0-99", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") }, 0, false, accesslog.CheckGRPCStatusHeaderEmpty},
		{"an error page", "0-99", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(503) }, 0, false, accesslog.CheckGRPCStatusHeaderEmpty},
		{"no number", "0-99", trailers("OK"), 0, false, accesslog.CheckConnectionReset},
		{"a negative one", "0-99", trailers("-1"), 0, false, accesslog.CheckConnectionReset},
		{"a message without an end", "0-99", endless, 0, false, accesslog.CheckConnectionReset},
		{"aborted", "0-99", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, 0, false, accesslog.CheckConnectionReset},
	} {
		for _, secure := range []bool{false, true} {
			target, conf := startHTTP2(t, secure, test.serve)
			cfg := patient(target)
			cfg.ProtocolVersion = config.GRPC
			cfg.HealthCheck.Path, cfg.HealthCheck.Matcher = "/AWS.ALB/healthcheck", test.matcher
			r, h := once(t, cfg, conf)
			if r.code != test.code || r.answered != test.answered || r.reason != test.reason || r.pass != (test.reason == "") {
				t.Errorf("%s, TLS %v: %+v", test.name, secure, r)
			}
			if h.Type != "grpc" {
				t.Errorf("type %s", h.Type)
			}
		}
	}
}

// The status of gRPC must come in time, however much else does.
func TestSlowMessage(t *testing.T) {
	target, _ := startHTTP2(t, false, func(w http.ResponseWriter, r *http.Request) {
		w.Write([]byte{0, 0, 0, 0, 2})
		http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	cfg := groupOf(target)
	cfg.ProtocolVersion, cfg.HealthCheck.Matcher = config.GRPC, "12"
	cfg.HealthCheck.Timeout = config.Duration(100 * time.Millisecond)
	if r, _ := once(t, cfg, nil); r.reason != accesslog.CheckTimedOut {
		t.Errorf("%+v", r)
	}
}

// A body is not waited for, nor taken.
func TestHTTP2Body(t *testing.T) {
	target, conf := startHTTP2(t, true, func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	cfg := patient(target)
	cfg.ProtocolVersion = config.HTTP2
	if r, _ := once(t, cfg, conf); !r.pass {
		t.Errorf("%+v", r)
	}
}

// A target that does not speak HTTP/2 is not healthy where HTTP/2 is spoken.
func TestNoHTTP2(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	s.StartTLS()
	t.Cleanup(s.Close)
	plain := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(plain.Close)
	for _, target := range []string{s.URL, plain.URL} {
		cfg := patient(target)
		cfg.ProtocolVersion = config.HTTP2
		if r, _ := once(t, cfg, s.Client().Transport.(*http.Transport).TLSClientConfig); r.pass || r.reason != accesslog.CheckConnectionReset {
			t.Errorf("%s: %+v", target, r)
		}
	}
}

// Heads that net/http reads, and that are no answer all the same.
func TestCheckHead(t *testing.T) {
	for _, test := range []struct {
		code   int
		status string
		length int64
		header http.Header
		good   bool
	}{
		{200, "200 OK", -1, http.Header{"A": {"b"}}, true},
		{204, "204 No Content", 0, http.Header{"Content-Length": {"0"}}, true},
		{200, "+200 OK", -1, nil, false},
		{200, "0200 OK", -1, nil, false},
		{20, "20 ", -1, nil, false},
		{200, "200 OK", 1, http.Header{"Content-Length": {"1", "1"}}, false},
		{200, "200 OK", -1, http.Header{"Content-Length": {"+1"}}, false},
		{200, "200 OK", -1, http.Header{"Connection": {"close"}}, false},
		{200, "200 OK", -1, http.Header{"Transfer-Encoding": {"chunked"}}, false},
	} {
		err := checkHead(&http.Response{StatusCode: test.code, Status: test.status, ContentLength: test.length, Header: test.header})
		if (err == nil) != test.good {
			t.Errorf("%q %v: %v", test.status, test.header, err)
		}
	}
}
