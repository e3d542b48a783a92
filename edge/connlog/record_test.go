package connlog

import (
	"encoding/json"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/edge/reason"
	"github.com/sallyport/sallyport/edge/trace/w3c"
)

var update = flag.Bool("update", false, "write the golden files")

// athena is the expression by which AWS's documentation reads these lines.
var athena = regexp.MustCompile(`^([^ ]*) ([^ ]*) ([0-9]*) ([0-9]*) ([A-Za-z0-9.-]*) ([^ ]*) ([-.0-9]*) "([^"]*)" ([^ ]*) ([^ ]*) ([^ ]*) ?([^ ]*)?( .*)?$`)

// admitted is a verified client's record with every field that AWS's sample of
// a successful connection shows.
func admitted() Record {
	return Record{
		Time:             time.Date(2023, 10, 4, 19, 5, 15, 514_108_499, time.FixedZone("", 2*3600)),
		TraceID:          "TID_3180a73013c8ca4bac2f731159d4b0fe",
		Client:           netip.MustParseAddrPort("203.0.113.1:36280"),
		Server:           netip.MustParseAddrPort("192.0.2.7:443"),
		LoadBalancer:     "app/sallyport/0000000000000000",
		TLSVersion:       "TLSv1.2",
		CipherSuite:      "ECDHE-RSA-AES128-GCM-SHA256",
		KeyExchange:      "secp256r1",
		HandshakeLatency: 4*time.Second + 36*time.Millisecond,
		LeafSubject:      "CN=amazondomains.com,O=endEntity,L=Seattle,ST=Washington,C=US",
		LeafValidity:     "NotBefore=2023-09-21T22:43:21Z;NotAfter=2026-06-17T22:43:21Z",
		LeafSerial:       "FEF257372D5C14D4",
		Status:           reason.Success,
	}
}

func full() Record {
	r := admitted()
	r.Elapsed = 4*time.Second + 40*time.Millisecond + 7*time.Microsecond
	r.Peer = netip.MustParseAddrPort("10.0.0.9:41000")
	r.Listener = "public"
	r.Resumed = true
	r.ServerName = "api.example.com"
	r.ALPN = "h2"
	r.JA4 = "t13d1516h2_8daaf6152771_e5627efa2ab1"
	r.ServerCertificate = "api"
	r.Mode = "verify"
	r.TrustStore = "partners"
	r.TrustStoreGeneration = 12
	r.PresentedCertificates = 2
	r.LeafIssuer = "CN=issuing,O=endEntity,C=US"
	r.LeafSHA256 = [32]byte{0xAB, 31: 0x01}
	r.Authenticated = true
	r.Cause = "ends after 3 of 4 certificates"
	r.Plugin = "ou-policy"
	r.Ignored = reason.ClientCertExpired
	r.Trace = w3c.TraceID{0x31, 15: 0xfe}
	return r
}

func records() map[string]Record {
	untrusted := admitted()
	untrusted.Status = reason.ClientCertUntrusted
	untrusted.Cause = `build chain of "CN=amazondomains.com": no path to an anchor of partners`

	hostile := full()
	hostile.Authenticated, hostile.Resumed, hostile.Ignored = false, false, 0
	hostile.Status = reason.ClientCertUntrusted
	hostile.LeafSubject = "CN=\" - - Success TID_0\r\n2023-10-04T17:05:15.514108Z 198.51.100.1 \\x22,O=é\u202e\x7f\xff\x00"
	hostile.LeafIssuer = "CN=</script>\u2028&\U000e0041"
	hostile.LeafValidity = "NotBefore=a b\tc"
	hostile.LeafSerial = "00 11\""
	hostile.ServerName = "a b\x1b[2J\"}\n{\"event\":\"end\""
	hostile.LoadBalancer = "app/my edge/1"
	hostile.Cause = "\xc3\x28 \u0085"

	long := admitted()
	long.Status = reason.ClientCertInvalid
	long.LeafSubject = "CN=" + strings.Repeat("x", 5000)
	long.LeafSerial = strings.Repeat("F0", 5000)
	long.Cause = strings.Repeat("é", 3000)

	refused := Record{
		Time:   admitted().Time,
		Client: netip.MustParseAddrPort("[::ffff:203.0.113.1]:36280"),
		Server: netip.MustParseAddrPort("[2001:db8::7]:8443"),
		Status: reason.LimitExceeded,
	}

	linkLocal := refused
	linkLocal.Client = netip.MustParseAddrPort("[fe80::1%eth0]:36280")

	modeOff := refused
	modeOff.Status = reason.Success
	modeOff.TLSVersion = "TLSv1.3"
	modeOff.CipherSuite = "TLS_AES_128_GCM_SHA256"
	modeOff.KeyExchange = "X25519MLKEM768"
	modeOff.HandshakeLatency = 1499 * time.Microsecond
	modeOff.Mode = "off"

	plaintext := refused
	plaintext.Plaintext = true
	plaintext.Status = reason.Success
	plaintext.HandshakeLatency = time.Second

	plaintextRefused := plaintext
	plaintextRefused.Status = reason.ProxyProtocolError

	return map[string]Record{
		"zero":              {},
		"admitted":          admitted(),
		"full":              full(),
		"untrusted":         untrusted,
		"hostile":           hostile,
		"long":              long,
		"refused":           refused,
		"link-local":        linkLocal,
		"mode-off":          modeOff,
		"plaintext":         plaintext,
		"plaintext-refused": plaintextRefused,
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	name = filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(name, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Error(diff)
	}
}

func TestGolden(t *testing.T) {
	for name, r := range records() {
		t.Run(name, func(t *testing.T) {
			golden(t, name, r.AppendJSON(r.AppendALB(nil)))
			checkALB(t, &r)
			checkJSON(t, &r)
		})
	}
}

// The samples of AWS's page, but for the three fields that it has gained since.
func TestALBSamples(t *testing.T) {
	r := admitted()
	want := `2023-10-04T17:05:15.514108Z 203.0.113.1 36280 443 TLSv1.2 ECDHE-RSA-AES128-GCM-SHA256 4.036 "CN=amazondomains.com,O=endEntity,L=Seattle,ST=Washington,C=US" NotBefore=2023-09-21T22:43:21Z;NotAfter=2026-06-17T22:43:21Z FEF257372D5C14D4 Success TID_3180a73013c8ca4bac2f731159d4b0fe`
	if got, _ := strings.CutSuffix(string(r.AppendALB(nil)), " secp256r1 app/sallyport/0000000000000000 192.0.2.7\n"); got != want {
		t.Error(cmp.Diff(want, got))
	}
	r.Status = reason.ClientCertUntrusted
	r.TraceID = "TID_1c71a68d70587445ad5127ff8b2687d7"
	want = `2023-10-04T17:05:15.514108Z 203.0.113.1 36280 443 TLSv1.2 ECDHE-RSA-AES128-GCM-SHA256 - "CN=amazondomains.com,O=endEntity,L=Seattle,ST=Washington,C=US" NotBefore=2023-09-21T22:43:21Z;NotAfter=2026-06-17T22:43:21Z FEF257372D5C14D4 Failed:ClientCertUntrusted TID_1c71a68d70587445ad5127ff8b2687d7`
	if got, _ := strings.CutSuffix(string(r.AppendALB(nil)), " secp256r1 app/sallyport/0000000000000000 192.0.2.7\n"); got != want {
		t.Error(cmp.Diff(want, got))
	}
}

func TestEveryReasonIsPrinted(t *testing.T) {
	for _, code := range reason.All() {
		want := "Failed:" + code.String()
		if code == reason.Success {
			want = "Success"
		}
		r := Record{Status: code}
		if got := fields(t, r.AppendALB(nil))[10]; got != want {
			t.Errorf("ALB: %s, want %s", got, want)
		}
		if back := checkJSON(t, &r); back.Status != code {
			t.Errorf("JSON: %s, want %s", back.Status, code)
		}
	}
}

// texts is what Ring bounds: a string that it forgets is not bounded.
func TestTextsAreAllStrings(t *testing.T) {
	var r Record
	for _, text := range r.texts() {
		*text = "x"
	}
	for v, i := reflect.ValueOf(r), 0; i < v.NumField(); i++ {
		if v.Field(i).Kind() == reflect.String && v.Field(i).String() != "x" {
			t.Errorf("texts leaves out %s", v.Type().Field(i).Name)
		}
	}
}

// A field that AppendJSON or UnmarshalJSON forgets comes back empty.
func TestJSONHasEveryField(t *testing.T) {
	r := full()
	for v, i := reflect.ValueOf(r), 0; i < v.NumField(); i++ {
		if name := v.Type().Field(i).Name; v.Field(i).IsZero() && name != "Plaintext" {
			t.Errorf("the test's record leaves out %s", name)
		}
	}
	if back := checkJSON(t, &r); back.TraceID == "" {
		t.Error("nothing came back")
	}
	plain := Record{Plaintext: true, Status: reason.Success}
	if back := checkJSON(t, &plain); !back.Plaintext {
		t.Error("plaintext is lost")
	}
}

func TestMarshalJSON(t *testing.T) {
	r := full()
	list, err := json.Marshal([]Record{r})
	if err != nil {
		t.Fatal(err)
	}
	if want := "[" + strings.TrimSuffix(string(r.AppendJSON(nil)), "\n") + "]"; string(list) != want {
		t.Error(cmp.Diff(want, string(list)))
	}
	one, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	if string(list) != "["+string(one)+"]" {
		t.Error("a record prints differently on its own")
	}
}

func TestUnmarshalJSONErrors(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{`{}`, `parse connection record: event "": want connection`},
		{`{"event":"connection","otel_trace_id":"31"}`, `parse connection record: otel_trace_id "31": want 32 hexadecimal digits`},
		{`{"event":"end"}`, `parse connection record: event "end": want connection`},
		{`{"event":"connection","leaf_client_cert_sha256":"abc"}`, `parse connection record: leaf_client_cert_sha256 "abc": want 64 hexadecimal digits`},
		{`{"event":"connection","reason":"Nonesuch"}`, `parse connection record: parse reason code "Nonesuch": want one of those documented in edge/reason`},
		{`{"event":"connection","client_port":70000}`, `parse connection record: json: `},
	} {
		r := Record{TraceID: "kept"}
		err := json.Unmarshal([]byte(test.text), &r)
		if err == nil || !strings.HasPrefix(err.Error(), test.want) {
			t.Errorf("%s: %v, want %s", test.text, err, test.want)
		}
		if r.TraceID != "kept" {
			t.Errorf("%s: the record is half read", test.text)
		}
	}
}
