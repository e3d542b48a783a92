package launch

import (
	"errors"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// Of every measure: that it is in force as reported, as the kernel sees it.
func TestSandboxIsInForce(t *testing.T) {
	f := newFixture(t, "hang")
	f.spec.Sandbox.Require = []string{MeasureCapabilities, MeasureNoNewPrivs, MeasureSeccomp, MeasureNetwork, MeasureLandlock}
	p := f.start()
	hear[int](t, p)
	for key, want := range map[string]string{
		"NoNewPrivs": "1", "Seccomp": "2", "Seccomp_filters": "1",
		"CapInh": "0000000000000000", "CapPrm": "0000000000000000", "CapEff": "0000000000000000", "CapAmb": "0000000000000000",
	} {
		if got := statusOf(t, p.Pid(), key); got != want {
			t.Errorf("%s: %s, want %s", key, got, want)
		}
	}
	if os.Geteuid() == 0 {
		if got := statusOf(t, p.Pid(), "CapBnd"); got != "0000000000000000" {
			t.Errorf("CapBnd: %s", got)
		}
	}
	if got := statusOf(t, p.Pid(), "Threads"); number(t, got) == 0 {
		t.Errorf("threads: %s", got)
	}
	report := p.Report()
	if len(report) != len(Measures) {
		t.Fatalf("a report of %d measures: %v", len(report), report)
	}
	for i, m := range report {
		if m.Name != Measures[i] || m.Detail == "" {
			t.Errorf("measure %d: %+v, want %s and how", i, m, Measures[i])
		}
		t.Logf("%+v", m)
	}
	for _, name := range f.spec.Sandbox.Require {
		if !report.InForce(name) {
			t.Errorf("%s is not in force", name)
		}
	}
	var core unix.Rlimit
	if err := unix.Prlimit(p.Pid(), unix.RLIMIT_CORE, nil, &core); err != nil || core.Max != 0 {
		t.Errorf("limit of core: %+v, %v", core, err)
	}
	var files unix.Rlimit
	if err := unix.Prlimit(p.Pid(), unix.RLIMIT_NOFILE, nil, &files); err != nil || files.Max != defaultOpenFiles {
		t.Errorf("limit of files: %+v, %v", files, err)
	}
}

// What the sandbox denies is denied; what it grants, and what a program needs,
// works. Every denial is paired with the grant that lifts it.
func TestSandboxDenies(t *testing.T) {
	dir := t.TempDir()
	secret := filepath.Join(dir, "secret")
	if err := os.WriteFile(secret, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	granted := filepath.Join(dir, "granted")
	if err := os.Mkdir(granted, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(granted, "file"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	target := filepath.Join(dir, "target")
	if err := os.WriteFile(target, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	unixSocket, tcp := listeners(t)
	datagrams := filepath.Join(dir, "datagrams")
	receiver, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: datagrams, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { receiver.Close() })

	const (
		ok     = "ok"
		denied = "permission denied"
		eperm  = "operation not permitted"
	)
	strict := map[string]string{
		"read " + secret:             denied,
		"write " + secret:            denied,
		"write " + dir + "/new":      denied,
		"read /proc/1/cmdline":       denied,
		"read " + granted + "/file":  denied,
		"read /etc/hosts":            denied,
		"read /dev/null":             ok,
		"write /dev/null":            ok,
		"execute /bin/true":          ok,
		"thread":                     ok,
		"socket 2":                   eperm, // AF_INET
		"socket 10":                  eperm, // AF_INET6
		"socket 16":                  eperm, // AF_NETLINK
		"socket 17":                  eperm, // AF_PACKET
		"socket 40":                  eperm, // AF_VSOCK
		"socket 1":                   ok,
		"connect-unix " + unixSocket: eperm,
		"connect-tcp " + tcp:         eperm,
		"ptrace":                     eperm,
		"unshare":                    eperm,
		"namespace":                  eperm,
		"clone3":                     "function not implemented",
		"bpf":                        eperm,
		"io_uring":                   eperm,
		"mount":                      eperm,
		"keyctl":                     eperm,
		"signal":                     eperm,
		"signal-self":                ok,
		"limit-parent":               eperm,
		"limit-self":                 ok,
		"datagram-raw":               eperm,
	}
	for _, verb := range []string{"chmod", "fchmodat", "chown", "utime", "utimens", "setxattr", "truncate"} {
		strict[verb+" "+secret] = eperm
	}
	for _, verb := range []string{"datagram", "datagram-pair"} {
		strict[verb+" "+datagrams] = eperm
	}
	if os.Geteuid() == 0 {
		strict["read /etc/shadow"] = denied
	}
	cases := []struct {
		name    string
		sandbox Sandbox
		want    map[string]string
	}{
		{"strict", Sandbox{Require: []string{MeasureLandlock, MeasureSeccomp}}, strict},
		{"read", Sandbox{Read: []string{granted}}, map[string]string{
			"read " + granted + "/file": ok, "write " + granted + "/file": denied, "read " + secret: denied,
		}},
		{"read a file", Sandbox{Read: []string{granted + "/file"}}, map[string]string{"read " + granted + "/file": ok, "read " + secret: denied}},
		{"write", Sandbox{Write: []string{granted}}, map[string]string{
			"fchmod " + granted + "/file": eperm, "chmod " + granted + "/file": eperm, "utime " + granted + "/file": eperm,
			"write " + granted + "/new": ok, "read " + granted + "/file": ok, "write " + secret: denied,
		}},
		{"network", Sandbox{Network: true}, map[string]string{
			"socket 2": ok, "connect-unix " + unixSocket: ok, "connect-tcp " + tcp: ok, "read /etc/hosts": ok,
			"datagram " + datagrams: ok, "datagram-raw": ok, "datagram-pair " + datagrams: ok,
			"ptrace": eperm, "read " + secret: denied,
		}},
		// Signals are the filter's to deny where landlock does not.
		{"all files", Sandbox{AllFiles: true}, map[string]string{
			"read " + secret: ok, "write " + dir + "/new": ok, "socket 2": eperm, "chmod " + secret: eperm, "datagram " + datagrams: eperm, "datagram-raw": eperm,
			"signal": eperm, "signal-self": ok, "signal-pidfd": eperm, "signal-owner": eperm, "thread": ok, "limit-self": ok,
		}},
		{"all calls", Sandbox{AllSyscalls: true}, map[string]string{
			"socket 2": ok, "ptrace": ok, "read " + secret: denied, "limit-parent": ok, "datagram " + datagrams: ok,
			"chmod " + target: ok, "fchmodat " + target: ok, "chown " + target: ok, "utime " + target: ok, "utimens " + target: ok,
		}},
		{"all files and calls", Sandbox{AllFiles: true, AllSyscalls: true}, map[string]string{"signal": ok, "signal-owner": ok, "truncate " + target: ok}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var what []string
			for w := range c.want {
				what = append(what, w)
			}
			f := newFixture(t, "try", what...)
			f.spec.Sandbox = c.sandbox
			p := f.start()
			got := hear[map[string]string](t, p)
			for w, want := range c.want {
				if got[w] != want && !strings.HasSuffix(got[w], ": "+want) {
					t.Errorf("%s: %q, want %q", w, got[w], want)
				}
			}
		})
	}
}

// listeners are of a unix and a TCP socket that take connections.
func listeners(t *testing.T) (unixSocket, tcp string) {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "launch")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	for _, l := range []struct{ network, address string }{{"unix", dir + "/socket"}, {"tcp", "127.0.0.1:0"}} {
		listener, err := net.Listen(l.network, l.address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { listener.Close() })
		unixSocket, tcp = tcp, listener.Addr().String()
	}
	return unixSocket, tcp
}

func TestRequiredMeasureThatIsNotInForce(t *testing.T) {
	f := newFixture(t, "echo")
	f.spec.Sandbox = Sandbox{AllFiles: true, Require: []string{MeasureNoNewPrivs, MeasureLandlock}}
	if got := f.refused(); !strings.Contains(got, MeasureLandlock) || !strings.Contains(got, "turned off") {
		t.Errorf("refused with %q", got)
	}
}

func TestGrantedPathThatIsNotThere(t *testing.T) {
	f := newFixture(t, "echo")
	f.spec.Sandbox.Read = []string{"/no/such/path"}
	if got := f.refused(); !strings.Contains(got, "/no/such/path") {
		t.Errorf("refused with %q", got)
	}
	f.spec.Sandbox = Sandbox{}
	f.spec.Dir = "/no/such/directory"
	if got := f.refused(); !strings.Contains(got, "/no/such/directory") {
		t.Errorf("refused with %q", got)
	}
}

func TestMemory(t *testing.T) {
	for _, c := range []struct{ bytes, want string }{{"10000000", "10000000"}, {"300000000", "0"}} {
		f := newFixture(t, "echo")
		// tail keeps what it is to write.
		f.spec.Command = []string{"/bin/sh", "-c", `echo "\"$(head -c 320000000 /dev/zero | tail -c ` + c.bytes + ` | wc -c)\"" >&3; cat <&3`}
		f.spec.Sandbox.Memory = 256 << 20
		p := f.start()
		if got := hear[string](t, p); got != c.want {
			t.Errorf("%s bytes: %q, want %q", c.bytes, got, c.want)
		}
		var data unix.Rlimit
		if err := unix.Prlimit(p.Pid(), unix.RLIMIT_DATA, nil, &data); err != nil {
			t.Fatal(err)
		}
		if in := strings.Contains(detail(p.Report(), MeasureCgroup), "memory.max="); !in && data.Max != 256<<20 {
			t.Errorf("limit of data %d, and no cgroup's", data.Max)
		}
	}
}

// With a user of its own, or the controller, a plugin can start so many tasks.
func TestTasks(t *testing.T) {
	rootOnly(t)
	const script = `n=0; while [ $n -lt 30 ]; do sleep 1000 & n=$((n+1)); done; echo $n >&3; cat <&3`
	f := newFixture(t, "echo")
	f.spec.Command = []string{"/bin/sh", "-c", script}
	f.spec.Sandbox.User = "dynamic"
	f.spec.Sandbox.Tasks = 100
	f.spec.Sandbox.Require = []string{MeasureLimits}
	if got := hear[int](t, f.start()); got != 30 {
		t.Errorf("started %d", got)
	}
	f.spec.Sandbox.Tasks = 10
	p, err := Start(t.Context(), f.spec, f.opts)
	if err == nil {
		defer p.Kill()
		waitDone(t, p)
		err = p.Err()
	}
	var exit *ExitError
	if !errors.As(err, &exit) || !strings.Contains(exit.LastWords, "annot fork") {
		t.Errorf("ended with %v", err)
	}
}

func TestUser(t *testing.T) {
	rootOnly(t)
	nobody, err := user.Lookup("nobody")
	if err != nil {
		t.Fatal(err)
	}
	binary := everybodys(t)
	for _, c := range []struct{ user, uid string }{
		{"nobody", nobody.Uid}, {"nobody:nogroup", nobody.Uid}, {"4711:4712", "4711"}, {"dynamic", "6"},
	} {
		t.Run(c.user, func(t *testing.T) {
			f := newFixture(t, "hang")
			f.spec.Command[0] = binary
			f.spec.Sandbox.User = c.user
			f.spec.Sandbox.Require = []string{MeasureUser}
			p := f.start()
			hear[int](t, p)
			ids := strings.Fields(statusOf(t, p.Pid(), "Uid"))
			for _, id := range ids {
				if id != ids[0] || !strings.HasPrefix(id, c.uid) {
					t.Errorf("user ids %v, want %s", ids, c.uid)
				}
			}
			if c.user == "4711:4712" {
				if got := statusOf(t, p.Pid(), "Gid"); got != "4712 4712 4712 4712" {
					t.Errorf("group ids %s", got)
				}
			}
			if got := statusOf(t, p.Pid(), "Groups"); got != "" {
				t.Errorf("groups %s", got)
			}
			for _, key := range []string{"CapEff", "CapPrm", "CapBnd", "CapInh"} {
				if got := statusOf(t, p.Pid(), key); got != "0000000000000000" {
					t.Errorf("%s: %s", key, got)
				}
			}
		})
	}
}

// Two processes never share a dynamic user, even of one plugin; and later it is
// free again.
func TestDynamicUsersDiffer(t *testing.T) {
	rootOnly(t)
	f := newFixture(t, "hang")
	f.spec.Command[0] = everybodys(t)
	f.spec.Sandbox.User = "dynamic"
	a, b := f.start(), f.start()
	first, second := statusOf(t, a.Pid(), "Uid"), statusOf(t, b.Pid(), "Uid")
	if first == second {
		t.Errorf("both have %s", first)
	}
	a.Kill()
	waitDone(t, a)
	c := f.start()
	if got := statusOf(t, c.Pid(), "Uid"); got != first {
		t.Errorf("the third has %s, and %s is free", got, first)
	}
}

func TestUserRefused(t *testing.T) {
	for _, name := range []string{"root", "0:0", "5:0", "0:5", "no-such-user-here", "5", "4294967295:5", "nobody:no-such-group-here", "-1:-1"} {
		f := newFixture(t, "echo")
		f.spec.Sandbox.User = name
		if got := f.refused(); !strings.Contains(got, name) {
			t.Errorf("%s: refused with %q", name, got)
		}
	}
}

// An edge without any right starts plugins too, with all of the sandbox that takes
// none; and refuses a user that it cannot give.
func TestUnprivilegedEdge(t *testing.T) {
	rootOnly(t)
	binary := everybodys(t)
	f := newFixture(t, "hang")
	f.spec.Command[0] = binary
	if err := os.Chown(f.opts.RunDir, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	attr := &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	f.spec.Sandbox.Require = []string{MeasureCapabilities, MeasureNoNewPrivs, MeasureLandlock, MeasureSeccomp, MeasureNetwork}
	cmd, says := startEdge(t, binary, attr, f.spec, f.opts)
	for key, want := range map[string]string{"NoNewPrivs": "1", "Seccomp": "2", "CapEff": "0000000000000000", "Uid": "65534 65534 65534 65534"} {
		if got := statusOf(t, says.PID, key); got != want {
			t.Errorf("%s: %s, want %s", key, got, want)
		}
	}
	if says.Report.InForce(MeasureUser) || says.Report.InForce(MeasureCgroup) {
		t.Errorf("reported to be in force: %+v", says.Report)
	}
	launcher := parentOf(says.PID)
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	eventually(t, "all has gone", func() bool { return !alive(says.PID) && !alive(launcher) })
	f.spec.Sandbox.User = "4711:4711"
	text, err := edgeCommand(t, binary, attr, f.spec, f.opts).CombinedOutput()
	if err == nil || !strings.Contains(string(text), "CAP_SETUID") {
		t.Errorf("another user: %v, %s", err, text)
	}
}
