package accesslog

import (
	"encoding/json"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/sallyport/sallyport/edge/config"
)

// fields splits a line as a reader that knows of quotes, and of nothing else.
func fields(t *testing.T, line []byte) []string {
	t.Helper()
	text, ok := strings.CutSuffix(string(line), "\n")
	if !ok {
		t.Fatalf("line %q does not end in a newline", line)
	}
	var all []string
	quoted, start := false, 0
	for i := 0; i <= len(text); i++ {
		switch {
		case i == len(text) || text[i] == ' ' && !quoted:
			all = append(all, text[start:i])
			start = i + 1
		case text[i] == '"':
			quoted = !quoted
		case text[i] < ' ' || text[i] > '~':
			t.Fatalf("byte %#x in %q", text[i], line)
		}
	}
	if quoted {
		t.Fatalf("line %q ends within quotes", line)
	}
	return all
}

// value is what a field in quotes stands for.
func value(t *testing.T, field string) string {
	t.Helper()
	if len(field) < 2 || field[0] != '"' || field[len(field)-1] != '"' {
		t.Fatalf("field %q: want it in quotes", field)
	}
	field = field[1 : len(field)-1]
	var b strings.Builder
	for i := 0; i < len(field); i++ {
		if field[i] != '\\' {
			b.WriteByte(field[i])
			continue
		}
		c, err := strconv.ParseUint(field[i+2:i+4], 16, 8)
		if err != nil {
			t.Fatal(err)
		}
		b.WriteByte(byte(c))
		i += 3
	}
	return b.String()
}

// orDash is what is printed of a value.
func orDash(value string) string {
	if value == "" {
		return "-"
	}
	return value
}

// checkALB checks that a record is one line of 34 fields that give back its
// values.
func checkALB(t *testing.T, r *Record) {
	t.Helper()
	line, ok := strings.CutPrefix(string(r.AppendALB([]byte("before\n"))), "before\n")
	if !ok {
		t.Fatal("AppendALB does not append")
	}
	all := fields(t, []byte(line))
	if len(all) != 34 {
		t.Fatalf("%d fields, want 34: %q", len(all), line)
	}
	for i, want := range map[int]string{
		13: r.userAgent(), 17: r.TraceID, 18: r.serverName(), 22: r.Action, 23: r.RedirectURL, 24: r.ErrorReason,
		25: r.Target, 27: r.Classification, 28: r.ClassificationReason, 30: r.TransformedHost, 31: r.TransformedURI, 32: r.TransformStatus,
	} {
		if got := value(t, all[i]); got != orDash(want) {
			t.Errorf("field %d: %q, want %q", i+1, got, orDash(want))
		}
	}
	if request := value(t, all[12]); r.Method != "" && (!strings.HasPrefix(request, r.Method+" ") || !strings.HasSuffix(request, r.URI+" "+r.Proto)) {
		t.Errorf("request %q", request)
	}
	if certificate := value(t, all[19]); r.Resumed != (certificate == "session-reused") {
		t.Errorf("chosen_cert_arn %q", certificate)
	}
}

// checkJSON checks that a record is one line of JSON with ALB's members that give
// back its values.
func checkJSON(t *testing.T, r *Record) {
	t.Helper()
	line := r.AppendJSON(nil)
	if line[len(line)-1] != '\n' || strings.Count(string(line), "\n") != 1 || !utf8.Valid(line) {
		t.Fatalf("not one line of UTF-8: %q", line)
	}
	var got map[string]any
	if err := json.Unmarshal(line, &got); err != nil {
		t.Fatalf("%v in %q", err, line)
	}
	for _, name := range strings.Fields(`type time elb client:port target:port request_processing_time target_processing_time
		response_processing_time elb_status_code target_status_code received_bytes sent_bytes request user_agent ssl_cipher
		ssl_protocol target_group_arn trace_id domain_name chosen_cert_arn matched_rule_priority request_creation_time
		actions_executed redirect_url error_reason target:port_list target_status_code_list classification
		classification_reason conn_trace_id transformed_host transformed_uri request_transform_status ip_address`) {
		if _, there := got[name]; !there {
			t.Errorf("no %s in %q", name, line)
		}
	}
	for name, want := range map[string]string{"trace_id": r.TraceID, "user_agent": r.userAgent(), "redirect_url": r.RedirectURL, "error_reason": r.ErrorReason} {
		if want := plain(want); want != "" && got[name] != want {
			t.Errorf("%s %q, want %q", name, got[name], want)
		}
	}
	if request := got["request"].(string); r.Method != "" && !strings.HasSuffix(request, plain(r.URI)+" "+plain(r.Proto)) {
		t.Errorf("request %q", request)
	}
}

// plain is s as JSON can carry it: each byte that is not UTF-8 as U+FFFD.
func plain(s string) string { return string([]rune(s)) }

func FuzzRecord(f *testing.F) {
	for _, r := range records() {
		f.Add(r.Method, r.Scheme, r.Host, r.URI, r.UserAgent, r.TraceID, r.ServerName, r.Target, r.ErrorReason, r.Client.Addr().AsSlice(), int64(r.TargetProcessing), r.Resumed)
	}
	f.Add("G\"E T", "\xff\x00\"\\", "\u2028</script>", "\r\n\x7f", " \" - ", strings.Repeat("é", 5000), "\" \"", "\\x22", "a b", []byte{1, 2, 3, 4}, int64(-1), true)
	f.Fuzz(func(t *testing.T, method, scheme, host, uri, agent, trace, sni, target, reason string, ip []byte, n int64, flag bool) {
		addr, _ := netip.AddrFromSlice(ip)
		r := Record{
			Type: scheme, Time: time.UnixMicro(n), Created: time.Unix(n>>8, n),
			LoadBalancer: &config.LoadBalancer{Name: host, ID: scheme, Account: trace, Region: sni},
			Listener:     host, Client: netip.AddrPortFrom(addr, uint16(n)), Server: netip.AddrPortFrom(addr, uint16(n>>16)), Target: target,
			RequestProcessing: time.Duration(n), TargetProcessing: time.Duration(-n), ResponseProcessing: time.Duration(n >> 20),
			ELBStatusCode: int(n), TargetStatusCode: int(n >> 3), ReceivedBytes: n, SentBytes: -n,
			Method: method, Scheme: scheme, Host: host, Port: uint16(n), URI: uri, Proto: scheme, UserAgent: agent,
			CipherSuite: agent, TLSVersion: trace, ServerCertificate: host, Resumed: flag, ServerName: sni, ConnTraceID: trace,
			TargetGroup: sni, TargetGroupID: agent, TraceID: trace, Action: reason, Priority: int(n), RedirectURL: uri,
			TransformedHost: host, TransformedURI: uri, TransformStatus: reason,
			ErrorReason: reason, ErrorDetail: uri, Classification: target, ClassificationReason: trace,
		}
		if flag {
			r.LoadBalancer = nil
		}
		checkALB(t, &r)
		checkJSON(t, &r)

		h := HealthCheck{Type: scheme, Time: r.Time, Latency: time.Duration(n), Target: target, TargetGroup: sni, Pass: flag,
			StatusCode: int(n), HasStatus: flag, Reason: reason, Detail: uri, LoadBalancer: r.LoadBalancer, Address: addr}
		if all := fields(t, h.AppendALB(nil)); len(all) != 10 {
			t.Errorf("%d fields, want 10: %q", len(all), all)
		}
		if line := h.AppendJSON(nil); !json.Valid(line) || strings.Count(string(line), "\n") != 1 {
			t.Errorf("not one line of JSON: %q", line)
		}
	})
}
