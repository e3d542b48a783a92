package proxy

import (
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/edge/config"
)

var update = flag.Bool("update", false, "write golden files")

func TestRecordJSON(t *testing.T) {
	created := time.Date(2018, 7, 2, 22, 22, 48, 364000000, time.UTC)
	none := Record{Type: "http", Time: created, Created: created, RequestProcessing: -1, TargetProcessing: -1, ResponseProcessing: -1}
	refused := none
	refused.ELBStatusCode, refused.ErrorReason = 400, ReasonMalformedRequest
	refused.Classification, refused.ClassificationReason = "Severe", "MultipleContentLength"
	lines := []Record{{
		Type:               "h2",
		Time:               created.Add(20*time.Second + 1234567*time.Nanosecond),
		Created:            created,
		LoadBalancer:       &config.LoadBalancer{Name: "sallyport", ID: "50dc6c495c0c9188", Account: "123456789012", Region: "local"},
		Listener:           "public",
		Client:             addrPort("192.168.131.39:2817"),
		Target:             "10.0.0.1:80",
		RequestProcessing:  86 * time.Millisecond,
		TargetProcessing:   48400 * time.Microsecond,
		ResponseProcessing: 0,
		ELBStatusCode:      200, TargetStatusCode: 200,
		ReceivedBytes: 100, SentBytes: 57,
		Method: "GET", Scheme: "https", Host: "www.example.com", Port: 443, URI: "/?q=\"\\\n\xff", Proto: "HTTP/2.0",
		UserAgent:   "curl/7.46.0" + strings.Repeat("x", 9000),
		CipherSuite: "TLS_AES_128_GCM_SHA256", TLSVersion: "TLSv1.3",
		TargetGroup: "app", TraceID: "Root=1-58337281-1d84f3d73c47ec4e58577259", ServerName: "www.example.com",
		ConnTraceID: "TID_1234abcd5678ef90", Action: "forward",
	}, none, refused}
	var got []byte
	for i := range lines {
		got = lines[i].AppendJSON(got)
	}
	got = []byte(strings.ReplaceAll(string(got), strings.Repeat("x", maxUserAgent-len("curl/7.46.0")), "(…)"))
	const golden = "testdata/records.json"
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func FuzzRecordJSON(f *testing.F) {
	f.Add("a", "/", "curl", "Root=1", uint16(443))
	f.Add("\xff\x00\"\\", "\u2028</script>", "\r\n\x7f", strings.Repeat("é", 5000), uint16(0))
	f.Fuzz(func(t *testing.T, host, uri, agent, trace string, port uint16) {
		r := Record{Method: "GET", Scheme: "https", Host: host, URI: uri, Proto: "HTTP/1.1", Port: port, UserAgent: agent, TraceID: trace, ErrorDetail: uri}
		line := r.AppendJSON(nil)
		if line[len(line)-1] != '\n' || strings.Count(string(line), "\n") != 1 || !utf8.Valid(line) {
			t.Fatalf("not one line of UTF-8: %q", line)
		}
		var got map[string]any
		if err := json.Unmarshal(line, &got); err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		if want := plain(trace); want != "" && got["trace_id"] != want {
			t.Errorf("trace_id %q, want %q", got["trace_id"], want)
		}
		if want := plain(agent[:min(len(agent), maxUserAgent)]); want != "" && got["user_agent"] != want {
			t.Errorf("user_agent %q, want %q", got["user_agent"], want)
		}
		if request := got["request"].(string); !strings.HasSuffix(request, plain(uri)+" HTTP/1.1") || !strings.HasPrefix(request, "GET https://"+plain(host)) {
			t.Errorf("request %q", request)
		}
	})
}

// plain is s as JSON can carry it: each byte that is not UTF-8 as U+FFFD.
func plain(s string) string { return string([]rune(s)) }

func BenchmarkRecordJSON(b *testing.B) {
	r := Record{Type: "h2", Time: time.Now(), Created: time.Now(), Client: addrPort("192.168.131.39:2817"), Target: "10.0.0.1:80",
		Method: "GET", Scheme: "https", Host: "www.example.com", Port: 443, URI: "/", Proto: "HTTP/2.0", UserAgent: "curl/7.46.0",
		TraceID: "Root=1-58337281-1d84f3d73c47ec4e58577259", ConnTraceID: "TID_1234abcd5678ef90", Action: "forward"}
	line := make([]byte, 0, 2048)
	b.ReportAllocs()
	for b.Loop() {
		line = r.AppendJSON(line[:0])
	}
}
