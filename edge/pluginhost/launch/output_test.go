package launch

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"
)

// 200 KB before a word of go-plugin's: what a program writes must not reach its
// handshake, nor hold the program up, nor fill the edge's log.
func TestMuchOutputIsHarmless(t *testing.T) {
	f := newFixture(t, "write", "the last line")
	p := f.start()
	if got := hear[string](t, p); got != "written" {
		t.Fatalf("heard %q", got)
	}
	if err := p.Conn().CloseWrite(); err != nil { // by which it ends, with time to read it all
		t.Fatal(err)
	}
	waitDone(t, p)
	var lines, told int
	for _, r := range f.log.output() {
		if n, ok := r["lines"].(float64); ok {
			told += int(n)
			continue
		}
		lines++
	}
	if lines < burstOfLines || lines+told != 2001 {
		t.Errorf("%d lines logged and %d told to be dropped, want 2001 in all", lines, told)
	}
}

func TestOutputBecomesRecords(t *testing.T) {
	lines := []string{
		"plain", "", `{"time":"2026-01-02T03:04:05Z","level":"DEBUG","msg":"structured","rule":7}`, `{"level":"error","no":"message"}`,
		`{"@level":7,"@message":8}`, "panic: at the disco", "\xff\xfe", strings.Repeat("long", 2000),
	}
	f := newFixture(t, "lines", lines...)
	p := f.start()
	eventually(t, "the output is in the log", func() bool { return len(f.log.output()) == 8 && f.log.has("to standard output") })
	p.Kill()
	waitDone(t, p)
	type record struct{ level, text, stream string }
	var got []record
	for _, r := range f.log.output() {
		if r["plugin"] != f.spec.Name || r["msg"] != "plugin output" {
			t.Errorf("record %v", r)
		}
		got = append(got, record{r["level"].(string), r["text"].(string), r["stream"].(string)})
		switch r["text"] {
		case "structured":
			if fields, ok := r["fields"].(map[string]any); !ok || fields["rule"] != 7.0 || len(fields) != 1 {
				t.Errorf("fields of %v", r)
			}
		case strings.Repeat("long", 1024):
			if r["cut"] != true {
				t.Errorf("not told to be cut: %v", r)
			}
		}
	}
	for _, want := range []record{
		{"WARN", "plain", "stderr"}, {"DEBUG", "structured", "stderr"}, {"WARN", lines[3], "stderr"}, {"WARN", lines[4], "stderr"},
		{"WARN", "panic: at the disco", "stderr"}, {"WARN", "\ufffd\ufffd", "stderr"}, {"WARN", strings.Repeat("long", 1024), "stderr"},
		{"INFO", "to standard output", "stdout"},
	} {
		if !slices.Contains(got, want) {
			t.Errorf("no record %v in %v", want, got)
		}
	}
}

func TestOutputRate(t *testing.T) {
	var to bytes.Buffer
	o := newOutput(&to)
	now := time.Unix(1e9, 0)
	count := func() (lines, dropped int) {
		for line := range strings.Lines(to.String()) {
			var entry map[string]any
			if err := json.Unmarshal([]byte(line), &entry); err != nil {
				t.Fatal(err)
			}
			if n, ok := entry["lines"].(float64); ok {
				dropped += int(n)
			} else {
				lines++
			}
		}
		to.Reset()
		return lines, dropped
	}
	many := func(n int) {
		for i := range n {
			o.line("stderr", fmt.Appendf(nil, "line %d", i), false, now)
		}
	}
	many(1000)
	if lines, dropped := count(); lines != burstOfLines || dropped != 0 {
		t.Errorf("at first: %d lines, %d told", lines, dropped)
	}
	now = now.Add(time.Second)
	many(1000)
	if lines, dropped := count(); lines != linesASecond || dropped != 1000-burstOfLines {
		t.Errorf("a second later: %d lines, %d told", lines, dropped)
	}
	now = now.Add(time.Hour)
	many(1000)
	if lines, dropped := count(); lines != burstOfLines || dropped != 1000-linesASecond {
		t.Errorf("an hour later: %d lines, %d told", lines, dropped)
	}
	now = now.Add(-time.Hour) // a clock that is set back gives no tokens, and takes none for ever
	many(1)
	o.finish()
	if lines, dropped := count(); lines != 0 || dropped != 1000-burstOfLines+1 {
		t.Errorf("at the end: %d lines, %d told", lines, dropped)
	}
	if got := o.lastWords(); got != "line 0" {
		t.Errorf("last words %q", got)
	}
}

func TestLongLinesAreCut(t *testing.T) {
	var to bytes.Buffer
	o := newOutput(&to)
	o.forward("stdout", strings.NewReader(strings.Repeat("x", 3*longestLine+5)+"\nshort\r\n\n"+strings.Repeat("y", longestLine-1)))
	var got []string
	for line := range strings.Lines(to.String()) {
		var entry struct {
			Message string `json:"@message"`
			Cut     bool
		}
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%d %c %v", len(entry.Message), entry.Message[0], entry.Cut))
	}
	if want := []string{"4096 x true", "5 s false", "4095 y false"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// goPluginTakes is what go-plugin does with a line on standard error: it asserts
// these types, and a panic there is one of the edge.
func goPluginTakes(line []byte) (ok bool) {
	var raw map[string]any
	if json.Unmarshal(line, &raw) != nil {
		return false
	}
	for _, key := range []string{"@message", "@level"} {
		if _, isString := raw[key].(string); !isString {
			return false
		}
	}
	_, has := raw["@timestamp"]
	return !has
}

func FuzzOutput(f *testing.F) {
	for _, seed := range []string{"", "plain\n", "{\"msg\":\"m\",\"level\":\"INFO+2\"}\n", `{"@level":7}` + "\n", `{"@message":{},"@timestamp":1}`, "{", "\x00\xff\n\n\r\n", `{"msg":"x","@message":3,"@level":[]}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var to bytes.Buffer
		o := newOutput(&to)
		o.forward("stderr", bytes.NewReader(data))
		o.finish()
		for line := range bytes.Lines(to.Bytes()) {
			if !goPluginTakes(line) || len(line) > 60<<10 {
				t.Fatalf("go-plugin does not take %q", line)
			}
		}
	})
}

func TestFloodIsReadToItsEnd(t *testing.T) {
	o := newOutput(io.Discard)
	r := io.LimitReader(zeros{}, 8<<20)
	o.forward("stdout", r)
	if n, _ := io.Copy(io.Discard, r); n != 0 {
		t.Errorf("%d bytes not read", n)
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// go-plugin's own remarks must not be taken for the program's.
func TestGoPluginsRemarks(t *testing.T) {
	var out bytes.Buffer
	l := &outputLog{log: slog.New(slog.NewJSONHandler(&out, nil))}
	l.Error("plugin process exited", "error", "x")
	if out.Len() != 0 {
		t.Errorf("logged %s", &out)
	}
	l.Named(stdioLogger).Error("error receiving data")
	if out.Len() != 0 {
		t.Errorf("logged %s", &out)
	}
	l.Named("exe").Error("text", "timestamp", "now", "odd")
	if !strings.Contains(out.String(), `"level":"ERROR","msg":"plugin output","text":"text"}`) {
		t.Errorf("logged %s", &out)
	}
}
