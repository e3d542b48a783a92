package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
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
