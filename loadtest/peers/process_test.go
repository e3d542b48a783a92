package peers

import (
	"errors"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

func TestStopEndsChild(t *testing.T) {
	b := newBench(t)
	pid := b.target.PID
	b.target.Stop()
	b.target.Stop() // of a child that has ended: nothing
	if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("signal to the ended child: %v, want %v", err, syscall.ESRCH)
	}
}

func TestChildThatEndsAtOnce(t *testing.T) {
	b := newBench(t)
	wrong := *goNetHTTP
	wrong.args = func(binary string, _ site, _ string) []string { return []string{binary, asChild, "no such role"} }
	_, err := b.start(t.Context(), &server{kind: &wrong, program: b.servers[0].program}, b.fewDir)
	if err == nil || !strings.Contains(err.Error(), "ended before it answered") || !strings.Contains(err.Error(), "want target ADDRESS") {
		t.Errorf("start in an unknown role: %v, want that it ended, and its own words", err)
	}
}

func TestChildIsNobodyElse(t *testing.T) {
	for _, args := range [][]string{nil, {"run"}, {"run", asChild}} {
		if ran, err := Child(args); ran || err != nil {
			t.Errorf("Child(%q) = %t, %v, want that it is none", args, ran, err)
		}
	}
}

// This process gets its cores and processors back.
func TestPinSelf(t *testing.T) {
	c, err := splitCores()
	if err != nil {
		t.Fatal(err)
	}
	processors := runtime.GOMAXPROCS(0)
	unpin, err := c.pinSelf()
	if err != nil {
		t.Fatal(err)
	}
	if n := runtime.GOMAXPROCS(0); n != 1 {
		t.Errorf("%d processors while pinned, want 1", n)
	}
	pinned, err := splitCores()
	if err != nil {
		t.Fatal(err)
	}
	if c.client != nil && pinned.all != *oneCPU(*c.client) {
		t.Errorf("pinned to %v, want core %d alone", pinned.all, *c.client)
	}
	unpin()
	if after, err := splitCores(); err != nil || after.all != c.all || runtime.GOMAXPROCS(0) != processors {
		t.Errorf("cores %v, %d processors afterwards, want %v, %d: %v", after.all, runtime.GOMAXPROCS(0), c.all, processors, err)
	}
}
