package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// tick is the unit of times in /proc/PID/stat: USER_HZ is 100 on every
// architecture that Go runs on.
const tick = 10 * time.Millisecond

// groupCPU is the CPU time that the processes of a group have had, user and
// system, all threads. The leader must live.
func groupCPU(group int) (time.Duration, error) {
	names, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return 0, err
	}
	var total time.Duration
	alive := false
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // somebody's process, which has ended; ours is missed below
		}
		pid, pgrp, used, err := parseStat(text)
		if err != nil {
			return 0, fmt.Errorf("parse %s: %w", name, err)
		}
		if pgrp == group {
			total += used
			alive = alive || pid == group
		}
	}
	if !alive {
		return 0, fmt.Errorf("process %d has ended", group)
	}
	return total, nil
}

// parseStat takes pid, process group and utime+stime from the text of
// /proc/PID/stat, as in proc_pid_stat(5).
func parseStat(text []byte) (pid, group int, used time.Duration, err error) {
	// The command's name is in parentheses, and may hold some itself.
	start, end := bytes.IndexByte(text, '('), bytes.LastIndexByte(text, ')')
	if start < 0 || end < start {
		return 0, 0, 0, fmt.Errorf("%q: want a name in parentheses", text)
	}
	fields := bytes.Fields(text[end+1:]) // from the third field on
	if len(fields) < 13 {
		return 0, 0, 0, fmt.Errorf("%q: want 15 fields or more", text)
	}
	var numbers [4]int
	for i, field := range [][]byte{bytes.TrimSpace(text[:start]), fields[5-3], fields[14-3], fields[15-3]} {
		if numbers[i], err = strconv.Atoi(string(field)); err != nil {
			return 0, 0, 0, fmt.Errorf("field %q: want a number", field)
		}
	}
	return numbers[0], numbers[1], time.Duration(numbers[2]+numbers[3]) * tick, nil
}
