package w3c

import (
	"strings"
	"testing"
)

const example = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01" // the specification's

func TestParse(t *testing.T) {
	c, ok := Parse(example)
	if !ok || c.Trace.String() != "4bf92f3577b34da6a3ce929d0e0e4736" || c.Span.String() != "00f067aa0ba902b7" || !c.Sampled {
		t.Errorf("%s: %v %v", example, c, ok)
	}
	for text, sampled := range map[string]bool{
		strings.TrimSuffix(example, "01") + "00":                 false,
		strings.TrimSuffix(example, "01") + "02":                 false,
		strings.TrimSuffix(example, "01") + "ff":                 true,
		"cc" + strings.TrimPrefix(example, "00"):                 true,
		"cc" + strings.TrimPrefix(example, "00") + "-what-else.": true,
	} {
		if c, ok := Parse(text); !ok || c.Sampled != sampled {
			t.Errorf("%s: %v, sampled %v, want %v", text, ok, c.Sampled, sampled)
		}
	}
	for _, text := range []string{
		"", "00", example[:54], example + "-", example + "0", example + " ", " " + example,
		"ff" + example[2:], "0x" + example[2:], strings.ToUpper(example),
		"cc" + example[2:] + "x",
		strings.Replace(example, "4bf92f3577b34da6a3ce929d0e0e4736", strings.Repeat("0", 32), 1),
		strings.Replace(example, "00f067aa0ba902b7", strings.Repeat("0", 16), 1),
		strings.ReplaceAll(example, "-", "_"),
		strings.Replace(example, "a6", "g6", 1),
		strings.Replace(example, "-01", "-0x", 1),
	} {
		if c, ok := Parse(text); ok || c != (Context{}) {
			t.Errorf("%q was taken: %v", text, c)
		}
	}
}

func TestAppendTraceparent(t *testing.T) {
	s := Span{Trace: NewTraceID(), ID: NewSpanID(), Target: NewSpanID(), Sampled: true}
	text := string(s.AppendTraceparent([]byte("x: ")))
	c, ok := Parse(strings.TrimPrefix(text, "x: "))
	if !ok || c.Trace != s.Trace || c.Span != s.Target || !c.Sampled {
		t.Errorf("%s: %v", text, c)
	}
	s.Sampled = false
	if c, _ := Parse(string(s.AppendTraceparent(nil))); c.Sampled || c.Trace != s.Trace {
		t.Errorf("not sampled: %v", c)
	}
	if NewTraceID() == s.Trace || NewSpanID() == s.ID {
		t.Error("ids are not random")
	}
}

func TestValidState(t *testing.T) {
	long := strings.Repeat("x", 256)
	for state, want := range map[string]bool{
		"rojo=00f067aa0ba902b7,congo=t61rcWkgMzE":  true,
		"rojo=1, congo=2\t,,":                      true,
		"fw529a3039@dt=FfMZDH8pn,0a/b*c_d-e= x y!": true,
		long + "=" + long:                          true,
		strings.Repeat("a=1,", 32):                 true,
		strings.Repeat("a=1,", 33):                 false,
		"":                                         false,
		",":                                        false,
		"rojo":                                     false,
		"rojo=":                                    false,
		"=1":                                       false,
		"Rojo=1":                                   false,
		"ro jo=1":                                  false,
		"rojo=1=2":                                 false,
		"rojo=\x01":                                false,
		"rojo=é":                                   false,
		"rojo=1\r\nx: y":                           false,
		long + "x=1":                               false,
		"a=" + long + "x":                          false,
		strings.Repeat("a="+long+",", 8):           false, // more bytes than go on
	} {
		if got := ValidState(state); got != want {
			t.Errorf("%.60q: %v, want %v", state, got, want)
		}
	}
}

// What was taken can be printed, is read again as the same, and can do no harm in
// a header.
func FuzzParse(f *testing.F) {
	f.Add(example, "rojo=1")
	f.Add("cc"+example[2:]+"-more", "a=b,c=d")
	f.Add("00-0-0-0", "=")
	f.Fuzz(func(t *testing.T, parent, state string) {
		if c, ok := Parse(parent); ok {
			s := Span{Trace: c.Trace, Target: c.Span, Sampled: c.Sampled}
			if again, ok := Parse(string(s.AppendTraceparent(nil))); !ok || again != c {
				t.Errorf("%q: %v, printed and read again %v", parent, c, again)
			}
		}
		if ValidState(state) && strings.ContainsAny(state, "\r\n\x00") {
			t.Errorf("%q was taken", state)
		}
	})
}
