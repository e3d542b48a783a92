package loadtest

import (
	"os"
	"runtime"
	"strings"
	"syscall"
)

// thisMachine describes where the process runs; what cannot be read is empty.
func thisMachine() Machine {
	m := Machine{Cores: runtime.NumCPU(), Go: runtime.Version()}
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				m.CPU = strings.TrimSpace(value)
				break
			}
		}
	}
	var u syscall.Utsname
	if syscall.Uname(&u) == nil {
		var release strings.Builder
		for _, c := range u.Release {
			if c == 0 {
				break
			}
			release.WriteByte(byte(c))
		}
		m.Kernel = release.String()
	}
	return m
}
