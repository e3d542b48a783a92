package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/sallyport/sallyport/edge/admin"
)

// asRoot skips without root, and fails instead in CI.
func asRoot(t *testing.T) {
	t.Helper()
	if os.Getuid() == 0 {
		return
	}
	if os.Getenv("CI") != "" {
		t.Fatal("not root, and CI must not skip")
	}
	t.Skip("needs root")
}

const nobody = 65534

// openToNobody makes a directory with makePKI's files and the program, in which
// nobody may do as they like.
func openToNobody(t *testing.T) (dir, program string) {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "sallyport-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := makePKI(dir); err != nil {
		t.Fatal(err)
	}
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	from, err := os.Open(own)
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	program = filepath.Join(dir, "sallyport") // by which name the test binary is it
	to, err := os.OpenFile(program, os.O_WRONLY|os.O_CREATE, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(to, from); err != nil {
		t.Fatal(err)
	}
	if err := to.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if err := os.Chown(filepath.Join(dir, e.Name()), nobody, nobody); err != nil {
			t.Fatal(err)
		}
	}
	return dir, program
}

// unprivileged starts an edge there, and returns it ready. A port below 1024 shows
// that its one capability is of use.
func unprivileged(t *testing.T, more string, attributes *syscall.SysProcAttr) *edgeRig {
	t.Helper()
	asRoot(t)
	dir, program := openToNobody(t)
	r := &edgeRig{t: t, dir: dir, client: admin.NewClient(filepath.Join(dir, "run", "admin.sock"))}
	for port := 1023; port > 512 && r.address == ""; port-- {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			r.address = l.Addr().String()
			l.Close()
		}
	}
	r.write("sallyport.yaml", fmt.Sprintf(rigConfig, "127.0.0.1:9", r.address)+more)
	if err := os.Chown(filepath.Join(dir, "sallyport.yaml"), nobody, nobody); err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(dir, "edge.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	r.first = exec.Command(program, "run", "-c", filepath.Join(dir, "sallyport.yaml"))
	r.first.Dir, r.first.Stdout, r.first.Stderr, r.first.SysProcAttr = "/", log, log, attributes
	if attributes != nil { // the directory is not nobody's, so these have to be there
		for _, name := range []string{"state", "run"} {
			if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.Chown(filepath.Join(dir, name), nobody, nobody); err != nil {
				t.Fatal(err)
			}
		}
		file, err := os.Create(filepath.Join(dir, "connection.log"))
		if err == nil {
			err = file.Chown(nobody, nobody)
			file.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
	} else if file, err := os.Create(filepath.Join(dir, "connection.log")); err != nil || file.Chown(nobody, nobody) != nil || file.Close() != nil {
		t.Fatal(err)
	}
	if err := r.first.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); r.first.Wait() }()
	t.Cleanup(func() {
		endSuccessor(filepath.Join(dir, "run", "admin.sock"))
		r.first.Process.Kill()
		<-ended
	})
	if _, err := awaitReady(r.client, 2*patience); err != nil {
		t.Fatalf("not ready: %v\n%s", err, r.log())
	}
	return r
}

// wantRights checks what the process says it may do, and what the kernel says.
func (r *edgeRig) wantRights(capabilities ...string) {
	r.t.Helper()
	s := r.status()
	if s.Rights.UID != nobody || !slices.Equal(s.Rights.Capabilities, capabilities) || len(s.Rights.Beyond) != 0 || s.Rights.Problem != "" {
		r.t.Errorf("%+v, want user %d with %s", s.Rights, nobody, capabilities)
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.PID))
	if err != nil {
		r.t.Fatal(err)
	}
	if !strings.Contains(string(status), fmt.Sprintf("Uid:\t%d\t%d\t%d\t%d\n", nobody, nobody, nobody, nobody)) {
		r.t.Errorf("status:\n%s", status)
	}
}

// The whole daemon runs as an unprivileged user with exactly what it needs, and so
// does its successor; what was given beyond that, it gives up.
func TestUnprivileged(t *testing.T) {
	const bind, netAdmin, bpf = 10, 12, 39
	for name, given := range map[string][]uintptr{"exactly": {bind}, "with more": {bind, netAdmin, bpf}} {
		t.Run(name, func(t *testing.T) {
			r := unprivileged(t, "", &syscall.SysProcAttr{
				Credential:  &syscall.Credential{Uid: nobody, Gid: nobody},
				AmbientCaps: given,
			})
			r.wantRights("CAP_NET_BIND_SERVICE")
			r.mustUpgrade()
			r.wantRights("CAP_NET_BIND_SERVICE")
			if conn, err := net.Dial("tcp", r.address); err != nil {
				t.Error(err)
			} else {
				conn.Close()
			}
		})
	}
}

// Started as root with a user configured, it is that user before it opens anything.
func TestUserFromRoot(t *testing.T) {
	r := unprivileged(t, "user: \"65534\"\n", nil)
	if pid := r.status().PID; pid != r.first.Process.Pid {
		t.Errorf("pid %d answers, want %d, which was started", pid, r.first.Process.Pid)
	}
	r.wantRights("CAP_NET_BIND_SERVICE")
	for _, name := range []string{"state", "run", "state/bans", "run/admin.sock", "state/lock"} {
		info, err := os.Stat(filepath.Join(r.dir, name))
		if err != nil {
			if name != "state/bans" { // nothing was banned yet
				t.Error(err)
			}
			continue
		}
		if owner := info.Sys().(*syscall.Stat_t).Uid; owner != nobody {
			t.Errorf("%s belongs to %d", name, owner)
		}
	}
	r.mustUpgrade()
	r.wantRights("CAP_NET_BIND_SERVICE")
	out, err := exec.Command("sallyport", "status", "-c", filepath.Join(r.dir, "sallyport.yaml")).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "runs as nobody, with CAP_NET_BIND_SERVICE\n") {
		t.Errorf("%v\n%s", err, out)
	}
}

// A user that is not there, or that the process is not and cannot become.
func TestUserRefused(t *testing.T) {
	r := &edgeRig{t: t, dir: t.TempDir()}
	if err := makePKI(r.dir); err != nil {
		t.Fatal(err)
	}
	r.write("sallyport.yaml", fmt.Sprintf(rigConfig, "127.0.0.1:9", "127.0.0.1:0")+"user: no-such-user\n")
	for _, command := range []string{"check", "run"} {
		out, code := r.runToEnd(command, "-c", "sallyport.yaml")
		if code != exitRefused || !strings.Contains(out, `user: "no-such-user": no such user on this host`) {
			t.Errorf("%s: exit %d\n%s", command, code, out)
		}
	}
}
