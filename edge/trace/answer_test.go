package trace

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/sallyport/sallyport/loadtest/pki"
)

func partial(rejected int64, why string) []byte {
	text, err := proto.Marshal(&collectorpb.ExportTraceServiceResponse{
		PartialSuccess: &collectorpb.ExportTracePartialSuccess{RejectedSpans: rejected, ErrorMessage: why}})
	if err != nil {
		panic(err)
	}
	return text
}

// TestAnswers has a collector take some spans of three, or say something about it.
func TestAnswers(t *testing.T) {
	const protobuf, json = "application/x-protobuf", "application/json; charset=utf-8"
	for name, test := range map[string]struct {
		status  int
		kind    string
		body    string
		stats   Stats
		trouble string // part of it; "" for none
	}{
		"all":                 {200, protobuf, "", Stats{Exported: 3}, ""},
		"an empty message":    {200, protobuf, string(partial(0, "")), Stats{Exported: 3}, ""},
		"a warning":           {200, protobuf, string(partial(0, "please use gRPC")), Stats{Exported: 3}, ""},
		"one is rejected":     {200, protobuf, string(partial(1, "too old")), Stats{Exported: 2, Failed: 1}, "1 spans rejected: too old"},
		"all are rejected":    {202, protobuf, string(partial(3, "no")), Stats{Failed: 3}, "3 spans rejected: no"},
		"more than there are": {200, protobuf, string(partial(1<<62, "no")), Stats{Failed: 3}, "rejected: no"},
		"fewer than none":     {200, protobuf, string(partial(-5, "no")), Stats{Exported: 3}, ""},
		"by JSON":             {200, json, `{"partialSuccess":{"rejectedSpans":"2","errorMessage":"x"},"new":1}`, Stats{Exported: 1, Failed: 2}, "2 spans rejected: x"},
		"JSON that is empty":  {200, json, "", Stats{Exported: 3}, ""},
		"another type":        {200, "text/plain", "ok", Stats{Exported: 3}, ""},
		"nonsense":            {200, protobuf, "\xff\xff", Stats{Failed: 3}, "read the collector's answer: "},
		"without end":         {200, protobuf, strings.Repeat("x", maxAnswer+1), Stats{Failed: 3}, "answer of over"},
		"a long refusal":      {400, "text/plain", "because " + strings.Repeat("y\xff", 1<<20), Stats{Failed: 3}, "because y"},
		"a long warning":      {200, protobuf, string(partial(3, strings.Repeat("z", 10*maxText))), Stats{Failed: 3}, "rejected: zzz"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCollector(t, false)
			c.set(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", test.kind)
				w.WriteHeader(test.status)
				w.Write([]byte(test.body))
			})
			tracer, end := start(t, Options{Endpoint: c.URL, Sample: 1})
			tracer.Export([]Span{one(tracer, "a"), one(tracer, "b"), one(tracer, "c")})
			end()
			trouble := tracer.Trouble()
			if tracer.Stats() != test.stats || !strings.Contains(trouble, test.trouble) || (trouble == "") != (test.trouble == "") {
				t.Errorf("%+v, %.200q; want %+v, %q", tracer.Stats(), trouble, test.stats, test.trouble)
			}
			if len(trouble) > maxText {
				t.Errorf("%d bytes of trouble", len(trouble))
			}
		})
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add("application/x-protobuf", partial(1, "x"))
	f.Add("application/json", []byte(`{"partialSuccess":{"rejectedSpans":"2"}}`))
	f.Fuzz(func(t *testing.T, kind string, text []byte) {
		rejected, why, err := partialSuccess(kind, text)
		if rejected < 0 || err != nil && (rejected != 0 || why != "") {
			t.Errorf("%d, %q, %v", rejected, why, err)
		}
	})
}

// TestEnvironmentHasNoSay sets every variable that an exporter of OpenTelemetry
// would follow, and wants nothing to come of it.
func TestEnvironmentHasNoSay(t *testing.T) {
	dir := t.TempDir()
	if err := pki.Must(pki.Must(pki.NewRoot()).Issue()).WriteFiles(dir, "own"); err != nil {
		t.Fatal(err)
	}
	wrong := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the environment's collector was asked") }))
	defer wrong.Close()
	for _, signal := range []string{"", "TRACES_"} {
		for name, value := range map[string]string{
			"PROTOCOL": "http/json", "ENDPOINT": wrong.URL, "HEADERS": "X-Environment=1", "COMPRESSION": "none", "TIMEOUT": "1", "INSECURE": "true",
			"CLIENT_CERTIFICATE": filepath.Join(dir, "own.crt"), "CLIENT_KEY": filepath.Join(dir, "own.key"), "CERTIFICATE": filepath.Join(dir, "own.crt"),
		} {
			t.Setenv("OTEL_EXPORTER_OTLP_"+signal+name, value)
		}
	}
	for _, secure := range []bool{false, true} {
		c := newCollector(t, secure) // which takes gzip and protobuf only
		o := Options{Endpoint: c.URL, Sample: 1}
		if secure {
			c.TLS.ClientAuth, o.CA = tls.RequestClientCert, c.ca()
		}
		tracer, end := start(t, o)
		tracer.Export([]Span{one(tracer, "a")})
		end()
		if len(c.spans()) != 1 || tracer.Stats() != (Stats{Exported: 1}) {
			t.Fatalf("TLS %t: %d spans, %+v: %s", secure, len(c.spans()), tracer.Stats(), tracer.Trouble())
		}
		if r := c.requests[0]; r.Header.Get("X-Environment") != "" || secure && len(r.TLS.PeerCertificates) > 0 {
			t.Errorf("asked with %v, %d certificates", r.Header, len(r.TLS.PeerCertificates))
		}
	}
}
