package benchmark

import (
	"context"
	"errors"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestFigures(t *testing.T) {
	for _, test := range []struct{ got, want any }{
		{Median([]float64{3, 1, 2}), 2.0},
		{Median([]float64{4, 1, 2, 3}), 2.5},
		{Median(nil), 0.0},
		{Significant(0.0051234, 3), 0.00512},
		{Significant(-123456, 2), -120000.0},
		{Significant(math.NaN(), 3), 0.0},
		{Digits(0.0123456), "0.0123"},
		{Digits(123456), "123000"},
		{Count(10_000_000), "10M"},
		{Count(100_000), "100k"},
		{Count(1500), "1500"},
	} {
		if test.got != test.want {
			t.Errorf("got %v, want %v", test.got, test.want)
		}
	}
}

func TestWriteComparisons(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out", "bench.json")
	for _, test := range []struct {
		all  []Comparison
		want string
	}{
		{nil, "[]\n"},
		{[]Comparison{Compare("a", "us CPU", 1, "nginx", 3)}, `[
  {
    "name": "a",
    "unit": "us CPU",
    "ours": 1,
    "peer": "nginx",
    "theirs": 3,
    "ratio": 0.333
  }
]
`},
	} {
		if err := WriteComparisons(path, test.all); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != test.want {
			t.Errorf("%s, %v, want %s", got, err, test.want)
		}
	}
}

func shell(t *testing.T, script string) *Process {
	t.Helper()
	said, err := os.Create(filepath.Join(t.TempDir(), "said"))
	if err != nil {
		t.Fatal(err)
	}
	defer said.Close()
	cmd := exec.Command("/bin/sh", "-c", script)
	cmd.Stderr = said
	p, err := Start("sh", cmd, said.Name(), func(start func() error) error { return start() })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Stop)
	return p
}

func TestAwaitSaysHowAChildEnded(t *testing.T) {
	p := shell(t, "echo no such luck >&2; exit 3")
	err := p.Await(t.Context(), time.Minute, time.Millisecond, func(context.Context) error { return errors.New("refused") })
	for _, want := range []string{"sh ended before it answered", "exit status 3", "refused", "no such luck"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q in it", err, want)
		}
	}
}

func TestAwaitGivesUp(t *testing.T) {
	p := shell(t, "exec sleep 600")
	err := p.Await(t.Context(), 50*time.Millisecond, time.Millisecond, func(context.Context) error { return errors.New("refused") })
	if err == nil || !strings.Contains(err.Error(), "did not answer within 50ms: refused") {
		t.Errorf("got %v", err)
	}
	tries := 0
	if err := p.Await(t.Context(), time.Minute, time.Millisecond, func(context.Context) error {
		if tries++; tries < 3 {
			return errors.New("refused")
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
	p.Stop()
	p.Stop() // of one that has ended: nothing
	if p.Err == nil {
		t.Error("it ended by itself, want it stopped")
	}
}
