package launch

import (
	"fmt"
	"strings"
)

// DataFD is the program's descriptor of the data socket; DataFDVariable tells it.
const (
	DataFD         = 3
	DataFDVariable = "SALLYPORT_PLUGIN_FD"
)

// systemPath is not the edge's own PATH: which program a plugin starts must not
// depend on the shell that the edge was started from.
const systemPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Environment is what a program gets: PATH with the system's directories and
// LANG=C.UTF-8, unless configured has others; what is configured, of which the last
// of a name counts; and SALLYPORT_PLUGIN_FD=3. Nothing of the edge's own
// environment, where secrets are.
func Environment(configured []string) ([]string, error) {
	env := []string{"PATH=" + systemPath, "LANG=C.UTF-8"}
	for _, entry := range configured {
		name, _, ok := strings.Cut(entry, "=")
		switch {
		case !ok || name == "" || strings.ContainsRune(entry, 0):
			return nil, fmt.Errorf("environment entry %q: want NAME=VALUE without NUL bytes", entry)
		case name == DataFDVariable:
			return nil, fmt.Errorf("environment entry %q: the name is Sallyport's", entry)
		}
		env = set(env, name, entry)
	}
	return append(env, fmt.Sprintf("%s=%d", DataFDVariable, DataFD)), nil
}

func set(env []string, name, entry string) []string {
	for i := range env {
		if strings.HasPrefix(env[i], name+"=") {
			env[i] = entry
			return env
		}
	}
	return append(env, entry)
}

func lookup(env []string, name string) (value string, ok bool) {
	for _, entry := range env {
		if value, ok := strings.CutPrefix(entry, name+"="); ok {
			return value, true
		}
	}
	return "", false
}
