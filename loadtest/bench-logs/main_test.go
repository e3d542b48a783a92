package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sallyport/sallyport/loadtest/benchmark"
)

// TestMain lets the test binary be the child that the program starts as itself.
func TestMain(m *testing.M) {
	benchmark.RunChild(os.Args, runChild)
	goleak.VerifyTestMain(m)
}

func TestParseOptions(t *testing.T) {
	for _, tt := range []struct {
		args string
		want string // rounds and connections, or what the error says
	}{
		{"", "9 32"},
		{"-quick -connections 8", "1 8"},
		{"-rounds 0", "-rounds 0: want 1 or more"},
		{"-requests 10", "-requests 10: want 1000 or more"},
		{"-connections 1001", "-connections 1001: want 1 to 1000"},
		{"out.json", `argument "out.json": want none`},
	} {
		o, err := parseOptions(strings.Fields(tt.args))
		got := fmt.Sprint(o.rounds, " ", o.connections)
		if err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%q: %s, want %s", tt.args, got, tt.want)
		}
	}
}

// Every side starts, does what it is measured for, and is measured: the whole program
// but for the number of requests. Of these a hundredth is traced, which cannot well be
// none.
func TestMeasureAll(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sallyport")
	if out, err := exec.Command("go", "build", "-o", path, "github.com/sallyport/sallyport/cmd/sallyport").CombinedOutput(); err != nil {
		t.Fatalf("build Sallyport: %v\n%s", err, out)
	}
	r, err := measureAll(t.Context(), options{sallyport: path, rounds: 1, connections: 4, requests: 2000, warmUp: 10 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range sides() {
		if v := r.values[s.name]; len(v) != 1 || v[0] <= 0 {
			t.Errorf("%s: %v, want one value above 0", s.name, v)
		}
	}
	if rows := r.rows(); len(rows) != len(sides())-1 {
		t.Errorf("%d rows of %d sides", len(rows), len(sides()))
	}
}

// A side that does not do what it is measured for is an error.
func TestChecks(t *testing.T) {
	const idle = `sallyport_log_lines_dropped_total{log="access"} 0` + "\n"
	for text, ok := range map[string][2]bool{ // with tracing, and without
		idle: {false, true},
		idle + `sallyport_trace_spans_total{result="exported"} 12` + "\n":                                     {true, false},
		idle + `sallyport_trace_spans_total{result="dropped"} 12` + "\n":                                      {false, true},
		`sallyport_log_lines_dropped_total{log="access"} 1` + "\n":                                            {false, false},
		`sallyport_trace_spans_total{result="exported"} many` + "\n":                                          {false, false},
		idle + `sallyport_trace_spans_total{result="exported"} 1` + "\n" + strings.ReplaceAll(idle, "0", "3"): {false, false},
	} {
		for i, spans := range []bool{true, false} {
			if err := accounted(&side{spans: spans}, text); (err == nil) != ok[i] {
				t.Errorf("%q, tracing %t: %v", text, spans, err)
			}
		}
	}
	s := site{Dir: t.TempDir()}
	one := &side{log: "access.log"}
	if s.logged(one, 0) == nil {
		t.Error("no error for a log that is not there")
	}
	if err := os.WriteFile(filepath.Join(s.Dir, one.log), []byte("a\nb\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.logged(one, 2); err != nil {
		t.Error(err)
	}
	if s.logged(one, 3) == nil {
		t.Error("no error for a line that is missing")
	}
	if err := s.logged(&side{}, 3); err != nil {
		t.Error(err)
	}
}

func TestReport(t *testing.T) {
	r := &report{machine: benchmark.Machine{Text: "2 cores"}, cores: "one core for all", values: map[string][]float64{
		plain:              {30, 31, 60}, // in the last round the machine was slow
		"access log, json": {33, 34, 70},
	}}
	var out bytes.Buffer
	if err := r.print(&out); err != nil || !strings.Contains(out.String(), "access log, json") || !strings.Contains(out.String(), "+3.0 µs") {
		t.Errorf("%v: %s", err, &out)
	}
	want := benchmark.Comparison{Name: "CPU per request, access log, json", Unit: "us CPU", Ours: 34, Peer: plain, Theirs: 31, Ratio: 1.1}
	if rows := r.rows(); len(rows) != 1 || rows[0] != want {
		t.Errorf("%+v, want %+v", rows, want)
	}
}

func TestTarget(t *testing.T) {
	ours, theirs := net.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- answerAll(theirs) }()
	reader := bufio.NewReader(ours)
	for range 2 {
		if _, err := io.WriteString(ours, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		response, err := http.ReadResponse(reader, nil)
		if err != nil {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(response.Body); response.StatusCode != http.StatusOK || len(body) != 64 || err != nil {
			t.Errorf("%d %q, %v", response.StatusCode, body, err)
		}
	}
	ours.Close()
	if err := <-ended; err == nil {
		t.Error("the target has not noticed the end")
	}
}

func TestRunChildRefuses(t *testing.T) {
	for _, args := range [][]string{{"nobody", "a", "b"}, {roleTarget, "a"}, {roleTarget, "nowhere", "127.0.0.1:0"}, {roleTarget, "127.0.0.1:0", "nowhere"}} {
		if err := runChild(args[0], args[1:]); err == nil {
			t.Errorf("%q: no error", args)
		}
	}
}
