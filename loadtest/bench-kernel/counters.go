package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

func readNumber(path string) (uint64, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", path, err)
	}
	return n, nil
}

// parseSchedstat takes the nanoseconds that a thread has run from the text of
// /proc/PID/schedstat. They are exact while it sleeps.
func parseSchedstat(text string) (uint64, error) {
	fields := strings.Fields(text)
	if len(fields) != 3 {
		return 0, fmt.Errorf("schedstat %q: want three numbers", text)
	}
	n, err := strconv.ParseUint(fields[0], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("schedstat %q: want three numbers", text)
	}
	return n, nil
}

// tick is the unit of times in /proc/PID/stat: USER_HZ is 100 on every
// architecture that Go runs on.
const tick = 10 * time.Millisecond

// parseStat takes utime+stime from the text of /proc/PID/stat, as in
// proc_pid_stat(5).
func parseStat(text string) (time.Duration, error) {
	// The command's name is in parentheses, and may hold some itself.
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:]) // from the third field on
	if len(fields) < 13 {
		return 0, fmt.Errorf("stat %q: want 15 fields or more", text)
	}
	user, err1 := strconv.ParseUint(fields[14-3], 10, 48)
	system, err2 := strconv.ParseUint(fields[15-3], 10, 48)
	if err1 != nil || err2 != nil {
		return 0, fmt.Errorf("stat %q: want numbers", text)
	}
	return time.Duration(user+system) * tick, nil
}

// parseSNMP takes a counter from the text of /proc/net/snmp, in which a line of
// names is before each line of values.
func parseSNMP(text, protocol, name string) (uint64, error) {
	var names []string
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0] != protocol+":" {
			continue
		}
		if names == nil {
			names = fields
			continue
		}
		for i, n := range names {
			if n == name && i > 0 && i < len(fields) {
				value, err := strconv.ParseUint(fields[i], 10, 64)
				if err != nil {
					return 0, fmt.Errorf("snmp %s%s %q: want a number", protocol, name, fields[i])
				}
				return value, nil
			}
		}
		break
	}
	return 0, fmt.Errorf("snmp: no counter %s %s", protocol, name)
}
