package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
)

// machine is what is measured on, and how busy it was.
type machine struct {
	text          string
	before, after string // load averages
}

func describeMachine() machine {
	text := fmt.Sprintf("%d cores", runtime.NumCPU())
	if model := cpuModel(); model != "" {
		text += " (" + model + ")"
	}
	text += fmt.Sprintf(", %.0f GiB of memory", float64(memory("MemTotal"))/(1<<30))
	if release, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		text += ", Linux " + strings.TrimSpace(string(release))
	}
	return machine{text: text, before: loadAverage()}
}

// end notes the load at the end.
func (m *machine) end() { m.after = loadAverage() }

func (m machine) String() string {
	return fmt.Sprintf("%s; load average %s before, %s after", m.text, m.before, m.after)
}

func loadAverage() string {
	load, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	one, _, _ := strings.Cut(string(load), " ")
	return one
}

// cpuModel is empty where /proc/cpuinfo names none, as on most of ARM.
func cpuModel() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if name, value, found := strings.Cut(line, ":"); found && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// memory is a field of /proc/meminfo in bytes, 0 where it is not there.
func memory(field string) int64 {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if value, found := strings.CutPrefix(line, field+":"); found {
			kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
			if err != nil {
				return 0
			}
			return kib << 10
		}
	}
	return 0
}
