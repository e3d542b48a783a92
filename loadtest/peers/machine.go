package peers

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/sallyport/sallyport/loadtest"
)

// describe says what was measured on. The processor's model is empty on most of
// ARM.
func describe(m loadtest.Machine) string {
	cores := fmt.Sprintf("%d cores", m.Cores)
	if m.CPU != "" {
		cores += " (" + m.CPU + ")"
	}
	return fmt.Sprintf("%s, Linux %s, %s", cores, m.Kernel, m.Go)
}

// readLoad is the machine's load average over the last minute; 0 where there is
// none.
func readLoad() float64 {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0
	}
	one, _, _ := strings.Cut(string(text), " ")
	load, err := strconv.ParseFloat(one, 64)
	if err != nil {
		return 0
	}
	return load
}
