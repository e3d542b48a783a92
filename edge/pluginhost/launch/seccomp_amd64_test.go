package launch

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// The older calls on a file's mode, owner and times, which libraries no longer make.
func TestOldCallsOnFilesDenied(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	var what []string
	for _, call := range []int{unix.SYS_CHMOD, unix.SYS_CHOWN, unix.SYS_LCHOWN, unix.SYS_UTIME, unix.SYS_UTIMES, unix.SYS_FUTIMESAT} {
		what = append(what, fmt.Sprintf("call %d %s", call, file))
	}
	f := newFixture(t, "try", what...)
	f.spec.Sandbox.Require = []string{MeasureSeccomp}
	for w, got := range hear[map[string]string](t, f.start()) {
		if got != unix.EPERM.Error() {
			t.Errorf("%s: %q, want %q", w, got, unix.EPERM)
		}
	}
}
