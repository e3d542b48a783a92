package peers

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"text/template"
)

// kind is a server that can be measured: how to find it, set it up and start it,
// and what it cannot do.
type kind struct {
	name   string
	find   func(context.Context, *Options) (program, error)
	file   string // of its configuration, in site.Dir
	config *template.Template
	args   func(binary string, s site, config string) []string // binary first
	log    string                                              // its log, in site.Dir
	// mute are the identity headers for which it has no value.
	mute []string
	// noCRL says why it lets revoked clients in; empty if it does not.
	noCRL string
}

// kinds are all there are, Sallyport first. Reports have them in this order.
var kinds = []*kind{sallyport, nginx, haproxy, caddy, goNetHTTP}

// program is a server as it is installed.
type program struct {
	binary  string
	version string // with that of its TLS library, where that is not its own
}

// errMissing is that a server is not installed.
var errMissing = errors.New("not installed")

// lookUp finds a program in PATH, or where Debian puts daemons, which few but
// root have in theirs.
func lookUp(name string) (string, error) {
	if file, err := exec.LookPath(name); err == nil {
		return filepath.Abs(file)
	}
	file, err := exec.LookPath("/usr/sbin/" + name)
	if err != nil {
		return "", fmt.Errorf("%s is %w", name, errMissing)
	}
	return file, nil
}

// ask runs a program that says its version, and returns all it says.
func ask(ctx context.Context, binary string, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, binary, args...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("ask %s for its version: %w\n%s", binary, err, strings.TrimSpace(string(out)))
	}
	return string(out), nil
}
