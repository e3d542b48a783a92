package main

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// fakeSystemd is the notify socket of a service manager, and all that it heard.
type fakeSystemd struct {
	path string

	mu    sync.Mutex
	heard []notification
}

type notification struct {
	pid  int
	text string
	file *os.File // that came along
}

func startSystemd(t *testing.T) *fakeSystemd {
	t.Helper()
	m := &fakeSystemd{path: filepath.Join(t.TempDir(), "notify")}
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: m.path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PASSCRED, 1) })
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		text, rights := make([]byte, 4096), make([]byte, 4096)
		for {
			n, rn, _, _, err := conn.ReadMsgUnix(text, rights)
			if err != nil {
				return
			}
			m.hear(string(text[:n]), rights[:rn])
		}
	}()
	t.Cleanup(func() { conn.Close(); <-done })
	return m
}

func (m *fakeSystemd) hear(text string, rights []byte) {
	n := notification{text: text}
	messages, _ := unix.ParseSocketControlMessage(rights)
	for i := range messages {
		if who, err := unix.ParseUnixCredentials(&messages[i]); err == nil {
			n.pid = int(who.Pid)
		}
		if fds, err := unix.ParseUnixRights(&messages[i]); err == nil && len(fds) == 1 {
			n.file = os.NewFile(uintptr(fds[0]), "stored")
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.heard = append(m.heard, n)
}

// from returns the first that a process has said which matches, from index on.
func (m *fakeSystemd) from(pid int, re string, index int) (found notification, at int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, n := range m.heard {
		if i >= index && n.pid == pid && regexp.MustCompile("(?m)"+re).MatchString(n.text) {
			return n, i
		}
	}
	return notification{}, -1
}

// await is from, when it comes.
func (m *fakeSystemd) await(r *edgeRig, pid int, re string, index int) (notification, int) {
	r.t.Helper()
	for over := time.Now().Add(2 * patience); ; time.Sleep(5 * time.Millisecond) {
		if n, at := m.from(pid, re, index); at >= 0 {
			return n, at
		}
		if time.Now().After(over) {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.heard = slices.DeleteFunc(m.heard, func(n notification) bool { return n.text == "WATCHDOG=1" })
			r.t.Fatalf("process %d did not say %q: %+v", pid, re, m.heard)
		}
	}
}

// The service manager hears who is ready, who has taken over, that it is alive, and
// has the listening sockets.
func TestNotify(t *testing.T) {
	m := startSystemd(t)
	r := startRig(t, "NOTIFY_SOCKET="+m.path, "WATCHDOG_USEC=300000")
	first := r.status().PID
	_, ready := m.await(r, first, `^READY=1$`, 0)
	m.await(r, first, `^WATCHDOG=1$`, ready)
	name := "listen-" + strings.ReplaceAll(r.address, ":", "_")
	stored, _ := m.await(r, first, `^FDSTORE=1\nFDNAME=`+regexp.QuoteMeta(name)+`$`, ready)
	if stored.file == nil {
		t.Fatal("no descriptor came along")
	}
	defer stored.file.Close()

	r.mustUpgrade()
	second := r.status().PID
	_, left := m.await(r, first, fmt.Sprintf(`^MAINPID=%d$`, second), ready)
	_, ready = m.await(r, second, `^READY=1$`, 0)
	if ready < left {
		t.Error("the successor spoke before it was the main process: nobody listens to it then")
	}
	m.await(r, second, `^WATCHDOG=1$`, ready)
	m.await(r, second, `^FDSTORE=1`, ready)
	if _, at := m.from(first, `^WATCHDOG=1$`, left); at >= 0 {
		t.Error("the predecessor still says that the service is alive")
	}
	syscall.Kill(second, syscall.SIGTERM)
	m.await(r, second, `^STOPPING=1$`, ready)
	if _, at := m.from(first, `STOPPING`, 0); at >= 0 {
		t.Error("the predecessor has said that the service stops")
	}
}

// Sockets that systemd opened are listened on, by name or by address; a process
// that is killed leaves what waits on them to the next one.
func TestSocketActivation(t *testing.T) {
	for name, socket := range map[string]string{"by name": "verify", "by address": "LISTEN_FD_3", "as stored": "listen-_1"} {
		t.Run(name, func(t *testing.T) {
			r := startRig(t)
			r.first.Process.Kill()
			r.await("the edge is gone", func() bool { return syscall.Kill(r.first.Process.Pid, 0) != nil })
			l, err := net.Listen("tcp", r.address)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			file, err := l.(*net.TCPListener).File()
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			conn, err := net.Dial("tcp", r.address) // before anybody accepts
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()

			program, err := exec.LookPath("sallyport")
			if err != nil {
				t.Fatal(err)
			}
			if socket == "verify" { // then the address in the configuration is of no matter
				text, err := os.ReadFile(filepath.Join(r.dir, "sallyport.yaml"))
				if err != nil {
					t.Fatal(err)
				}
				r.write("sallyport.yaml", strings.ReplaceAll(string(text), r.address, "127.0.0.1:1"))
			}
			cmd := exec.Command("sh", "-c", `LISTEN_PID=$$ exec "$0" run -c sallyport.yaml`, program)
			log, err := os.Create(filepath.Join(r.dir, "edge.log"))
			if err != nil {
				t.Fatal(err)
			}
			defer log.Close()
			cmd.Dir, cmd.Stdout, cmd.Stderr = r.dir, log, log
			cmd.Env = append(os.Environ(), "LISTEN_FDS=1", "LISTEN_FDNAMES="+socket)
			cmd.ExtraFiles = []*os.File{file}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() { cmd.Process.Kill(); cmd.Wait() }()
			if _, err := awaitReady(r.client, 2*patience); err != nil {
				t.Fatalf("%v\n%s", err, r.log())
			}
			r.serves(conn)
			// And another process gets them from this one, not from systemd.
			r.mustUpgrade()
			conn, err = net.Dial("tcp", r.address)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			r.serves(conn)
			if strings.Contains(r.log(), "is of no listener") {
				t.Error(r.log())
			}
		})
	}
}

// serves makes a request on a connection that there is.
func (r *edgeRig) serves(raw net.Conn) {
	r.t.Helper()
	conn := tls.Client(raw, r.clientConfig("client"))
	if _, err := exchange(conn, bufio.NewReader(conn)); err != nil {
		r.t.Fatalf("%v\n%s", err, r.log())
	}
}

// The unit is one that systemd takes, and that its own audit finds little in.
func TestUnit(t *testing.T) {
	if found, err := needs("systemd-analyze"); err != nil {
		t.Fatal(err)
	} else if !found {
		t.Skip("systemd-analyze is not installed")
	}
	dir := t.TempDir()
	for _, name := range []string{"sallyport.service", "sallyport.socket"} {
		text, err := os.ReadFile(filepath.Join("..", "..", "systemd", name))
		if err != nil {
			t.Fatal(err)
		}
		// systemd wants to see the program.
		installed := strings.ReplaceAll(string(text), "/usr/bin/sallyport ", "/bin/true ")
		if err := os.WriteFile(filepath.Join(dir, name), []byte(installed), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	unit := filepath.Join(dir, "sallyport.service")
	cmd := exec.Command("systemd-analyze", "verify", "--man=no", unit, filepath.Join(dir, "sallyport.socket"))
	if out, err := cmd.CombinedOutput(); err != nil || strings.Contains(string(out), dir) {
		t.Errorf("%v\n%s", err, out)
	}
	out, err := exec.Command("systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=25", unit).CombinedOutput()
	if err != nil {
		t.Errorf("exposed to more than 2.5 of 10: %v\n%s", err, out)
	}
	text, err := os.ReadFile(unit)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(text), "CAP_NET_BIND_SERVICE CAP_BPF CAP_NET_ADMIN\n"); n != 2 {
		t.Errorf("%d lines with the capabilities that an edge may need, want AmbientCapabilities and CapabilityBoundingSet", n)
	}
}

// What a service manager has said to one process is not for its successor.
func TestSuccessorEnv(t *testing.T) {
	got := successorEnv([]string{"A=1", "WATCHDOG_PID=7", "WATCHDOG_USEC=9", "LISTEN_PID=7", "LISTEN_FDS=1", "LISTEN_FDNAMES=x", "NOTIFY_SOCKET=/n"})
	if want := "A=1 WATCHDOG_USEC=9 NOTIFY_SOCKET=/n"; strings.Join(got, " ") != want {
		t.Errorf("got %q, want %q", got, want)
	}
	program, err := successor()
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{t.TempDir(), filepath.Join(t.TempDir(), "none")} {
		if cmd, err := program(path); err == nil {
			t.Errorf("%s: would start %v", path, cmd)
		}
	}
}
