package segment

import (
	"errors"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"testing"
)

// The environment of a test binary that is to be killed while it builds.
const (
	killDir  = "SEGMENT_TEST_DIR"
	killStep = "SEGMENT_TEST_STEP"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(killDir); dir != "" {
		buildAndDie(dir, os.Getenv(killStep))
	}
	os.Exit(m.Run())
}

// killSerial is in the file that the killed process writes, not in the older.
var killSerial = []byte{0x0d, 0x1e}

// buildAndDie builds over the file in dir and kills its own process at a step.
func buildAndDie(dir, step string) {
	b := NewBuilder(Options{Dir: dir})
	b.reached = func(at string) {
		if at == step {
			syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {} // until it comes
		}
	}
	for n := range 50_000 {
		if err := b.Add([]byte{1, 2, 3, byte(n), byte(n >> 8), byte(n >> 16)}, Entry{}); err != nil {
			panic(err)
		}
	}
	if err := b.Add(killSerial, Entry{Reason: 1}); err != nil {
		panic(err)
	}
	if _, err := b.Build([]byte("new"), "list"); err != nil {
		panic(err)
	}
	os.Exit(0)
}

// TestKilled kills a process while it replaces a file. What is opened then is
// the older one or the new one, whole, and what is left over can be removed.
func TestKilled(t *testing.T) {
	for _, tt := range []struct {
		step string // "": none
		head string
	}{{"sized", "head"}, {"half filled", "head"}, {"filled", "head"}, {"written", "head"}, {"renamed", "new"}, {"", "new"}} {
		t.Run(tt.step, func(t *testing.T) {
			dir := privateDir(t)
			old := golden(t, dir)
			command := exec.Command(os.Args[0])
			command.Env = append(os.Environ(), killDir+"="+dir, killStep+"="+tt.step)
			out, err := command.CombinedOutput()
			var exit *exec.ExitError
			if tt.step != "" && !(errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL) || tt.step == "" && err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			s, head, err := Open(dir, "list")
			if err != nil || string(head) != tt.head {
				t.Fatalf("head %q, %v: want %q", head, err, tt.head)
			}
			if err := s.Verify(); err != nil {
				t.Error(err)
			}
			if tt.head == "head" {
				old.askAll(t, s)
				old.ask(t, s, killSerial)
			} else if e, found, err := s.Find(killSerial); e != (Entry{Reason: 1}) || !found || err != nil {
				t.Errorf("new file: %v, %v, %v", e, found, err)
			}
			if left := len(namesIn(t, dir)) > 1; left != (tt.head == "head") {
				t.Errorf("left in the directory: %q", namesIn(t, dir))
			}
			if err := CleanDir(dir); err != nil {
				t.Fatal(err)
			}
			if names := namesIn(t, dir); !slices.Equal(names, []string{"list"}) {
				t.Errorf("after cleaning: %q", names)
			}
		})
	}
}
