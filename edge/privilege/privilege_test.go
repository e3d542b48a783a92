package privilege

import (
	"os"
	"os/exec"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

func TestSet(t *testing.T) {
	if got := (NetBindService | NetAdmin | BPF).String(); got != "CAP_NET_BIND_SERVICE CAP_NET_ADMIN CAP_BPF" {
		t.Errorf("got %s", got)
	}
	if got := Set(0).String(); got != "none" {
		t.Errorf("got %s", got)
	}
	if got := Set(1<<0 | 1<<40 | 1<<63).Names(); !slices.Equal(got, []string{"CAP_CHOWN", "CAP_CHECKPOINT_RESTORE", "CAP_63"}) {
		t.Errorf("got %s", got)
	}
}

func TestHeldIn(t *testing.T) {
	got, err := heldIn(strings.NewReader("Name:\tx\nCapInh:\t00000000000000ff\nCapPrm:\t0000008000001400\nCapEff:\t0\n"))
	if err != nil || got != NetBindService|NetAdmin|BPF {
		t.Errorf("got %v, %v", got, err)
	}
	for _, text := range []string{"", "CapPrm:\tx\n", "CapPrm:\n"} {
		if got, err := heldIn(strings.NewReader(text)); err == nil {
			t.Errorf("%q: got %v", text, got)
		}
	}
	if _, err := Held(); err != nil {
		t.Error(err)
	}
}

func TestLookup(t *testing.T) {
	if _, err := Lookup("no-such-user-here"); err == nil || !strings.Contains(err.Error(), `"no-such-user-here": no such user`) {
		t.Errorf("got %v", err)
	}
	want, err := user.Lookup("nobody")
	if err != nil {
		t.Skip("there is no user nobody")
	}
	for _, name := range []string{"nobody", want.Uid} {
		if a, err := Lookup(name); err != nil || strconv.Itoa(a.UID) != want.Uid || strconv.Itoa(a.GID) != want.Gid || a.Name != "nobody" {
			t.Errorf("%s: got %+v, %v", name, a, err)
		}
	}
}

// TestBecome runs this test again as another process, which becomes nobody with one
// capability, keeps its number and its descriptors, and can have nothing back.
func TestBecome(t *testing.T) {
	if os.Getenv("BECOME") != "" {
		becomeNobody(t)
		return
	}
	if os.Getuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("not root, and CI must not skip")
		}
		t.Skip("needs root")
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cmd := exec.Command(os.Args[0], "-test.run", "^TestBecome$", "-test.v")
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), "BECOME=1")
	cmd.ExtraFiles = []*os.File{w}
	out, err := cmd.CombinedOutput()
	w.Close()
	if err != nil || !strings.Contains(string(out), "uid=65534 caps=CAP_NET_BIND_SERVICE same=true pipe=true nnp=1 groups=") {
		t.Errorf("%v\n%s", err, out)
	}
}

func becomeNobody(t *testing.T) {
	if !Became() {
		os.Setenv("BECOME_PID", strconv.Itoa(os.Getpid()))
		t.Fatal(Become(&Account{Name: "nobody", UID: 65534, GID: 65534}, NetBindService))
	}
	held, err := Held()
	if err != nil {
		t.Fatal(err)
	}
	var stat syscall.Stat_t
	pipe := syscall.Fstat(3, &stat) == nil && stat.Mode&syscall.S_IFMT == syscall.S_IFIFO
	status, _ := os.ReadFile("/proc/self/status")
	nnp := "?"
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "NoNewPrivs:"); ok {
			nnp = strings.TrimSpace(rest)
		}
		if rest, ok := strings.CutPrefix(line, "CapBnd:"); ok && strings.TrimSpace(rest) != "0000000000000400" {
			t.Errorf("bounding set %s", rest)
		}
	}
	groups, _ := os.Getgroups()
	t.Logf("uid=%d caps=%v same=%v pipe=%v nnp=%s groups=%v", os.Getuid(), held, os.Getenv("BECOME_PID") == strconv.Itoa(os.Getpid()), pipe, nnp, groups)
	if Became() {
		t.Error("a process started from here would take itself for one that became another")
	}
}
