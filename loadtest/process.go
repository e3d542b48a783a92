package loadtest

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/bits"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// tick is the unit of times in /proc/PID/stat: USER_HZ is 100 on every
// architecture that Go runs on.
const tick = 10 * time.Millisecond

// stat is what /proc/PID/stat says of a process.
type stat struct {
	pid, parent  int
	user, system time.Duration // with those of children that have ended and were waited for
	threads      int
}

func (s stat) cpu() time.Duration { return s.user + s.system }

// parseStat reads the text of /proc/PID/stat, as in proc_pid_stat(5).
func parseStat(text []byte) (stat, error) {
	// The command's name is in parentheses, and may hold some itself.
	start, end := bytes.IndexByte(text, '('), bytes.LastIndexByte(text, ')')
	if start < 0 || end < start {
		return stat{}, fmt.Errorf("%q: want a name in parentheses", text)
	}
	fields := bytes.Fields(text[end+1:]) // from the third field on
	if len(fields) < 20-2 {
		return stat{}, fmt.Errorf("%q: want 20 fields or more", text)
	}
	var n [7]int
	for i, field := range [...][]byte{
		bytes.TrimSpace(text[:start]), fields[4-3], fields[14-3], fields[15-3], fields[16-3], fields[17-3], fields[20-3],
	} {
		var err error
		if n[i], err = strconv.Atoi(string(field)); err != nil {
			return stat{}, fmt.Errorf("field %q: want a number", field)
		}
	}
	return stat{
		pid: n[0], parent: n[1], threads: n[6],
		user: time.Duration(n[2]+n[4]) * tick, system: time.Duration(n[3]+n[5]) * tick,
	}, nil
}

// reading is what a process and all below it had used by a moment.
type reading struct {
	at           time.Time
	user, system time.Duration
	rss          int64 // bytes; pages that several share count for each
	processes    map[int]stat
}

func (r reading) cpu() time.Duration { return r.user + r.system }

// readTree reads a process and all that descend from it. A descendant that has
// ended goes on counting in the one that waited for it.
func readTree(pid int) (reading, error) {
	names, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return reading{}, err
	}
	all := make(map[int]stat, len(names))
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended since; the one that matters is missed below
		}
		s, err := parseStat(text)
		if err != nil {
			return reading{}, fmt.Errorf("parse %s: %w", name, err)
		}
		all[s.pid] = s
	}
	if _, there := all[pid]; !there {
		return reading{}, fmt.Errorf("no process %d", pid)
	}
	maps.DeleteFunc(all, func(_ int, s stat) bool { return !descends(all, s, pid) })
	r := reading{at: time.Now(), processes: all}
	for _, s := range all {
		r.user += s.user
		r.system += s.system
		rss, err := readRSS(s.pid)
		if s.pid == pid && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH)) {
			return reading{}, fmt.Errorf("no process %d", pid) // it has ended since
		} else if s.pid == pid && err != nil {
			return reading{}, err
		}
		r.rss += rss
	}
	return r, nil
}

// descends follows parents up; a table read while processes come and go may lead
// in a circle.
func descends(all map[int]stat, s stat, pid int) bool {
	for range 1000 {
		if s.pid == pid {
			return true
		}
		parent, there := all[s.parent]
		if !there {
			return false
		}
		s = parent
	}
	return false
}

// readRSS is the resident memory of one process in bytes.
func readRSS(pid int) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, fmt.Errorf("read memory of process: %w", err)
	}
	value, ok := statusField(text, "VmRSS")
	if !ok {
		return 0, nil // a zombie has none
	}
	kib, err := strconv.ParseInt(strings.TrimSuffix(value, " kB"), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read memory of process %d: VmRSS %q: want a number of kB", pid, value)
	}
	return kib << 10, nil
}

// coresOf is how many cores a process may run on; 0 if that is not known.
func coresOf(pid int) int {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	mask, _ := statusField(text, "Cpus_allowed")
	n := 0
	for part := range strings.SplitSeq(mask, ",") {
		word, err := strconv.ParseUint(part, 16, 64)
		if err != nil {
			return 0
		}
		n += bits.OnesCount64(word)
	}
	return n
}

func statusField(text []byte, name string) (string, bool) {
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(value), true
		}
	}
	return "", false
}
