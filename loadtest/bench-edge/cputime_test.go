package main

import (
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestParseStat(t *testing.T) {
	const rest = " S 1 77 77 0 -1 4194560 100 0 0 0 150 25 9 9 20 0 1 0 100 1000 10 18446744073709551615"
	for _, text := range []string{"42 (nginx)" + rest, "42 (a) R (b) 1)" + rest} {
		pid, group, used, err := parseStat([]byte(text))
		if pid != 42 || group != 77 || used != 1750*time.Millisecond || err != nil {
			t.Errorf("parseStat(%q) = %d, %d, %s, %v, want 42, 77, 1.75s", text, pid, group, used, err)
		}
	}
	for _, text := range []string{"", "42", "42 (a", "42 )a(", "42 (a) S 1 2", "x (a)" + rest, "42 (a)" + strings.Replace(rest, "150", "a", 1)} {
		if _, _, _, err := parseStat([]byte(text)); err == nil {
			t.Errorf("parseStat(%q): no error", text)
		}
	}
}

// The kernel's own figures for this process agree with getrusage(2).
func TestCPUTimeOfSelf(t *testing.T) {
	for rusage(t) < 100*time.Millisecond {
	}
	before := rusage(t)
	text, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		t.Fatal(err)
	}
	_, _, used, err := parseStat(text)
	if err != nil {
		t.Fatal(err)
	}
	// User and system time are rounded down, each by itself.
	if after := rusage(t); used > after || used < before-2*tick {
		t.Errorf("CPU time %s, want %s to %s", used, before-2*tick, after)
	}
}

func rusage(t *testing.T) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		t.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
