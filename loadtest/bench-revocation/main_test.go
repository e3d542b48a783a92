package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/loadtest/benchmark"
)

// TestMain lets the test binary be the child that the program starts as itself.
func TestMain(m *testing.M) {
	benchmark.RunChild(os.Args, runChild)
	os.Exit(m.Run())
}

// lack skips a test for what the machine lacks; a run that must not skip fails.
func lack(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf("%s, and CI must not skip", what)
	}
	t.Skip(what)
}

func TestParseOptions(t *testing.T) {
	for _, tt := range []struct {
		args string
		want string // rounds and sizes, or what the error says
	}{
		{"", "3 [10000 100000 1000000 10000000]"},
		{"-rounds 5", "5 [10000 100000 1000000 10000000]"},
		{"-quick", "1 [10000 100000 1000000]"},
		{"-quick -rounds 9", "1 [10000 100000 1000000]"},
		{"-rounds 0", "-rounds 0: want 1 or more"},
		{"out.json", `argument "out.json": want none`},
	} {
		o, err := parseOptions(strings.Fields(tt.args))
		got := fmt.Sprint(o.rounds, " ", o.sizes)
		if err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%q: %s, want %s", tt.args, got, tt.want)
		}
		if err == nil && !slices.IsSorted(o.sizes) {
			t.Errorf("%q: sizes %v, want them ascending", tt.args, o.sizes)
		}
	}
}

func TestRunChildRefuses(t *testing.T) {
	for _, args := range [][]string{{"ours"}, {"nobody", "a"}, {roleMap, "1", "2"}, {roleMap, "many", "q", "1s"}, {roleMap, "1", "q", "soon"}} {
		if err := runChild(args[0], args[1:]); err == nil {
			t.Errorf("%q: no error", args)
		}
	}
}
