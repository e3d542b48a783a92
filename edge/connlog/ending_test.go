package connlog

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"testing"
	"time"
)

func TestEndingGolden(t *testing.T) {
	endings := []Ending{
		{},
		{
			Time: admitted().Time, TraceID: admitted().TraceID, Client: admitted().Client, Listener: "public",
			End: Revoked, Cause: "listed by issuing.crl, number 17",
			Duration:      3*time.Hour + 1500*time.Microsecond,
			BytesReceived: 1234, BytesSent: 1 << 40, Requests: 12,
		},
		{
			Listener: "a\"b\\\n", Cause: "read tcp: \x1b[2J\xff", End: 250,
			Client: netip.MustParseAddrPort("[::ffff:203.0.113.1]:1"), Duration: -1, BytesSent: -1,
		},
	}
	var all []byte
	for i := range endings {
		before := len(all)
		all = endings[i].AppendJSON(all)
		line := all[before:]
		if !json.Valid(line) || bytes.IndexByte(line, '\n') != len(line)-1 {
			t.Errorf("not a line of JSON: %q", line)
		}
		marshalled, err := json.Marshal(endings[i])
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(marshalled, bytes.TrimSuffix(line, []byte("\n"))) {
			t.Errorf("marshalled %s, appended %s", marshalled, line)
		}
	}
	golden(t, "endings", all)
}

func TestEnds(t *testing.T) {
	var zero End
	if zero != Error {
		t.Error("the zero End is not Error")
	}
	seen := map[string]bool{}
	for _, end := range Ends() {
		text, err := end.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		if len(text) == 0 || seen[string(text)] {
			t.Errorf("end %d has the name %q", end, text)
		}
		seen[string(text)] = true
		back := End(255)
		if err := back.UnmarshalText(text); err != nil || back != end {
			t.Errorf("%s came back as %s, %v", end, back, err)
		}
	}
	if err := new(End).UnmarshalText([]byte("revoked")); err == nil {
		t.Error("an unknown name was taken")
	}
	if got := End(200).String(); got != "Error" {
		t.Errorf("an unknown End prints %q", got)
	}
}

func BenchmarkEndingAppendJSON(b *testing.B) {
	e := Ending{Time: admitted().Time, TraceID: admitted().TraceID, Client: admitted().Client, Listener: "public", End: Idle}
	dst := make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		dst = e.AppendJSON(dst[:0])
	}
}
