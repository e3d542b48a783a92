package peers

import (
	"fmt"
	"os"
	"runtime"
	"strings"
)

// describeMachine says what is measured on, and how busy it was before.
func describeMachine() string {
	text := fmt.Sprintf("%d cores", runtime.NumCPU())
	if model := cpuModel(); model != "" {
		text += " (" + model + ")"
	}
	if release, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		text += ", Linux " + strings.TrimSpace(string(release))
	}
	text += ", " + runtime.Version()
	if load, err := os.ReadFile("/proc/loadavg"); err == nil {
		one, _, _ := strings.Cut(string(load), " ")
		text += ", load average " + one + " at the start"
	}
	return text
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
