// Package vagrant_test checks the Vagrantfile where vagrant is installed.
package vagrant_test

import (
	"os"
	"os/exec"
	"testing"
)

// TestValidate has vagrant read the file. That vagrant is not there is no failure
// in CI either: it is a large package, which .ci/setup installs for soak only.
func TestValidate(t *testing.T) {
	if _, err := exec.LookPath("vagrant"); err != nil {
		t.Skip("vagrant is not installed (.ci/setup soak)")
	}
	args := []string{"validate", "--ignore-provider"}
	cmd := exec.Command("vagrant", args...)
	cmd.Env = append(os.Environ(), "VAGRANT_HOME="+t.TempDir(), "VAGRANT_CHECKPOINT_DISABLE=1", "VAGRANT_DOTFILE_PATH="+t.TempDir())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestScripts has bash read what it is to run.
func TestScripts(t *testing.T) {
	for _, script := range []string{"provision.sh", "../.ci/provision"} {
		if out, err := exec.Command("bash", "-n", script).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", script, err, out)
		}
	}
}
