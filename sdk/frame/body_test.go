package frame

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
)

// build makes a body of alternating tags and values: strings, and ints as numbers.
func build(pairs ...any) (b []byte) {
	for i := 0; i < len(pairs); i += 2 {
		tag := pairs[i].(Tag)
		switch v := pairs[i+1].(type) {
		case int:
			b = AppendUint(b, tag, uint64(v))
		case string:
			b = AppendString(b, tag, v)
		}
	}
	return b
}

// repeat builds n fields.
func repeat(n int, tag Tag, value func(i int) string) (b []byte) {
	for i := range n {
		b = AppendString(b, tag, value(i))
	}
	return b
}

func numbered(prefix string) func(int) string {
	return func(i int) string { return prefix + strings.Repeat("a", i) }
}

func hello(more ...any) []byte {
	return build(append([]any{TagProtocol, 1, TagName, "p", TagHook, "request"}, more...)...)
}

func TestMalformedBodies(t *testing.T) {
	allow := []any{TagDecision, 1}
	verdict := func(more ...any) []byte { return build(append(allow, more...)...) }
	for _, c := range []struct {
		what string
		kind Type
		body []byte
		want string
	}{
		{"no protocol", Hello, build(TagName, "p", TagHook, "request"), "no version of the protocol"},
		{"protocol 0", Hello, hello(TagProtocol, 0), "want 1 to"},
		{"too many protocols", Hello, append(hello(), build(many(TagProtocol, 16)...)...), "more than 16"},
		{"no name", Hello, build(TagProtocol, 1, TagHook, "request"), `name ""`},
		{"name of two words", Hello, build(TagProtocol, 1, TagHook, "request", TagName, "a b"), `name "a b"`},
		{"two names", Hello, hello(TagName, "q"), "tag 2 twice"},
		{"long name", Hello, build(TagProtocol, 1, TagHook, "request", TagName, strings.Repeat("a", 129)), "129 bytes"},
		{"version that does not print", Hello, hello(TagVersion, "1\x1b[2J"), "not printable"},
		{"no hook", Hello, build(TagProtocol, 1, TagName, "p"), "no hook"},
		{"unknown hook", Hello, hello(TagHook, "body"), `hook "body"`},
		{"hook twice", Hello, hello(TagHook, "request"), `hook "request"`},
		{"unknown need", Hello, hello(TagNeed, "cert.age"), `need "cert.age": no such field`},
		{"need twice", Hello, hello(TagNeed, "header:A", TagNeed, "header:a"), `field "header:a" twice`},
		{"too many needs", Hello, append(hello(), repeat(65, TagNeed, numbered("header:a"))...), "more than 64 fields"},
		{"owned header with a space", Hello, hello(TagOwns, "a b"), `owned header "a b"`},
		{"owned header twice", Hello, hello(TagOwns, "A", TagOwns, "a"), `owned header "a"`},
		{"too many owned headers", Hello, append(hello(), repeat(33, TagOwns, numbered("a"))...), "more than 32"},
		{"concurrency 0", Hello, hello(TagConcurrency, 0), "want 1 to 1024"},
		{"concurrency 1025", Hello, hello(TagConcurrency, 1025), "want 1 to 1024"},
		{"short frames", Hello, hello(TagMaxFrame, MinMax-1), "want 32768 to"},
		{"long frames", Hello, hello(TagMaxFrame, HardMax+1), "to 1048576"},
		{"number of four bytes", Hello, hello(TagConcurrency, "\x01\x00\x00\x00"), "number of 4 bytes"},
		{"field of a verdict", Hello, hello(TagDecision, 1), "tag 16 does not belong here"},
		{"cut short", Hello, hello()[:20], "bytes where"},

		{"no protocol", Configure, build(TagConfig, "{}"), "no version"},
		{"two configurations", Configure, build(TagProtocol, 1, TagConfig, "{}", TagConfig, "{}"), "twice"},
		{"error that does not print", Configured, build(TagError, "a\nb"), "not printable"},
		{"long error", Configured, build(TagError, strings.Repeat("a", MaxError+1)), "4097 bytes"},
		{"unknown field", Configured, build(TagName, "p"), "does not belong"},

		{"decision twice", Verdict, verdict(TagDecision, 1), "twice"},
		{"status of an allow", Verdict, verdict(TagStatus, 403), "status 403 of an allow"},
		{"status 399", Verdict, build(TagDecision, 2, TagStatus, 399), "want 400 to 599"},
		{"status 600", Verdict, build(TagDecision, 2, TagStatus, 600), "want 400 to 599"},
		{"long reason", Verdict, verdict(TagReason, strings.Repeat("a", MaxReason+1)), "1025 bytes"},
		{"reason with a line feed", Verdict, verdict(TagReason, "a\nb"), "not printable"},
		{"reason that turns the text", Verdict, verdict(TagReason, "a\u202eb"), "not printable"},
		{"reason that is no UTF-8", Verdict, verdict(TagReason, "a\xff"), "not printable"},
		{"header without a value", Verdict, verdict(TagSetHeader, "X-A"), "zero byte"},
		{"header without a name", Verdict, verdict(TagSetHeader, "\x00a"), `header ""`},
		{"header with a space", Verdict, verdict(TagAddHeader, "X A\x00a"), `header "X A"`},
		{"header with a colon", Verdict, verdict(TagAddHeader, "X:\x00a"), `header "X:"`},
		{"value with CR", Verdict, verdict(TagSetHeader, "A\x00a\rb"), "CR, LF or NUL"},
		{"value with LF", Verdict, verdict(TagAddHeader, "A\x00a\n"), "CR, LF or NUL"},
		{"value with NUL", Verdict, verdict(TagSetHeader, "A\x00a\x00"), "CR, LF or NUL"},
		{"removed with a value", Verdict, verdict(TagRemoveHeader, "A\x00a"), `header "A\x00a"`},
		{"too many edits", Verdict, append(verdict(), repeat(33, TagRemoveHeader, numbered("a"))...), "more than 32 edits"},
		{"too long edits", Verdict, append(verdict(), repeat(3, TagSetHeader, numbered("A\x00"+strings.Repeat("b", 3000)))...), "8192 bytes"},
		{"ttl over a day", Verdict, verdict(TagTTL, 24*3600*1000+1), "to 86400000"},
		{"ttl 2^64-1", Verdict, verdict(TagTTL, -1), "to 86400000"},
		{"depends on what there is not", Verdict, verdict(TagDepends, "cert.age"), "no such field"},
		{"depends twice", Verdict, verdict(TagDepends, "cert.der", TagDepends, "cert.der"), "twice"},
		{"depends on nothing and something", Verdict, verdict(TagDepends, "", TagDepends, "cert.der"), "nothing and"},
		{"depends on nothing twice", Verdict, verdict(TagDepends, "", TagDepends, ""), "twice"},
		{"ban 0", Verdict, verdict(TagBan, 0), "want 1 to 100"},
		{"ban 101", Verdict, verdict(TagBan, 101), "want 1 to 100"},
		{"unknown field", Verdict, verdict(TagLimit, ""), "does not belong"},

		{"short hash", Invalidate, build(TagLeaf, "abc"), "leaf of 3 bytes"},
		{"two leaves", Invalidate, build(TagLeaf, strings.Repeat("a", 32), TagLeaf, strings.Repeat("a", 32)), "twice"},
		{"unknown field", Invalidate, build(TagName, "p"), "does not belong"},

		{"level 5", Log, build(TagLevel, 5), "want 1 to 4"},
		{"level 0", Log, build(TagLevel, 0), "want 1 to 4"},
		{"fact without a key", Log, build(TagAttr, "\x00a"), "a key"},
		{"fact without a value", Log, build(TagAttr, "a"), "a key"},
		{"too many facts", Log, repeat(33, TagAttr, numbered("a\x00")), "at most 32"},
		{"too long", Log, build(TagMessage, strings.Repeat("a", MaxMessage+1)), "more than 8192 bytes"},
		{"unknown field", Log, build(TagName, "p"), "does not belong"},
	} {
		if _, err := parseBody(Frame{c.kind, 0, c.body}); !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, %s: error %v: want %q in it", c.kind, c.what, err, c.want)
		}
	}
}

func many(tag Tag, n int) (pairs []any) {
	for i := range n {
		pairs = append(pairs, tag, i+1)
	}
	return pairs
}

func TestDefaultsOfHello(t *testing.T) {
	h, err := ParseHello(hello(TagNeed, "header:X-A", TagOwns, "X-B"))
	want := HelloBody{Protocols: []uint32{1}, Name: "p", Hooks: HookRequest, Needs: []string{"header:x-a"},
		Owns: []string{"x-b"}, Concurrency: 1, MaxFrame: DefaultMax}
	if err != nil || !reflect.DeepEqual(h, want) {
		t.Errorf("%+v, error %v: want %+v", h, err, want)
	}
}

// TestWhatDenies holds that nothing but one number allows.
func TestWhatDenies(t *testing.T) {
	for _, body := range [][]byte{nil, build(TagDecision, 0), build(TagDecision, 2), build(TagDecision, 3),
		build(TagDecision, 257), build(TagDecision, 1<<32+1), build(TagReason, "a")} {
		if v, err := ParseVerdict(body); err != nil || v.Decision != Deny || v.Status != DefaultDenyStatus {
			t.Errorf("body % x: %+v, error %v", body, v, err)
		}
	}
	if v, err := ParseVerdict((&VerdictBody{}).Append(nil)); err != nil || v.Decision != Deny {
		t.Errorf("the zero verdict: %+v, error %v", v, err)
	}
	if v, err := ParseVerdict((&VerdictBody{Decision: 77}).Append(nil)); err != nil || v.Decision != Deny {
		t.Errorf("decision 77: %+v, error %v", v, err)
	}
}

func TestVerdictAsItWasMade(t *testing.T) {
	everything := VerdictBody{
		Decision: Allow, Reason: "größer als 3", TTL: 90 * time.Second, Ban: 100,
		Edits:   []Edit{{SetHeader, "X-A", "\xff\t"}, {RemoveHeader, "X-B", ""}, {AddHeader, "X-A", ""}, {SetHeader, "X-C", "c"}},
		Depends: []string{"cert.uris", "header:x-tenant"},
	}
	nobody := VerdictBody{Decision: Deny, Status: 503, Depends: []string{}, TTL: MaxTTL}
	for _, want := range []VerdictBody{everything, nobody, {Decision: Allow}} {
		body := want.Append(nil)
		got, err := ParseVerdict(body)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%+v, error %v: want %+v", got, err, want)
		}
		for i := range body {
			body[i] = 0xAA
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("the verdict points into the bytes that it was read from: %+v", got)
		}
	}
}

func TestConfigureOfANewerHost(t *testing.T) {
	c, err := ParseConfigure(build(TagProtocol, 1, TagLimit, "new", TagConfig, "{}"))
	if err != nil || string(c.Config) != "{}" || c.MaxFrame != DefaultMax {
		t.Errorf("%+v, error %v", c, err)
	}
}

func TestEmptyErrorIsAnError(t *testing.T) {
	if c, err := ParseConfigured(build(TagError, "")); err != nil || c.Error == "" {
		t.Errorf("%+v, error %v", c, err)
	}
}

// TestLongestOfAPlugin holds that whatever a plugin may send fits a frame of the
// least length that it may have asked for.
func TestLongestOfAPlugin(t *testing.T) {
	name := func(i int) string {
		return strings.Repeat("a", MaxName-2) + string(rune('A'+i/26)) + string(rune('a'+i%26))
	}
	v := VerdictBody{Decision: Deny, Status: 403, Reason: strings.Repeat("a", MaxReason), TTL: MaxTTL, Ban: MaxBan}
	for i := range MaxEdits {
		v.Edits = append(v.Edits, Edit{SetHeader, name(i), strings.Repeat("b", MaxEditBytes/MaxEdits-MaxName)})
	}
	for i := range MaxNeeds {
		v.Depends = append(v.Depends, "response_header:"+strings.ToLower(name(i % 26))[:MaxName-2]+string(rune('0'+i/8))+string(rune('0'+i%8)))
	}
	h := HelloBody{Protocols: make([]uint32, maxProtocols), Name: name(0), Version: name(0), Hooks: 31, Needs: v.Depends, Concurrency: 1, MaxFrame: MinMax}
	for i := range h.Protocols {
		h.Protocols[i] = 1
	}
	for i := range MaxOwned {
		h.Owns = append(h.Owns, strings.Repeat("a", MaxName-i))
	}
	for kind, body := range map[Type]interface{ Append([]byte) []byte }{Verdict: &v, Hello: &h} {
		b := End(body.Append(Begin(nil, kind, uint32(b2i(kind == Verdict)))), 0)
		f, n, err := Parse(b, MinMax)
		if n == 0 || err != nil {
			t.Fatalf("%v of %d bytes: error %v", kind, len(b), err)
		}
		if _, err := parseBody(f); err != nil {
			t.Errorf("%v at every bound: %v", kind, err)
		}
	}
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}
