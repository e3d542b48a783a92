package peers

import (
	"fmt"
	"os"
	"testing"
)

// buildDir is where tests build what they share.
var buildDir string

// TestMain lets the test binary be the child that Run starts as itself.
func TestMain(m *testing.M) {
	if ran, err := Child(os.Args[1:]); ran {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(testAll(m))
}

func testAll(m *testing.M) int {
	var err error
	if buildDir, err = os.MkdirTemp("", "peers-build-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(buildDir)
	return m.Run()
}
