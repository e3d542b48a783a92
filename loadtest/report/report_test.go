package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/loadtest"
)

var update = flag.Bool("update", false, "write golden files anew")

// golden compares got with testdata/name, or writes it there.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

func TestText(t *testing.T) {
	for name, r := range samples() {
		var out bytes.Buffer
		if err := Text(&out, r); err != nil {
			t.Fatal(err)
		}
		golden(t, name+".txt", out.Bytes())
		readable(t, name, out.String())
	}
}

func TestCompare(t *testing.T) {
	all := samples()
	better := sample(0.55)
	better.Name = "with the chain cache"
	better.Warnings, better.Machine.Kernel, better.Units.Failed = nil, "6.18.0", 0
	all["better"] = better
	for _, pair := range [][2]string{{"open", "better"}, {"open", "open"}, {"open", "closed"}, {"all-refused", "nothing"}} {
		var out bytes.Buffer
		if err := Compare(&out, all[pair[0]], all[pair[1]]); err != nil {
			t.Fatal(err)
		}
		name := pair[0] + "-" + pair[1] + ".txt"
		golden(t, name, out.Bytes())
		readable(t, name, out.String())
	}
}

func TestHTML(t *testing.T) {
	all := samples()
	for name, rs := range map[string][]*loadtest.Result{
		"open":        {all["open"]},
		"closed":      {all["closed"]},
		"one-second":  {all["one-second"]},
		"all-refused": {all["all-refused"]},
		"nothing":     {all["nothing"]},
		"hostile":     {all["hostile"]},
		"two":         {brief(1), brief(0.55)},
		"mixed":       {all["open"], all["nothing"], all["all-refused"], all["one-second"], all["closed"]},
	} {
		var out bytes.Buffer
		if err := HTML(&out, rs...); err != nil {
			t.Fatal(err)
		}
		if name == "one-second" || name == "two" {
			golden(t, name+".html", out.Bytes())
		}
		readable(t, name+".html", out.String())
	}
}

// readable fails for what no reader should ever see.
func readable(t *testing.T, name, text string) {
	t.Helper()
	for _, bad := range []string{"NaN", "Inf", "%!", "<nil>", "\x1b", "\u202e", "<script", "<img", "ZgotmplZ"} {
		if strings.Contains(text, bad) && !(bad[0] == '<' && strings.HasSuffix(name, "hostile")) {
			i := strings.Index(text, bad)
			t.Errorf("%s: there is %q in it: %q", name, bad, text[max(0, i-100):min(len(text), i+100)])
		}
	}
	if strings.HasSuffix(name, ".html") {
		if address := regexp.MustCompile(`(?:src|href)=\S+`).FindString(text); address != "" && !strings.Contains(address, "attacker") {
			t.Errorf("%s asks for %s", name, address)
		}
	}
}

func TestHTMLRefusesTooFewAndTooMany(t *testing.T) {
	for _, n := range []int{0, MaxResults + 1} {
		var out bytes.Buffer
		rs := make([]*loadtest.Result, n)
		for i := range rs {
			rs[i] = sample(1)
		}
		if err := HTML(&out, rs...); err == nil || !strings.Contains(err.Error(), "want 1 to 8") || out.Len() != 0 {
			t.Errorf("%d results: %v, %d bytes", n, err, out.Len())
		}
	}
}

func TestWriteErrorsAreReturned(t *testing.T) {
	full := errors.New("disk full")
	r := sample(1)
	for name, err := range map[string]error{
		"Text": Text(failing{full}, r), "Compare": Compare(failing{full}, r, r), "HTML": HTML(failing{full}, r),
	} {
		if !errors.Is(err, full) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

func TestReadIsTheWayBack(t *testing.T) {
	want := sample(1)
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Read(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestReadRefuses(t *testing.T) {
	for text, want := range map[string]string{
		``:                                    "EOF",
		`{`:                                   "unexpected EOF",
		`null`:                                "version 0: want 1",
		`{}`:                                  "version 0: want 1",
		`{"version":2}`:                       "version 2: want 1",
		`{"version":1} {"version":1}`:         "want one result",
		`{"version":1}]`:                      "want one result",
		`{"version":1,"wall":"10s"}`:          "wall",
		`{"version":1,"seconds":[{"at":-1}]}`: "seconds[0].at -1",
		`{"version":1,"seconds":[{"at":99999999}]}`:   "seconds[0].at 99999999",
		`{"version":1,"seconds":[{"at":3},{"at":3}]}`: "seconds[1].at 3",
		"-----BEGIN CERTIFICATE-----\nbm90IEpTT04=\n": "parse result",
	} {
		if _, err := Read(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

// FuzzRead reads what may not be a result; what is one can be shown.
func FuzzRead(f *testing.F) {
	r := sample(1)
	r.Seconds, r.Phases = r.Seconds[11:13], nil
	r.Latency.Curve, r.Service.Curve, r.Refusal.Curve = r.Latency.Curve[:2], nil, nil
	text, err := json.Marshal(r)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(`{"version":1,"wall":1,"units":{"due":-1,"rate":1e308},"seconds":[{"at":0,"asked":1e308,"done":9,"p50":-1}],"phases":{"\u0000":{"count":1}}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := Read(bytes.NewReader(text))
		if err != nil {
			return
		}
		var sum, comparison, html bytes.Buffer
		if err := errors.Join(Text(&sum, r), Compare(&comparison, r, r), HTML(&html, r)); err != nil {
			t.Fatal(err)
		}
		for i, out := range []string{sum.String(), comparison.String(), html.String()} {
			// Names may be NaN, and texts for a terminal may have HTML in them.
			readable(t, []string{"hostile", "hostile", "page"}[i], strings.NewReplacer("NaN", "", "Inf", "", "%!", "", "<nil>", "").Replace(out))
			if strings.ContainsAny(out, "\x00\r\u2028") {
				t.Errorf("control characters in %q", out)
			}
		}
	})
}

func TestFigures(t *testing.T) {
	for _, test := range []struct {
		got, want string
	}{
		{number(0), "0"}, {number(999.6), "1,000"}, {number(9.996), "10.0"}, {number(99.96), "100"},
		{number(1234567), "1,234,567"}, {number(-1234.4), "-1,234"}, {number(0.0042), "0.0042"}, {number(math.NaN()), none},
		{duration(0), "0 ns"}, {duration(999), "999 ns"}, {duration(999.6), "1.00 µs"}, {duration(1000), "1.00 µs"},
		{duration(999_600), "1.00 ms"}, {duration(59.96e9), "60.0 s"}, {duration(7200e9), "7,200 s"}, {duration(math.Inf(1)), none},
		{size(1023), "1,023 B"}, {size(1 << 20), "1.00 MiB"}, {size(-1), "-1 B"}, {size(math.NaN()), none},
		{percent(1, 3), "33.3 %"}, {percent(59_999, 60_000), "99.9 %"}, {percent(1, 1), "100.0 %"}, {percent(0, 5), "0 %"},
		{percent(0, 0), none}, {percent(3, 10_000), "0.03 %"}, {factor(1.204), "1.20×"}, {count(-1), "-1"}, {rate(2410.4), "2,410/s"},
		{plain("a\tb\x1b[0m\u202ec\xff"), "a b\\u001b[0m\\u202ec\ufffd"},
		{plain(strings.Repeat("é", 500)), strings.Repeat("é", 400) + "…"},
	} {
		if test.got != test.want {
			t.Errorf("%q, want %q", test.got, test.want)
		}
	}
}

func TestLine(t *testing.T) {
	for want, s := range map[string]loadtest.Second{
		"1 s   0/s done": {},
		"13 s   1,998/s done of 2,000/s   p50 640 µs   p99 1.20 ms   64 open": {
			At: 12, Asked: 2000, Done: 1998, P50: 640_000, P99: 1_200_000, Open: 64,
		},
		"3 s   0/s done   12 refused   1 failed   server 132.0 % CPU   61.0 MiB": {
			At: 2, Refused: 12, Failed: 1, CPU: 1_320_000_000, RSS: 61 << 20,
		},
	} {
		if got := Line(s); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
