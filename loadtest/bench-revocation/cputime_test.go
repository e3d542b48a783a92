package main

import (
	"testing"
	"time"
)

func TestParseStat(t *testing.T) {
	const fields = "S 1 77 77 0 -1 4194560 1 2 3 4 150 25 0 0 20 0 1 0"
	for _, tt := range []struct {
		text       string
		pid, group int
		used       time.Duration
		wrong      bool
	}{
		{text: "4711 (nginx) " + fields, pid: 4711, group: 77, used: 1750 * time.Millisecond},
		{text: "4711 (a) b (c d) " + fields, pid: 4711, group: 77, used: 1750 * time.Millisecond},
		{text: "", wrong: true},
		{text: "4711 nginx " + fields, wrong: true},
		{text: "4711 )nginx( " + fields, wrong: true},
		{text: "4711 (nginx) S 1 77", wrong: true},
		{text: "x (nginx) " + fields, wrong: true},
	} {
		pid, group, used, err := parseStat([]byte(tt.text))
		if (err != nil) != tt.wrong {
			t.Errorf("%q: %v, want an error: %t", tt.text, err, tt.wrong)
			continue
		}
		if !tt.wrong && (pid != tt.pid || group != tt.group || used != tt.used) {
			t.Errorf("%q: %d, %d, %s, want %d, %d, %s", tt.text, pid, group, used, tt.pid, tt.group, tt.used)
		}
	}
}

// FuzzParseStat checks that no text makes it panic.
func FuzzParseStat(f *testing.F) {
	f.Add([]byte("4711 (a) b (c d) S 1 77 77 0 -1 4194560 1 2 3 4 150 25 0 0 20 0 1 0"))
	f.Add([]byte(")("))
	f.Fuzz(func(t *testing.T, text []byte) {
		if pid, group, used, err := parseStat(text); err != nil && (pid != 0 || group != 0 || used != 0) {
			t.Errorf("%q: %d, %d, %s beside an error", text, pid, group, used)
		}
	})
}

func TestGroupCPUOfNobody(t *testing.T) {
	if _, err := groupCPU(1 << 30); err == nil {
		t.Error("a group that cannot be: no error")
	}
}
