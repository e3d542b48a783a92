package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/loadtest/benchmark"
)

var update = flag.Bool("update", false, "write golden files anew")

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
		want string // binary, passes, sizes, flood, listed, or what the error says
	}{
		{"", "out/sallyport 3 [100000 1000000] 20s 1000000"},
		{"-sallyport edge -passes 5", "edge 5 [100000 1000000] 20s 1000000"},
		{"-quick -passes 9", "out/sallyport 1 [100000 1000000] 6s 100000"},
		{"-passes 0", "-passes 0: want 1 or more"},
		{"out.json", `argument "out.json": want none`},
	} {
		o, err := parseOptions(strings.Fields(tt.args))
		got := fmt.Sprint(o.sallyport, " ", o.passes, " ", o.sizes, " ", o.flood, " ", o.listed)
		if err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%q: %s, want %s", tt.args, got, tt.want)
		}
	}
}

func TestRunChildRefuses(t *testing.T) {
	for _, args := range [][]string{{roleGood}, {"nobody", "a"}, {roleAttack, "127.0.0.1:1"}, {roleAttack, "127.0.0.1:1", "soon", "1"}, {roleAttack, "127.0.0.1:1", "1s", "many"}, {roleGood, "/none"}} {
		if err := runChild(args[0], args[1:]); err == nil {
			t.Errorf("%q: no error", args)
		}
	}
}

func TestRequireNamesAll(t *testing.T) {
	err := require(options{sallyport: "/no/such/binary"})
	if err == nil || !strings.Contains(err.Error(), "/no/such/binary") {
		t.Errorf("%v, want the binary that is missing", err)
	}
	if os.Getuid() != 0 && (err == nil || !strings.Contains(err.Error(), "not root")) {
		t.Errorf("%v, want that root is missing", err)
	}
}
