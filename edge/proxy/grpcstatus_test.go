package proxy

import (
	"fmt"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/sallyport/sallyport/edge/config"
)

// What a client of gRPC is told of a call that its target does not answer.
func TestGRPCStatus(t *testing.T) {
	reset := func(code http2.ErrCode) func(f *frames, s uint32) {
		return func(f *frames, s uint32) { f.WriteRSTStream(s, code) }
	}
	for _, test := range []struct {
		name, timeout string
		fail          func(f *frames, stream uint32)
		status, code  int
	}{
		{"cancel", "", reset(http2.ErrCodeCancel), 502, grpcCancelled},
		{"cancel before the time is up", "1H", reset(http2.ErrCodeCancel), 502, grpcCancelled},
		{"cancel when the time is up", "1n", reset(http2.ErrCodeCancel), 502, grpcDeadlineExceeded},
		{"refused for good", "", reset(http2.ErrCodeRefusedStream), 502, grpcUnavailable},
		{"calm", "", reset(http2.ErrCodeEnhanceYourCalm), 502, grpcResourceExhausted},
		{"insecure", "", reset(http2.ErrCodeInadequateSecurity), 502, grpcPermissionDenied},
		{"internal", "", reset(http2.ErrCodeInternal), 502, grpcInternal},
		{"no error", "", reset(http2.ErrCodeNo), 502, grpcInternal},
		{"closed", "", func(f *frames, s uint32) { f.conn.Close() }, 502, grpcUnavailable},
		{"late", "", func(f *frames, s uint32) {}, 504, grpcUnavailable},
		{"malformed", "", func(f *frames, s uint32) { f.head(s, true, ":status", "200", "connection", "close") }, 502, grpcUnavailable},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := newListener(true)
			g := group2(t, config.GRPC, nil, frameTarget(t, func(_ int, f *frames) {
				for r := f.request(); r != nil; r = f.request() {
					test.fail(f, r.StreamID)
				}
			}))
			if l.Action = (Action{group: g}); test.status == 504 {
				g.answer = 100 * time.Millisecond
			}
			e := startEdge(t, l)
			c := dialHTTP2(e)
			fields := []string{"content-type", "application/grpc", "te", "trailers"}
			if test.timeout != "" {
				fields = append(fields, "grpc-timeout", test.timeout)
			}
			c.request(1, true, "POST", fields...)
			got := until(c, func(f *http2.MetaHeadersFrame) bool { return f.StreamID == 1 })
			status, contentType := "", ""
			for _, f := range got.RegularFields() {
				switch f.Name {
				case "grpc-status":
					status = f.Value
				case "content-type":
					contentType = f.Value
				}
			}
			if got.PseudoValue("status") != "200" || status != fmt.Sprint(test.code) || contentType != "application/grpc" || !got.StreamEnded() {
				t.Errorf("got %v, want status %d in trailers alone", got.Fields, test.code)
			}
			if r := e.record(); r.ELBStatusCode != test.status || r.ErrorReason == "" || r.Type != "grpcs" {
				t.Errorf("record %+v", r)
			}
		})
	}
}

func TestGRPCTimeout(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"1n": 1, "20u": 20 * time.Microsecond, "300m": 300 * time.Millisecond, "4S": 4 * time.Second,
		"5M": 5 * time.Minute, "99999999H": 1<<63 - 1, "00000001S": time.Second,
		"": -1, "S": -1, "1": -1, "1s": -1, "-1S": -1, "1.5S": -1, "123456789S": -1, "1 S": -1,
	} {
		got, ok := grpcTimeout([]string{text})
		if ok != (want >= 0) || ok && got != want {
			t.Errorf("%q: %v, %v, want %v", text, got, ok, want)
		}
	}
	if _, ok := grpcTimeout([]string{"1S", "2S"}); ok {
		t.Error("two timeouts are none")
	}
}

func FuzzGRPCTimeout(f *testing.F) {
	for _, text := range []string{"1n", "99999999H", "5M", "x", ""} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		limit, ok := grpcTimeout([]string{text})
		if limit < 0 || ok && (len(text) < 2 || len(text) > 9) {
			t.Errorf("%q is %v", text, limit)
		}
	})
}
