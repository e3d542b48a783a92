package bpf

import (
	"bufio"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// roles are what another process does for a test.
var roles = map[string]func() error{
	"ban": func() error {
		f, err := Open(Options{Interfaces: []string{"eth0"}, Pin: os.Getenv("PIN"), SYNLimit: SYNLimit{Rate: 1000, Burst: 1000}})
		if err != nil {
			return err
		}
		if err := f.SetScope(web); err != nil {
			return err
		}
		if err := f.Ban(Ban{Prefix: netip.MustParsePrefix("198.51.100.2/32"), Reason: 5}); err != nil {
			return err
		}
		fmt.Println("ready")
		select {}
	},
	"supported": Supported,
	"mount": func() error {
		// Its mount namespace is this process's own.
		if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
			return err
		}
		if err := unix.Mount("sysfs", "/sys", "sysfs", 0, ""); err != nil {
			return err
		}
		f, err := Open(Options{Interfaces: []string{"lo"}, Pin: DefaultPin})
		if err != nil {
			return err
		}
		return f.Close()
	},
}

// start starts a role in the namespace and waits until it says that it is ready.
func (n *namespace) start(t *testing.T, c *exec.Cmd) {
	t.Helper()
	out, err := c.StdoutPipe()
	must(t, err)
	n.do(t, c.Start)
	t.Cleanup(func() {
		c.Process.Kill()
		c.Wait()
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		t.Fatalf("%s said %q: %v: %v", c.Path, line, err, c.Stderr)
	}
}

// TestSurvivesKill: the bans of a process that was killed stay in force, and
// the next one takes them over.
func TestSurvivesKill(t *testing.T) {
	server, client := wired(t)
	dir := pinDir(t)
	server.listen(t, "198.51.100.1:443")
	process := again("ban", "PIN="+dir)
	server.start(t, process)
	must(t, process.Process.Signal(syscall.SIGKILL))
	process.Wait()

	left := server.hook(t, "eth0")
	if left.program == 0 {
		t.Fatal("nothing is left at eth0")
	}
	banned := client.connect(t, "198.51.100.2", "198.51.100.1:443")
	f := server.open(t, Options{Interfaces: []string{"eth0"}, Pin: dir})
	awaitVerdict(t, f, DropHost, Counters{}) // the pinned counters have what was dropped while nobody was there
	if banned.connected() {
		t.Error("a banned host connected")
	}
	b, found, err := f.Lookup(netip.MustParseAddr("198.51.100.2"))
	if err != nil || !found || b.Reason != 5 || b.Packets == 0 {
		t.Errorf("Lookup = %+v, %v, %v, want the ban of the killed process", b, found, err)
	}
	if s := server.status(t, f); s.Program == left.program || s.Mode != Native || s.Problem != "" {
		t.Errorf("Status = %+v, want another program than %d", s, left.program)
	}
	if _, err := f.Unban(b.Prefix); err != nil {
		t.Fatal(err)
	}
	banned.connects(t, "an unbanned host")

	must(t, f.Close())
	gone(t, dir)
	if h := server.hook(t, "eth0"); h.program != 0 {
		t.Errorf("program %d is left at eth0", h.program)
	}
}

// TestRemoveFilter: what a process that was killed has left is out when it returns,
// not some time later.
func TestRemoveFilter(t *testing.T) {
	server, _ := wired(t)
	for range 5 {
		dir := pinDir(t)
		must(t, RemoveFilter(dir)) // nothing there
		process := again("ban", "PIN="+dir)
		server.start(t, process)
		must(t, process.Process.Kill())
		process.Wait()
		if server.hook(t, "eth0").program == 0 {
			t.Fatal("nothing is left at eth0")
		}
		must(t, RemoveFilter(dir))
		if h := server.hook(t, "eth0"); h.program != 0 {
			t.Fatalf("program %d is left at eth0", h.program)
		}
		gone(t, dir)
	}
}

func TestReleaseAndTakeOver(t *testing.T) {
	n := alone(t)
	dir := pinDir(t)
	o := Options{Interfaces: []string{"lo"}, Pin: dir}
	first := n.open(t, o)
	must(t, first.SetScope(web))
	must(t, first.SetMode(DryRun))
	must(t, first.Ban(Ban{Prefix: host(1)}))
	since := n.status(t, first).Since

	second := n.open(t, o) // while the first is still there
	run(t, second, to4(host(1).Addr().String()).bytes())
	if m, err := second.Mode(); m != DryRun || err != nil {
		t.Errorf("Mode = %v, %v, want the one of the first", m, err)
	}
	s := n.status(t, second)
	if s.Since.Sub(since).Abs() > time.Minute {
		t.Errorf("attached since %v, want %v", s.Since, since)
	}
	must(t, first.Close()) // not its own any more
	if h := n.hook(t, "lo"); h.program != s.Program {
		t.Errorf("lo has program %d, want %d: the first has closed what the second took over", h.program, s.Program)
	}
	must(t, second.Release())
	if h := n.hook(t, "lo"); h.program != s.Program {
		t.Errorf("lo has program %d after Release, want %d", h.program, s.Program)
	}
	if err := n.try(func() error {
		_, err := Open(Options{Interfaces: []string{"lo"}, Pin: dir, Attach: Native})
		return err
	}); err == nil || !strings.Contains(err.Error(), "generic") {
		t.Errorf("Open with Native over a generic one: %v, want an error that says so", err)
	}
	if h := n.hook(t, "lo"); h.program != s.Program {
		t.Errorf("lo has program %d after a failed Open, want %d", h.program, s.Program)
	}
	third := n.open(t, o)
	if got := counters(t, third).Verdicts[WouldDropHost].Packets; got != 1 {
		t.Errorf("%d packets counted, want the one of before", got)
	}
	if all := listed(t, third); len(all) != 1 || all[0].Prefix != host(1) {
		t.Errorf("bans %v, want the one of before", all)
	}
	must(t, third.Close())
	gone(t, dir)
}

func TestAnotherLayout(t *testing.T) {
	n := alone(t)
	dir := pinDir(t)
	old := n.open(t, Options{Interfaces: []string{"lo"}, Pin: dir, MaxBans: 100, MaxPrefixes: 100})
	must(t, old.SetScope(web))
	must(t, old.SetExempt([]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}))
	until := time.Now().Add(time.Hour)
	for _, p := range []string{"192.0.2.1/32", "203.0.113.0/24", "2001:db8:1:2::/64", "2001:db8:2:200::/56", "2001:db8:3::/48", "2001:db8:4::1/128", "10.0.0.1/32"} {
		must(t, old.Ban(Ban{Prefix: netip.MustParsePrefix(p), Until: until, Reason: 3, Packets: 2, Bytes: 5}))
	}
	run(t, old, to4("192.0.2.1").bytes())
	must(t, old.SetMode(DryRun))
	want := listed(t, old)
	must(t, old.Release())
	program := n.hook(t, "lo").program

	if err := n.try(func() error {
		_, err := Open(Options{Interfaces: []string{"lo"}, Pin: dir, MaxPrefixes: 1})
		return err
	}); !errors.Is(err, ErrFull) {
		t.Errorf("Open with less room: %v, want %v", err, ErrFull)
	}
	if h := n.hook(t, "lo"); h.program != program {
		t.Errorf("lo has program %d after a failed Open, want %d", h.program, program)
	}
	if got := layouts(t, dir); len(got) != 1 {
		t.Errorf("after a failed Open there are %v", got)
	}

	f := n.open(t, Options{Interfaces: []string{"lo"}, Pin: dir, MaxBans: 200, IPv6Prefix: 56})
	if diff := cmp.Diff(want, listed(t, f), compareBans); diff != "" {
		t.Errorf("bans, -old +new:\n%s", diff)
	}
	if m, err := f.Mode(); m != DryRun || err != nil {
		t.Errorf("Mode = %v, %v, want the old one", m, err)
	}
	for from, verdict := range map[string]Verdict{
		"192.0.2.1": WouldDropHost, "203.0.113.5": WouldDropNetwork, "2001:db8:1:2::3": WouldDropNetwork, "2001:db8:1:3::3": Pass,
		"2001:db8:2:233::1": WouldDropHost, "2001:db8:3:4::": WouldDropNetwork, "2001:db8:4::1": WouldDropNetwork, "10.0.0.1": PassExempt,
	} {
		frame := frame{from: from, to: listener4, port: 443}
		if strings.Contains(from, ":") {
			frame.to = listener6
		}
		if got := run(t, f, frame.bytes()); got != verdict {
			t.Errorf("from %s: %v, want %v", from, got, verdict)
		}
	}
	if got := counters(t, f).Verdicts[DropHost].Packets; got != 1 {
		t.Errorf("%d packets counted as dropped, want the one of before", got)
	}
	if got := layouts(t, dir); len(got) != 1 || got[0] != "maps-2-56-200-16384" {
		t.Errorf("there are %v, want the new layout only", got)
	}
	must(t, f.Close())
	gone(t, dir)
}

func layouts(t *testing.T, dir string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "maps-*"))
	must(t, err)
	for i := range paths {
		paths[i] = filepath.Base(paths[i])
	}
	return paths
}

func TestLayoutOfAnotherVersion(t *testing.T) {
	n := alone(t)
	dir := pinDir(t)
	must(t, os.MkdirAll(filepath.Join(dir, "maps-9000-strange"), 0o700))
	err := n.try(func() error {
		_, err := Open(Options{Interfaces: []string{"lo"}, Pin: dir})
		return err
	})
	if err == nil || !strings.Contains(err.Error(), "maps-9000-strange") {
		t.Errorf("Open: %v, want an error that names what is there", err)
	}
	if got := layouts(t, dir); len(got) != 1 {
		t.Errorf("there are %v, want what was there", got)
	}
}

func TestFewerInterfaces(t *testing.T) {
	server, _ := wired(t)
	dir := pinDir(t)
	first := server.open(t, Options{Interfaces: []string{"lo", "eth0"}, Pin: dir})
	must(t, first.Release())
	second := server.open(t, Options{Interfaces: []string{"eth0"}, Pin: dir})
	if h := server.hook(t, "lo"); h.program != 0 {
		t.Errorf("program %d is left at lo", h.program)
	}
	if s := server.status(t, second); s.Program != server.hook(t, "eth0").program || s.Problem != "" {
		t.Errorf("Status = %+v", s)
	}
}

// TestPinsOfAnotherNamespace: both namespaces have an interface of index 1.
func TestPinsOfAnotherNamespace(t *testing.T) {
	here, there := alone(t), alone(t)
	dir := pinDir(t)
	f := here.open(t, Options{Interfaces: []string{"lo"}, Pin: dir})
	if err := there.try(func() error {
		_, err := Open(Options{Interfaces: []string{"lo"}, Pin: dir})
		return err
	}); err == nil || !strings.Contains(err.Error(), "network namespace") {
		t.Errorf("Open: %v, want an error that says why", err)
	}
	if s := here.status(t, f); s.Problem != "" || s.Program != here.hook(t, "lo").program {
		t.Errorf("Status = %+v", s)
	}
}

func TestPinNowhere(t *testing.T) {
	n := alone(t)
	for _, dir := range []string{t.TempDir() + "/sallyport", "relative"} {
		err := n.try(func() error {
			_, err := Open(Options{Interfaces: []string{"lo"}, Pin: dir})
			return err
		})
		if err == nil || !strings.Contains(err.Error(), dir) {
			t.Errorf("Open with pins in %q: %v, want an error that names it", dir, err)
		}
	}
}

// TestMounts has Open mount the BPF file system, in a process with mounts of
// its own.
func TestMounts(t *testing.T) {
	needRoot(t)
	c := again("mount")
	c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWNET}
	if out, err := c.Output(); err != nil {
		t.Errorf("open with pins in %s: %v: %s%v", DefaultPin, err, out, c.Stderr)
	}
}

// TestRights opens a filter with CAP_BPF and CAP_NET_ADMIN alone.
func TestRights(t *testing.T) {
	server, client := wired(t)
	server.listen(t, "198.51.100.1:443")
	dir := pinDir(t)
	with := func(c *exec.Cmd, capabilities ...uintptr) *exec.Cmd {
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}, AmbientCaps: capabilities}
		return c
	}
	process := with(again("ban", "PIN="+dir), unix.CAP_BPF, unix.CAP_NET_ADMIN)
	server.start(t, process)
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", process.Process.Pid))
	must(t, err)
	if want := fmt.Sprintf("CapEff:\t%016x\n", 1<<unix.CAP_BPF|1<<unix.CAP_NET_ADMIN); !strings.Contains(string(status), want) {
		t.Fatalf("the process has other rights than %s:\n%s", want, status)
	}
	client.connect(t, "198.51.100.2", "198.51.100.1:443")
	process.Process.Kill()
	process.Wait()
	f := server.open(t, Options{Interfaces: []string{"eth0"}, Pin: dir})
	awaitVerdict(t, f, DropHost, Counters{})

	for missing, capabilities := range map[string][]uintptr{
		"CAP_BPF and CAP_NET_ADMIN": {unix.CAP_NET_BIND_SERVICE},
		"lacks CAP_BPF (":           {unix.CAP_NET_ADMIN},
		"lacks CAP_NET_ADMIN (":     {unix.CAP_BPF},
	} {
		out, err := with(again("supported"), capabilities...).Output()
		if err == nil || !strings.Contains(string(out), missing) {
			t.Errorf("Supported with %v: %v: %s, want it to name %s", capabilities, err, out, missing)
		}
	}
}
