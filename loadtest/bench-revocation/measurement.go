package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// answered is the line that a child writes when it has answered its first two
// queries, one of either kind, rightly. Its measurement follows as a line of JSON.
const answered = "answered"

// measurement is what a child found. Times are in nanoseconds.
type measurement struct {
	Library  string   `json:"library"` // with its version
	LoadWall int64    `json:"load_wall_ns"`
	LoadCPU  int64    `json:"load_cpu_ns"`
	Peak     int64    `json:"peak_bytes"` // resident, from the process's start until it was loaded
	Miss     *lookUps `json:"miss,omitempty"`
	Hit      *lookUps `json:"hit,omitempty"`
}

// lookUps are those of one kind.
type lookUps struct {
	Asked int64 `json:"asked"`
	Found int64 `json:"found"` // to be in the CRL
	CPU   int64 `json:"cpu_ns"`
	Wall  int64 `json:"wall_ns"`
}

// each is the CPU time of a look-up, in nanoseconds.
func (l *lookUps) each() float64 { return float64(l.CPU) / float64(l.Asked) }

// parseMeasurement reads a child's line. A wrong answer is an error: its time is
// of no interest.
func parseMeasurement(line []byte) (*measurement, error) {
	decoder := json.NewDecoder(bytes.NewReader(line))
	decoder.DisallowUnknownFields()
	var m measurement
	if err := decoder.Decode(&m); err != nil {
		return nil, fmt.Errorf("parse measurement %q: %w", line, err)
	}
	if m.Library == "" || m.LoadWall <= 0 || m.LoadCPU <= 0 || m.Peak <= 0 {
		return nil, fmt.Errorf("measurement %q: want library, load times and peak", line)
	}
	if (m.Miss == nil) != (m.Hit == nil) {
		return nil, fmt.Errorf("measurement %q: want look-ups of both kinds or none", line)
	}
	if m.Miss == nil {
		return &m, nil
	}
	for _, l := range []*lookUps{m.Miss, m.Hit} {
		if l.Asked <= 0 || l.CPU <= 0 || l.Wall <= 0 {
			return nil, fmt.Errorf("measurement %q: want look-ups, and that they took time", line)
		}
	}
	if m.Miss.Found != 0 || m.Hit.Found != m.Hit.Asked {
		return nil, fmt.Errorf("%s found %d of %d serials that are not listed, and %d of %d that are: want none and all",
			m.Library, m.Miss.Found, m.Miss.Asked, m.Hit.Found, m.Hit.Asked)
	}
	return &m, nil
}

// stopwatch is the time since its start, as the clock says and of CPU: user and
// system, of all threads of this process.
type stopwatch struct {
	wall time.Time
	cpu  time.Duration
}

func startWatch() stopwatch { return stopwatch{wall: time.Now(), cpu: cpuTime()} }

func (w stopwatch) read() (wall, cpu int64) {
	return int64(time.Since(w.wall)), int64(cpuTime() - w.cpu)
}

func cpuTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err) // neither argument can be wrong
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// peakMemory is the most that this process ever had resident, in bytes. It is not
// ru_maxrss, in which the parent's at the time of fork would be counted.
func peakMemory() (int64, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	return parsePeak(string(status))
}

func parsePeak(status string) (int64, error) {
	for line := range strings.Lines(status) {
		if value, found := strings.CutPrefix(line, "VmHWM:"); found {
			kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
			if err != nil {
				return 0, fmt.Errorf("parse VmHWM: %w", err)
			}
			return kib << 10, nil
		}
	}
	return 0, errors.New("find VmHWM in /proc/self/status: it is not there")
}

// block is how many look-ups are made between two looks at the clock, and made
// before it is looked at for the first time.
const block = 1 << 12

// lookUp measures look-ups of the queries 0 to n-1, in turn and from the
// beginning again, until they have had the CPU time wanted. ask looks up those
// from one up to another, and returns how many it found.
func lookUp(n int, least time.Duration, ask func(from, to int) int) *lookUps {
	ask(0, min(block, n))
	var l lookUps
	next := 0
	for watch := startWatch(); ; {
		to := min(next+block, n)
		l.Found += int64(ask(next, to))
		l.Asked += int64(to - next)
		if next = to; next == n {
			next = 0
		}
		if l.Wall, l.CPU = watch.read(); l.CPU >= int64(least) {
			return &l
		}
	}
}

// say writes the measurement as parseMeasurement reads it.
func (m *measurement) say() error { return json.NewEncoder(os.Stdout).Encode(m) }
