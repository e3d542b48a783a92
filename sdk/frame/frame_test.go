package frame

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"
)

// corrupt changes one byte of a PING.
func corrupt(at int, value byte) []byte {
	b := Append(nil, Ping, 7)
	b[at] = value
	return b
}

func TestMalformedFrames(t *testing.T) {
	for name, c := range map[string]struct {
		bytes []byte
		want  string
	}{
		"length too small":           {corrupt(0, 7), "length 7"},
		"length too great":           {binary.LittleEndian.AppendUint32(nil, DefaultMax+1), "length 262145"},
		"greatest length":            {[]byte{255, 255, 255, 255}, "length 4294967295"},
		"type 0":                     {corrupt(4, 0), "type 0"},
		"type after the last":        {corrupt(4, byte(Log)+1), "type 15"},
		"flags":                      {corrupt(5, 1), "flags 0x010000"},
		"reserved byte":              {corrupt(6, 1), "flags 0x000100"},
		"last reserved byte":         {corrupt(7, 128), "flags 0x000080"},
		"call without an id":         {Append(nil, Request, 0), "REQUEST with id 0"},
		"verdict without an id":      {Append(nil, Verdict, 0), "VERDICT with id 0"},
		"HELLO with an id":           {Append(nil, Hello, 1), "HELLO with id 1"},
		"flags of half a long frame": {append(binary.LittleEndian.AppendUint32(nil, 1000), byte(Ping), 1, 0, 0, 1, 0, 0, 0), "flags"},
	} {
		f, n, err := Parse(c.bytes, DefaultMax)
		if n != 0 || !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v of %d bytes, error %v: want %q in it", name, f.Type, n, err, c.want)
		}
	}
}

func TestPartsOfAFrame(t *testing.T) {
	whole := End(AppendString(Begin(nil, Request, 9), TagPath, "/a"), 0)
	for cut := range whole {
		if f, n, err := Parse(whole[:cut], DefaultMax); n != 0 || err != nil || f.Body != nil {
			t.Errorf("%d of %d bytes: %d bytes parsed, body %q, error %v", cut, len(whole), n, f.Body, err)
		}
	}
	f, n, err := Parse(append(whole, "more"...), DefaultMax)
	if err != nil || n != len(whole) || f.Type != Request || f.ID != 9 || len(f.Body) != n-HeaderSize {
		t.Errorf("with more behind it: %+v of %d bytes, error %v", f, n, err)
	}
	if cap(f.Body) != len(f.Body) {
		t.Error("to append to the body would write over the next frame")
	}
}

func TestTheLongestFrame(t *testing.T) {
	b := Begin(nil, Request, 1)
	b = AppendField(b, TagPath, make([]byte, MinMax-headRest-fieldHead))
	b = End(b, 0)
	if _, n, err := Parse(b, MinMax); n != len(b) || err != nil {
		t.Errorf("at the bound: %d of %d bytes, error %v", n, len(b), err)
	}
	if _, _, err := Parse(b, MinMax-1); !errors.Is(err, ErrMalformed) {
		t.Errorf("over the bound: error %v", err)
	}
}

// TestEndLeavesOthersAlone appends two frames to one buffer.
func TestEndLeavesOthersAlone(t *testing.T) {
	b := Append(nil, Ping, 1)
	start := len(b)
	b = End(AppendUint(Begin(b, Connection, 2), TagClientPort, 1<<40), start)
	first, n, err := Parse(b, DefaultMax)
	if err != nil || first.Type != Ping || first.ID != 1 {
		t.Fatalf("first: %+v, error %v", first, err)
	}
	second, m, err := Parse(b[n:], DefaultMax)
	if err != nil || second.Type != Connection || second.ID != 2 || n+m != len(b) {
		t.Fatalf("second: %+v, error %v", second, err)
	}
	it := second.Fields()
	_, value, _ := it.Next()
	if port, ok := Uint(value); port != 1<<40 || !ok {
		t.Errorf("number %d, %v", port, ok)
	}
}

func TestMalformedFields(t *testing.T) {
	for name, body := range map[string]string{
		"one byte":              "\x01",
		"no length":             "\x01\x00\x01\x00\x00",
		"value too short":       "\x01\x00\x02\x00\x00\x00a",
		"length beyond 2^31":    "\x01\x00\xff\xff\xff\xffa",
		"second is cut short":   "\x01\x00\x00\x00\x00\x00\x02\x00\x01\x00\x00\x00",
		"byte behind the first": "\x01\x00\x00\x00\x00\x00\x00",
	} {
		it := FieldsOf([]byte(body))
		for _, _, ok := it.Next(); ok; _, _, ok = it.Next() {
		}
		if !errors.Is(it.Err(), ErrMalformed) {
			t.Errorf("%s: error %v", name, it.Err())
		}
		if _, _, ok := it.Next(); ok {
			t.Errorf("%s: goes on after the error", name)
		}
	}
}

func TestDirections(t *testing.T) {
	plugin := map[Type]bool{Hello: true, Configured: true, Verdict: true, Invalidate: true, Pong: true, Log: true}
	for kind := Hello; kind <= Log; kind++ {
		if kind.FromPlugin() != plugin[kind] {
			t.Errorf("%v: from the plugin: %v", kind, kind.FromPlugin())
		}
	}
	if Type(0).FromPlugin() || Type(99).FromPlugin() {
		t.Error("unknown types come from the plugin")
	}
}

func TestNeeds(t *testing.T) {
	for name, want := range map[string]Need{
		"cert.der":                     {Tag: TagCertDER},
		"headers":                      {Tag: TagHeader},
		"response_headers":             {Tag: TagResponseHeader},
		"header:X-Tenant":              {TagHeader, "x-tenant"},
		"response_header:Content-Type": {TagResponseHeader, "content-type"},
	} {
		got, err := ParseNeed(name)
		if got != want || err != nil {
			t.Errorf("%s: %+v, error %v", name, got, err)
		}
		if again, err := ParseNeed(got.String()); again != want || err != nil {
			t.Errorf("%s, printed as %s: %+v, error %v", name, got, again, err)
		}
	}
	for _, name := range []string{"", "cert", "cert.der ", "CERT.DER", "header", "header:", "header:a b", "headers:a",
		"response:a", ":a", "header:a\n", "header:" + strings.Repeat("a", 129), "tag 513"} {
		if got, err := ParseNeed(name); !errors.Is(err, ErrMalformed) {
			t.Errorf("%q: %+v, error %v", name, got, err)
		}
	}
}

func TestHeaderNamesAreSentInLowerCase(t *testing.T) {
	b := AppendHeader(nil, TagHeader, "X-Tenant_ÄA", []byte("VALUE"))
	name, value, ok := Pair(b[fieldHead:])
	if string(name) != "x-tenant_Äa" || string(value) != "VALUE" || !ok {
		t.Errorf("name %q, value %q, %v", name, value, ok)
	}
}

func TestAppendAndParseDoNotAllocate(t *testing.T) {
	room := make([]byte, 0, 4096)
	v := VerdictBody{Decision: Allow, TTL: 1e9}
	if n := testing.AllocsPerRun(100, func() {
		b := Begin(room, Request, 1)
		b = AppendString(b, TagMethod, "GET")
		b = AppendBool(b, TagCertVerified, true)
		b = AppendHeader(b, TagHeader, "X-Tenant", "a")
		b = End(b, 0)
		f, _, err := Parse(b, DefaultMax)
		if err != nil {
			t.Fatal(err)
		}
		it := f.Fields()
		for _, _, ok := it.Next(); ok; _, _, ok = it.Next() {
		}
	}); n != 0 {
		t.Errorf("a call: %v allocations", n)
	}
	if n := testing.AllocsPerRun(100, func() {
		b := End(v.Append(Begin(room, Verdict, 1)), 0)
		f, _, _ := Parse(b, DefaultMax)
		if got, err := ParseVerdict(f.Body); err != nil || got.Decision != Allow {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("a plain verdict: %v allocations", n)
	}
}
