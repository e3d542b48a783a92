package jsonline

import (
	"encoding/json"
	"math"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unicode"
)

func FuzzText(f *testing.F) {
	for _, seed := range []string{"", "plain", "quote \" and \\", "line\r\nbreak", "\x1b[31m", "\u202eesrever", "\xff\xfe", "\U000E0001", "é"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		line := Begin(nil).Text("a", value).Mention("b", value).End()
		if n := strings.Count(string(line), "\n"); n != 1 || line[len(line)-1] != '\n' {
			t.Fatalf("%d lines: %q", n, line)
		}
		for _, r := range string(line[:len(line)-1]) {
			if !unicode.IsPrint(r) {
				t.Fatalf("%U is not escaped: %q", r, line)
			}
		}
		var got map[string]any
		if err := json.Unmarshal(line, &got); err != nil {
			t.Fatalf("%v: %q", err, line)
		}
		want := strings.ToValidUTF8(value, "\uFFFD")
		if text, _ := got["a"].(string); strings.ReplaceAll(text, "\uFFFD", "") != strings.ReplaceAll(want, "\uFFFD", "") {
			t.Fatalf("%q came back as %q", value, text)
		}
		if _, there := got["b"]; there != (value != "") {
			t.Fatalf("mention of %q: %v", value, there)
		}
	})
}

func TestMembers(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 678_901_000, time.FixedZone("", 3600))
	got := string(Begin([]byte("before ")).
		Null("null").
		Flag("yes", true).Flag("no", false).
		Number("number", -7).
		Milliseconds("seconds", 1500*time.Microsecond).
		Milliseconds("rounded", 999_500*time.Microsecond).
		Microseconds("negative", -1500*time.Millisecond).
		Microseconds("least", math.MinInt64).
		Nanoseconds("nanoseconds", 19_584_011).
		Time("time", at).
		Addr("mapped", netip.MustParseAddrPort("[::ffff:192.0.2.1]:9")).
		Addr("zone", netip.MustParseAddrPort(`[fe80::1%e"]:9`)).
		Addr("none", netip.AddrPort{}).
		Port("port", netip.MustParseAddrPort("192.0.2.1:9")).
		Port("noport", netip.AddrPort{}).
		End())
	const want = `before {"null":null,"yes":true,"number":-7,"seconds":0.002,"rounded":1.000,"negative":-1.500000,"least":-9223372036.854775,"nanoseconds":0.019584011,"time":"2026-01-02T02:04:05.678901Z",` +
		`"mapped":"192.0.2.1","zone":"fe80::1%e\"","none":null,"port":9,"noport":null}` + "\n"
	if got != want {
		t.Errorf("got  %swant %s", got, want)
	}
}

func TestNoAllocations(t *testing.T) {
	buffer := make([]byte, 0, 1024)
	address := netip.MustParseAddrPort("192.0.2.1:9")
	now := time.Now()
	if n := testing.AllocsPerRun(100, func() {
		Begin(buffer).Text("a", "va\"lue").Number("n", 1).Time("t", now).Addr("i", address).Microseconds("s", time.Second).End()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
