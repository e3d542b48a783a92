package accesslog

import (
	"flag"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/trace/w3c"
)

var update = flag.Bool("update", false, "write golden files")

var created = time.Date(2018, 7, 2, 22, 22, 48, 364_000_000, time.UTC)

func addrPort(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

// documented is the request of AWS's example of an HTTPS entry.
func documented() Record {
	return Record{
		Type:         TypeHTTPS,
		Time:         time.Date(2018, 7, 2, 22, 23, 0, 186_641_000, time.UTC),
		Created:      created,
		LoadBalancer: &config.LoadBalancer{Name: "my-loadbalancer", ID: "50dc6c495c0c9188", Account: "123456789012", Region: "us-east-2"},
		Client:       addrPort("192.168.131.39:2817"),
		Target:       "10.0.0.1:80",

		RequestProcessing: 86 * time.Millisecond, TargetProcessing: 48 * time.Millisecond, ResponseProcessing: 37 * time.Millisecond,
		ELBStatusCode: 200, TargetStatusCode: 200, SentBytes: 57,
		Method: "GET", Scheme: "https", Host: "www.example.com", Port: 443, URI: "/", Proto: "HTTP/1.1",
		UserAgent:   "curl/7.46.0",
		CipherSuite: "ECDHE-RSA-AES128-GCM-SHA256", TLSVersion: "TLSv1.2",
		TargetGroup: "my-targets", TargetGroupID: "73e2d6bc24d8a067",
		TraceID:           "Root=1-58337281-1d84f3d73c47ec4e58577259",
		ServerName:        "www.example.com",
		ServerCertificate: "12345678-1234-1234-1234-123456789012",
		Action:            "authenticate,forward", Priority: 1,
		ConnTraceID:     "TID_1234abcd5678ef90",
		TransformedHost: "m.example.com", TransformStatus: "TransformSuccess",
	}
}

// records are the kinds of lines that there are, in the order of the golden
// files.
func records() []Record {
	full := documented()
	full.Server = addrPort("[::ffff:192.0.2.7]:443")

	long := full
	long.Type, long.Proto, long.Resumed = TypeH2, "HTTP/2.0", true
	long.LoadBalancer = &config.LoadBalancer{Name: "sallyport", ID: "50dc6c495c0c9188", Account: "123456789012", Region: "local"}
	long.TargetGroupID, long.Action, long.TransformedHost, long.TransformStatus = "", "forward", "", ""
	long.Trace = &Trace{Span: w3c.Span{Trace: w3c.TraceID{0x4b, 15: 1}, ID: w3c.SpanID{7: 2}, Sampled: true}}
	long.URI = "/?q=\"\\\n\xff é"
	long.UserAgent += strings.Repeat("x", 9000)
	long.ServerName = strings.Repeat("a.", 5000)
	long.Time = created.Add(20*time.Second + 1234567*time.Nanosecond)
	long.TargetProcessing = 48400 * time.Microsecond

	none := Record{Type: TypeHTTP, Time: created, Created: created, RequestProcessing: -1, TargetProcessing: -1, ResponseProcessing: -1}
	refused := none
	refused.Server = addrPort("[2001:db8::7]:8443")
	refused.Client = addrPort("[2001:db8::1%eth0]:40000")
	refused.ELBStatusCode, refused.ErrorReason, refused.ErrorDetail = 400, "MalformedRequest", "MultipleContentLength"
	refused.Classification, refused.ClassificationReason = "Severe", "MultipleContentLength"

	redirected := none
	redirected.Client, redirected.Server = addrPort("192.0.2.1:40000"), addrPort("192.0.2.7:80")
	redirected.Method, redirected.Scheme, redirected.Host, redirected.Port, redirected.URI, redirected.Proto = "GET", "http", "example.com:8080", 80, "/a b", "HTTP/1.1"
	redirected.ELBStatusCode, redirected.Action, redirected.RedirectURL = 301, "redirect", "https://example.com:443/a%20b"
	redirected.Classification, redirected.ClassificationReason = "Acceptable", "SpaceInUri"
	redirected.TraceID = "Self=1-58337281-1d84f3d73c47ec4e58577259;Root=1-58337281-1d84f3d73c47ec4e58577258"

	tunnel := full
	tunnel.Type, tunnel.URI, tunnel.Host = TypeWSS, "http://10.0.0.30/chat", "[2001:db8::1]"
	tunnel.ELBStatusCode, tunnel.TargetStatusCode, tunnel.Listener = 101, 101, "public"
	return []Record{full, long, none, refused, redirected, tunnel}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	text := strings.ReplaceAll(string(got), strings.Repeat("x", maxUserAgent-len("curl/7.46.0")), "(…)")
	if *update {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), text); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestRecords(t *testing.T) {
	var alb, json []byte
	for _, r := range records() {
		alb, json = r.AppendALB(alb), r.AppendJSON(json)
	}
	golden(t, "testdata/records.alb", alb)
	golden(t, "testdata/records.json", json)
}

// AWS's values give AWS's line, and behind it the field that AWS has added since.
func TestDocumentedLine(t *testing.T) {
	const aws = `https 2018-07-02T22:23:00.186641Z app/my-loadbalancer/50dc6c495c0c9188 192.168.131.39:2817 10.0.0.1:80 0.086 0.048 0.037 200 200 0 57 "GET https://www.example.com:443/ HTTP/1.1" "curl/7.46.0" ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2 arn:aws:elasticloadbalancing:us-east-2:123456789012:targetgroup/my-targets/73e2d6bc24d8a067 "Root=1-58337281-1d84f3d73c47ec4e58577259" "www.example.com" "arn:aws:acm:us-east-2:123456789012:certificate/12345678-1234-1234-1234-123456789012" 1 2018-07-02T22:22:48.364000Z "authenticate,forward" "-" "-" "10.0.0.1:80" "200" "-" "-" TID_1234abcd5678ef90 "m.example.com" "-" "TransformSuccess"`
	r := documented()
	if diff := cmp.Diff(aws+" -\n", string(r.AppendALB(nil))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	r.Server = addrPort("192.0.2.7:443")
	if diff := cmp.Diff(aws+" 192.0.2.7\n", string(r.AppendALB(nil))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// AWS's other examples, of the years in which a line had fewer fields.
func TestDocumentedKinds(t *testing.T) {
	r := documented()
	r.ServerName, r.ServerCertificate, r.TransformedHost, r.TransformStatus = "", "", "", ""
	ws, redirect := r, r
	ws.Type, ws.Client, ws.Target = TypeWS, addrPort("10.0.0.140:40914"), "10.0.1.192:8010"
	ws.RequestProcessing, ws.TargetProcessing, ws.ResponseProcessing = time.Millisecond, 3*time.Millisecond, 0
	ws.ELBStatusCode, ws.TargetStatusCode, ws.ReceivedBytes, ws.SentBytes = 101, 101, 218, 587
	ws.Scheme, ws.Host, ws.Port, ws.UserAgent, ws.CipherSuite, ws.TLSVersion = "http", "10.0.0.30", 80, "", "", ""
	ws.TraceID, ws.Action = "Root=1-58337364-23a8c76965a2ef7629b185e3", "forward"
	redirect.Type, redirect.Client, redirect.Target = TypeH2, addrPort("10.0.1.252:48160"), "10.0.0.66:9000"
	redirect.RequestProcessing, redirect.TargetProcessing, redirect.ResponseProcessing = 0, 2*time.Millisecond, 0
	redirect.ReceivedBytes, redirect.SentBytes = 5, 257
	redirect.Host, redirect.Port, redirect.Proto = "10.0.2.105:773", 443, "HTTP/2.0"
	redirect.TraceID, redirect.Action, redirect.RedirectURL = "Root=1-58337327-72bd00b0343d75b906739c42", "redirect", "https://example.com:80/"
	for _, test := range []struct {
		r   Record
		aws string
	}{
		{ws, `ws 2018-07-02T22:23:00.186641Z app/my-loadbalancer/50dc6c495c0c9188 10.0.0.140:40914 10.0.1.192:8010 0.001 0.003 0.000 101 101 218 587 "GET http://10.0.0.30:80/ HTTP/1.1" "-" - - arn:aws:elasticloadbalancing:us-east-2:123456789012:targetgroup/my-targets/73e2d6bc24d8a067 "Root=1-58337364-23a8c76965a2ef7629b185e3" "-" "-" 1 2018-07-02T22:22:48.364000Z "forward" "-" "-" "10.0.1.192:8010" "101" "-" "-" TID_1234abcd5678ef90 "-" "-" "-"`},
		{redirect, `h2 2018-07-02T22:23:00.186641Z app/my-loadbalancer/50dc6c495c0c9188 10.0.1.252:48160 10.0.0.66:9000 0.000 0.002 0.000 200 200 5 257 "GET https://10.0.2.105:773/ HTTP/2.0" "curl/7.46.0" ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2 arn:aws:elasticloadbalancing:us-east-2:123456789012:targetgroup/my-targets/73e2d6bc24d8a067 "Root=1-58337327-72bd00b0343d75b906739c42" "-" "-" 1 2018-07-02T22:22:48.364000Z "redirect" "https://example.com:80/" "-" "10.0.0.66:9000" "200" "-" "-" TID_1234abcd5678ef90 "-" "-" "-"`},
	} {
		if diff := cmp.Diff(test.aws+" -\n", string(test.r.AppendALB(nil))); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

// athena is the expression by which AWS's page on Athena reads these lines.
var athena = regexp.MustCompile(`^([^ ]*) ([^ ]*) ([^ ]*) ([^ ]*):([0-9]*) ([^ ]*)[:-]([0-9]*) ([-.0-9]*) ([-.0-9]*) ([-.0-9]*) (|[-0-9]*) (-|[-0-9]*) ([-0-9]*) ([-0-9]*) "([^ ]*) (.*) (- |[^ ]*)" "([^"]*)" ([A-Z0-9-_]+) ([A-Za-z0-9.-]*) ([^ ]*) "([^"]*)" "([^"]*)" "([^"]*)" ([-.0-9]*) ([^ ]*) "([^"]*)" "([^"]*)" "([^ ]*)" "([^\s]+?)" "([^\s]+)" "([^ ]*)" "([^ ]*)" ?([^ ]*)? ?( .*)?$`)

func TestAthenaReadsEveryKind(t *testing.T) {
	for _, r := range records() {
		if !r.Client.IsValid() {
			continue // a connection has always somebody at its other end
		}
		line := strings.TrimSuffix(string(r.AppendALB(nil)), "\n")
		groups := athena.FindStringSubmatch(line)
		if groups == nil {
			t.Errorf("AWS's expression does not match %s", line)
			continue
		}
		if want := r.ConnTraceID; want != "" && groups[34] != want {
			t.Errorf("AWS's expression takes %q for conn_trace_id in %s", groups[34], line)
		}
		if r.Method != "" && groups[15] != r.Method {
			t.Errorf("AWS's expression takes %q for the method in %s", groups[15], line)
		}
	}
}

func TestHealthChecks(t *testing.T) {
	passed := HealthCheck{
		Type: "http", Time: time.Date(2025, 10, 31, 12, 44, 59, 875_678_000, time.UTC), Latency: 19_584_011,
		Target: "172.31.20.97:80", TargetGroup: "HCLogsTestIPs", Pass: true, StatusCode: 200, HasStatus: true,
	}
	const aws = `http 2025-10-31T12:44:59.875678Z 0.019584011 172.31.20.97:80 HCLogsTestIPs PASS 200 -`
	if diff := cmp.Diff(aws+" - -\n", string(passed.AppendALB(nil))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	full := passed
	full.LoadBalancer = records()[0].LoadBalancer
	full.Address = netip.MustParseAddr("::ffff:192.0.2.7")
	grpc := full
	grpc.Type, grpc.StatusCode = "grpc", 0
	failed := full
	failed.Pass, failed.HasStatus, failed.Latency, failed.Reason, failed.Detail = false, false, -1, CheckTimedOut, "dial tcp: i/o timeout\n"
	var alb, json []byte
	for _, h := range []HealthCheck{passed, full, grpc, failed, {}} {
		alb, json = h.AppendALB(alb), h.AppendJSON(json)
	}
	golden(t, "testdata/healthchecks.alb", alb)
	golden(t, "testdata/healthchecks.json", json)
}
