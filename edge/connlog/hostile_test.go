package connlog

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/edge/reason"
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
		}
	}
	if quoted {
		t.Fatalf("line %q ends within quotes", line)
	}
	return all
}

var (
	escape  = regexp.MustCompile(`\\x[0-9A-F]{2}`)
	version = regexp.MustCompile(`^[A-Za-z0-9.-]*$`)
)

// unescape undoes \xXX.
func unescape(value string) string {
	return escape.ReplaceAllStringFunc(value, func(e string) string {
		b, _ := strconv.ParseUint(e[2:], 16, 8)
		return string([]byte{byte(b)})
	})
}

// shown is what a log shows of a string.
func shown(value string) string {
	kept, mark := cut(value)
	return kept + mark
}

func orDash(value string) string {
	if value == "" {
		return "-"
	}
	return shown(value)
}

// checkALB checks that the line is one line of 15 fields in printable ASCII
// that give back the record's values.
func checkALB(t *testing.T, r *Record) {
	t.Helper()
	line := r.AppendALB([]byte("before\n"))
	line, ok := bytes.CutPrefix(line, []byte("before\n"))
	if !ok {
		t.Fatal("AppendALB does not append")
	}
	for i, c := range line {
		if (c < ' ' || c > '~') && i != len(line)-1 {
			t.Fatalf("byte %#x in %q", c, line)
		}
	}
	all := fields(t, line)
	if len(all) != 15 {
		t.Fatalf("%d fields, want 15: %q", len(all), line)
	}
	for i, want := range map[int]string{
		4: r.TLSVersion, 5: r.CipherSuite, 8: r.LeafValidity, 9: r.LeafSerial,
		11: r.TraceID, 12: r.KeyExchange, 13: r.LoadBalancer,
	} {
		if got := unescape(all[i]); got != orDash(want) {
			t.Errorf("field %d: %q, want %q", i+1, got, orDash(want))
		}
	}
	subject, ok := strings.CutPrefix(all[7], `"`)
	subject, ok2 := strings.CutSuffix(subject, `"`)
	if !ok || !ok2 || unescape(subject) != orDash(r.LeafSubject) {
		t.Errorf("subject %q, want %q", subject, orDash(r.LeafSubject))
	}
	success := r.Status == reason.Success
	if got, want := all[10], "Failed:"+r.Status.String(); !success && got != want {
		t.Errorf("tls_verify_status %q, want %q", got, want)
	}
	if got := all[10]; success && got != "Success" && (got != "-" || !r.Plaintext) {
		t.Errorf("tls_verify_status %q of an admitted connection", got)
	}
	if !success && all[6] != "-" {
		t.Errorf("latency %q of a failed handshake", all[6])
	}
	if r.Client.IsValid() && r.Server.IsValid() && version.MatchString(r.TLSVersion) {
		groups := athena.FindSubmatch(bytes.TrimSuffix(line, []byte("\n")))
		if groups == nil {
			t.Fatalf("AWS's expression does not match %q", line)
		}
		if string(groups[8]) != subject || string(groups[11]) != all[10] {
			t.Errorf("AWS's expression splits %q otherwise", line)
		}
	}
}

// checkJSON checks that the line is one line of JSON with ALB's members that
// gives back the record, and returns what it gives.
func checkJSON(t *testing.T, r *Record) Record {
	t.Helper()
	line := r.AppendJSON([]byte("before\n"))
	line, ok := bytes.CutPrefix(line, []byte("before\n"))
	if !ok {
		t.Fatal("AppendJSON does not append")
	}
	if bytes.IndexByte(line, '\n') != len(line)-1 || !utf8.Valid(line) || !json.Valid(line) {
		t.Fatalf("not a line of JSON: %q", line)
	}
	for _, c := range string(line[:len(line)-1]) {
		if !strconv.IsPrint(c) {
			t.Fatalf("unprintable %U in %q", c, line)
		}
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(line, &members); err != nil {
		t.Fatal(err)
	}
	for _, name := range strings.Fields(`timestamp client_ip client_port listener_port tls_protocol tls_cipher
		tls_handshake_latency leaf_client_cert_subject leaf_client_cert_validity leaf_client_cert_serial_number
		tls_verify_status conn_trace_id tls_keyexchange elb ip_address`) {
		if members[name] == nil {
			t.Errorf("no %s in %q", name, line)
		}
	}

	// Duplicate names would hide in a map.
	if n := bytes.Count(line, []byte(`":`)); n < len(members) {
		t.Errorf("%d names of %d", n, len(members))
	}
	var got Record
	if err := json.Unmarshal(line, &got); err != nil {
		t.Fatalf("%v: %q", err, line)
	}
	if diff := cmp.Diff(readBack(*r), got, cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" {
		t.Errorf("%q: %s", line, diff)
	}
	return got
}

// readBack is what a JSON line keeps of a record.
func readBack(r Record) Record {
	for _, text := range r.texts() {
		*text = string([]rune(shown(*text))) // U+FFFD for each bad byte
	}
	if _, printed := r.latency(); !printed {
		r.HandshakeLatency = 0
	}
	r.HandshakeLatency = r.HandshakeLatency.Round(time.Microsecond)
	r.Elapsed = max(r.Elapsed, 0).Round(time.Microsecond)
	r.Time = r.Time.UTC().Truncate(time.Microsecond)
	r.PresentedCertificates = max(r.PresentedCertificates, 0)
	for _, addr := range []*netip.AddrPort{&r.Client, &r.Server, &r.Peer} {
		*addr = addrPort(addr.Addr().Unmap(), addr.Port())
	}
	if r.Ignored == reason.Success {
		r.Ignored = reason.UnmappedConnectionError
	}
	return r
}

func FuzzRecord(f *testing.F) {
	for _, r := range records() {
		f.Add(r.LeafSubject, r.LeafSerial, r.ServerName, r.Cause, r.LoadBalancer, r.TLSVersion, r.Client.Addr().AsSlice(), "eth0",
			uint8(r.Status), int64(r.HandshakeLatency), r.TrustStoreGeneration, r.Plaintext)
	}
	f.Fuzz(func(t *testing.T, subject, serial, serverName, cause, elb, version string, ip []byte, zone string,
		status uint8, latency int64, generation uint64, plaintext bool) {
		addr, ok := netip.AddrFromSlice(ip)
		if ok && !addr.Is4() && !addr.Is4In6() && utf8.ValidString(zone) && len(zone) < maxText/2 {
			addr = addr.WithZone(zone)
		}
		codes := reason.All()
		r := Record{
			Time:    time.UnixMicro(latency >> 16),
			Elapsed: time.Duration(latency % (1 << 50)), TraceID: elb,
			Client:   netip.AddrPortFrom(addr, uint16(latency)),
			Server:   netip.AddrPortFrom(addr, uint16(generation)),
			Peer:     netip.AddrPortFrom(addr, uint16(status)),
			Listener: cause, LoadBalancer: elb, Plaintext: plaintext,
			TLSVersion: version, CipherSuite: serial, KeyExchange: serverName,
			HandshakeLatency: time.Duration(latency % (1 << 50)), Resumed: !plaintext,
			ServerName: serverName, ALPN: version, JA4: cause, ServerCertificate: elb,
			Mode: version, TrustStore: elb, TrustStoreGeneration: generation,
			PresentedCertificates: int(int32(latency)),
			LeafSubject:           subject, LeafIssuer: serial, LeafValidity: cause, LeafSerial: serial,
			LeafSHA256: [32]byte{status}, Authenticated: !plaintext,
			Status: codes[int(status)%len(codes)], Cause: cause, Plugin: serverName,
			Ignored: codes[int(generation%uint64(len(codes)))],
		}
		checkALB(t, &r)
		checkJSON(t, &r)
	})
}

func BenchmarkAppendALB(b *testing.B) {
	r := full()
	dst := make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		dst = r.AppendALB(dst[:0])
	}
}

func BenchmarkAppendJSON(b *testing.B) {
	r := full()
	dst := make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		dst = r.AppendJSON(dst[:0])
	}
}

func TestAppendAllocatesNothing(t *testing.T) {
	dst := make([]byte, 0, 4096)
	for name, r := range records() {
		if name == "long" || name == "link-local" {
			continue // longer than dst; zones are rare enough
		}
		if n := testing.AllocsPerRun(100, func() { dst = r.AppendJSON(r.AppendALB(dst[:0])) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
