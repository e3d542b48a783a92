package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"

	"github.com/rogpeppe/go-internal/testscript"
)

// namespaces counts those that this process has made, for their names.
var namespaces atomic.Int64

// mayUseNamespaces says whether a script can have a network of its own. In CI
// its absence is a failure, not a reason to skip.
func mayUseNamespaces() (bool, error) {
	if os.Getuid() != 0 {
		if os.Getenv("CI") != "" {
			return false, fmt.Errorf("not root, and CI must not skip")
		}
		return false, nil
	}
	for _, tool := range []string{"ip", "nsenter"} {
		if found, err := needs(tool); !found || err != nil {
			return false, err
		}
	}
	return true, nil
}

// netns makes a network namespace in which the loopback interface has these
// addresses, and puts what nsenter --net needs into the variable, its name into VARNAME. The
// namespace
// is gone with the script.
func netns(ts *testscript.TestScript, _ bool, args []string) {
	name := fmt.Sprintf("sallyport-%d-%d", os.Getpid(), namespaces.Add(1))
	ip := func(args ...string) {
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			ts.Fatalf("ip %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	ip("netns", "add", name)
	ts.Defer(func() { exec.Command("ip", "netns", "delete", name).Run() })
	ip("-n", name, "link", "set", "lo", "up")
	for _, address := range args[1:] {
		ip("-n", name, "address", "add", address, "dev", "lo")
	}
	ts.Setenv(args[0], "/run/netns/"+name)
	ts.Setenv(args[0]+"NAME", name)
}
