package benchmark

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
)

// Machine is what is measured on, and how busy it was: its load averages over a
// minute.
type Machine struct {
	Text          string
	Before, After string
}

// DescribeMachine is called before anything is measured.
func DescribeMachine() Machine {
	text := fmt.Sprintf("%d cores", runtime.NumCPU())
	if model := cpuModel(); model != "" {
		text += " (" + model + ")"
	}
	text += fmt.Sprintf(", %.0f GiB of memory", float64(memory("MemTotal"))/(1<<30))
	if release, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		text += ", Linux " + strings.TrimSpace(string(release))
	}
	return Machine{Text: text, Before: loadAverage()}
}

// End notes the load at the end.
func (m *Machine) End() { m.After = loadAverage() }

func (m Machine) String() string {
	return fmt.Sprintf("%s; load average %s before, %s after", m.Text, m.Before, m.After)
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

// AvailableMemory is in bytes; 0 where the kernel does not tell.
func AvailableMemory() int64 { return memory("MemAvailable") }

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
