package main

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/sallyport/sallyport/loadtest/benchmark"
)

// TestMain lets the test binary be the child that the program starts as itself.
func TestMain(m *testing.M) {
	benchmark.RunChild(os.Args, runChild)
	goleak.VerifyTestMain(m)
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
		want string // rounds and connections, or what the error says
	}{
		{"", "9 32"},
		{"-rounds 5", "5 32"},
		{"-quick", "1 32"},
		{"-quick -rounds 9 -connections 8", "1 8"},
		{"-rounds 0", "-rounds 0: want 1 or more"},
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

func TestRunChildRefuses(t *testing.T) {
	for _, args := range [][]string{
		{roleEdge, "a"}, {"nobody", "a"}, {rolePlugin, "many"}, {roleStock, "other"}, {roleAuth, "socket"},
		{roleEdge, "127.0.0.1:0", "127.0.0.1:1", "nowhere", nobody}, {roleEdge, "127.0.0.1:0", "127.0.0.1:1", "nowhere", "somebody"},
	} {
		if err := runChild(args[0], args[1:]); err == nil {
			t.Errorf("%q: no error", args)
		}
	}
}
