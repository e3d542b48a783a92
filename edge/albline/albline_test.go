package albline

import (
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestFields(t *testing.T) {
	at := time.Date(2018, 7, 3, 0, 23, 0, 186_641_999, time.FixedZone("", 2*3600))
	for _, test := range []struct {
		got  Line
		want string
	}{
		{Line{}.None(), "-"},
		{Line{}.Bare(""), "-"},
		{Line{}.Bare("a b\"\\c\x00\x7f\u00e9"), `a\x20b\x22\x5Cc\x00\x7F\xC3\xA9`},
		{Line{}.Quoted(""), `"-"`},
		{Line{}.Quoted("a b\"\\c\r\n"), `"a b\x22\x5Cc\x0D\x0A"`},
		{Line{}.Number(-7), "-7"},
		{Line{}.Code(0), "-"},
		{Line{}.Code(460), "460"},
		{Line{}.Time(at), "2018-07-02T22:23:00.186641Z"},
		{Line{}.Time(time.Time{}), "0001-01-01T00:00:00.000000Z"},
		{Line{}.Time(time.Date(12345, 1, 2, 3, 4, 5, 6000, time.UTC)), "9999-01-02T03:04:05.000006Z"},
		{Line{}.Milliseconds(-1), "-1"},
		{Line{}.Milliseconds(0), "0.000"},
		{Line{}.Milliseconds(499 * time.Microsecond), "0.000"},
		{Line{}.Milliseconds(500 * time.Microsecond), "0.001"},
		{Line{}.Milliseconds(999_500 * time.Microsecond), "1.000"},
		{Line{}.Milliseconds(61*time.Second + 7*time.Millisecond), "61.007"},
		{Line{}.Milliseconds(1<<63 - 1), "9223372036.854"},
		{Line{}.Nanoseconds(19_584_011), "0.019584011"},
		{Line{}.Nanoseconds(-5), "-1"},
		{Line{}.Addr(netip.Addr{}), "-"},
		{Line{}.Addr(netip.MustParseAddr("::ffff:192.0.2.1")), "192.0.2.1"},
		{Line{}.Addr(netip.MustParseAddr("fe80::1%eth 0")), `fe80::1%eth\x200`},
		{Line{}.Port(netip.AddrPort{}), "-"},
		{Line{}.Port(netip.MustParseAddrPort("192.0.2.1:443")), "443"},
		{Line{}.AddrPort(netip.AddrPort{}), "-"},
		{Line{}.AddrPort(netip.MustParseAddrPort("[::ffff:192.0.2.1]:443")), "192.0.2.1:443"},
		{Line{}.AddrPort(netip.MustParseAddrPort("[fe80::1%eth0]:443")), "[fe80::1]:443"},
	} {
		if string(test.got) != test.want {
			t.Errorf("got %s, want %s", test.got, test.want)
		}
	}
}

func TestLine(t *testing.T) {
	line := Begin([]byte("before\n")).Bare("a").Quoted("b c").None().Number(1).End()
	if got, want := string(line), "before\na \"b c\" - 1\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Whatever a value holds, it stays within its field, and can be had back.
func FuzzEscaping(f *testing.F) {
	f.Add("", "")
	f.Add("a \"b\" \\x22", "\r\n\x00\x7f\xff é")
	f.Fuzz(func(t *testing.T, bare, quoted string) {
		line := string(Begin(nil).Bare(bare).Quoted(quoted).End())
		first, rest, _ := strings.Cut(line, " ")
		if got := unescape(t, first); got != bare && (bare != "" || got != "-") {
			t.Errorf("bare %q came back as %q", bare, got)
		}
		if len(rest) < 3 || rest[0] != '"' || strings.IndexByte(rest[1:], '"') != len(rest)-3 || !strings.HasSuffix(rest, "\"\n") {
			t.Fatalf("the quoted field is not the rest of %q", line)
		}
		if got := unescape(t, rest[1:len(rest)-2]); got != quoted && (quoted != "" || got != "-") {
			t.Errorf("quoted %q came back as %q", quoted, got)
		}
	})
}

func unescape(t *testing.T, s string) string {
	t.Helper()
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < ' ' || c > '~' || c == '"' {
			t.Fatalf("byte %#x in %q", c, s)
		}
		if s[i] != '\\' {
			b.WriteByte(s[i])
			continue
		}
		if i+4 > len(s) || s[i+1] != 'x' {
			t.Fatalf("escape in %q", s)
		}
		c, err := strconv.ParseUint(s[i+2:i+4], 16, 8)
		if err != nil {
			t.Fatal(err)
		}
		b.WriteByte(byte(c))
		i += 3
	}
	return b.String()
}

func BenchmarkTime(b *testing.B) {
	dst, now := make([]byte, 0, 64), time.Now()
	b.ReportAllocs()
	for b.Loop() {
		dst = Line(dst[:0]).Time(now)
	}
}
