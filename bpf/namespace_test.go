package bpf

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// namespace is a network namespace of a test's own: one thread that is in it,
// which runs what it is given, and ends with the test.
type namespace struct {
	calls  chan func()
	thread int
}

func newNamespace(t testing.TB) *namespace {
	t.Helper()
	needRoot(t)
	needCommand(t, "ip")
	n := &namespace{calls: make(chan func())}
	ready := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlock: the thread ends with the goroutine
		err := unix.Unshare(unix.CLONE_NEWNET)
		n.thread = unix.Gettid()
		ready <- err
		for call := range n.calls {
			call()
		}
	}()
	if err := <-ready; err != nil {
		close(n.calls)
		t.Fatalf("make a network namespace: %v", err)
	}
	t.Cleanup(func() { close(n.calls) })
	n.ip(t, "link", "set", "lo", "up")
	return n
}

// secluded is a network namespace, the same for all, that forwards nothing: what
// is judged by where it goes is the same whatever this machine is set up for.
func secluded(t testing.TB) *namespace {
	t.Helper()
	n, err := makeSecluded()
	if err != nil {
		skip(t, "cannot make a network namespace: "+err.Error())
	}
	return n
}

var makeSecluded = sync.OnceValues(func() (*namespace, error) {
	n := &namespace{calls: make(chan func())}
	ready := make(chan error)
	go func() {
		runtime.LockOSThread()
		ready <- func() error {
			if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
				return err
			}
			return errors.Join(forwarding("ipv4", false), forwarding("ipv6", false))
		}()
		for call := range n.calls {
			call()
		}
	}()
	return n, <-ready
})

// forwarding switches it for the namespace of the calling thread.
func forwarding(family string, on bool) error {
	value := "0"
	if on {
		value = "1"
	}
	return os.WriteFile("/proc/sys/net/"+family+"/conf/all/forwarding", []byte(value), 0)
}

// do runs f in the namespace.
func (n *namespace) do(t testing.TB, f func() error) {
	t.Helper()
	if err := n.try(f); err != nil {
		t.Fatal(err)
	}
}

func (n *namespace) try(f func() error) error {
	done := make(chan error)
	n.calls <- func() { done <- f() }
	return <-done
}

func (n *namespace) ip(t testing.TB, arguments ...string) {
	t.Helper()
	n.do(t, func() error {
		if out, err := exec.Command("ip", arguments...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %q: %w: %s", arguments, err, out)
		}
		return nil
	})
}

func (n *namespace) open(t testing.TB, o Options) *Filter {
	t.Helper()
	var f *Filter
	n.do(t, func() (err error) {
		f, err = Open(o)
		return err
	})
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return f
}

func (n *namespace) status(t testing.TB, f *Filter) InterfaceStatus {
	t.Helper()
	var s []InterfaceStatus
	n.do(t, func() error {
		s = f.Status()
		return nil
	})
	if len(s) != 1 {
		t.Fatalf("Status = %+v, want one interface", s)
	}
	return s[0]
}

// hook returns what is attached to an interface.
func (n *namespace) hook(t testing.TB, name string) hook {
	t.Helper()
	var h hook
	n.do(t, func() error {
		device, err := net.InterfaceByName(name)
		if err != nil {
			return err
		}
		h, err = hookOf(device.Index)
		return err
	})
	return h
}

// wired returns two namespaces with a cable between them, whose ends are called
// eth0: a server at 198.51.100.1 and 2001:db8::1, and a client that has the
// addresses given besides 198.51.100.2 and 2001:db8::2.
func wired(t testing.TB, addresses ...string) (server, client *namespace) {
	t.Helper()
	server, client = newNamespace(t), newNamespace(t)
	server.ip(t, "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", strconv.Itoa(client.thread))
	for n, own := range map[*namespace][]string{
		server: {"198.51.100.1/24", "2001:db8::1/64"},
		client: append([]string{"198.51.100.2/24", "2001:db8::2/64"}, addresses...),
	} {
		for _, a := range own {
			n.address(t, "eth0", a)
		}
		n.ip(t, "link", "set", "eth0", "up")
	}
	server.ip(t, "route", "add", "default", "via", "198.51.100.2")
	server.ip(t, "-6", "route", "add", "default", "via", "2001:db8::2")
	return server, client
}

// alone returns a namespace whose loopback interface has addresses that are not
// loopback.
func alone(t testing.TB) *namespace {
	t.Helper()
	n := newNamespace(t)
	for _, a := range []string{"198.51.100.1/32", "198.51.100.2/32", "198.51.100.3/32", "2001:db8::1/128", "2001:db8::2/128"} {
		n.address(t, "lo", a)
	}
	return n
}

func (n *namespace) address(t testing.TB, device, prefix string) {
	t.Helper()
	arguments := []string{"address", "add", prefix, "dev", device}
	if netip.MustParsePrefix(prefix).Addr().Is6() {
		arguments = append(arguments, "nodad")
	}
	n.ip(t, arguments...)
}

// listen accepts connections until the test ends, and holds them.
func (n *namespace) listen(t testing.TB, address string) {
	t.Helper()
	var l net.Listener
	n.do(t, func() (err error) {
		l, err = net.Listen("tcp", address)
		return err
	})
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { c.Close() })
		}
	}()
}

// attempt is a connection being made: its SYN is sent. The file alone has the
// descriptor: closed by its number too, it would later be closed once more, when
// the file is collected, and by then be the descriptor of something else.
type attempt struct{ *os.File }

func (n *namespace) connect(t testing.TB, from, to string) attempt {
	t.Helper()
	var a attempt
	n.do(t, func() error {
		source, target := netip.MustParseAddr(from), netip.MustParseAddrPort(to)
		family := unix.AF_INET
		if source.Is6() {
			family = unix.AF_INET6
		}
		fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		a.File = os.NewFile(uintptr(fd), "connection from "+from)
		if err := unix.Bind(fd, sockaddr(netip.AddrPortFrom(source, 0))); err != nil {
			return fmt.Errorf("bind %v: %w", source, err)
		}
		if err := unix.Connect(fd, sockaddr(target)); err != nil && err != unix.EINPROGRESS {
			return fmt.Errorf("connect to %v: %w", target, err)
		}
		return nil
	})
	t.Cleanup(func() { a.Close() })
	return a
}

func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
}

// connected says whether the connection is there by now.
func (a attempt) connected() bool {
	raw, err := a.SyscallConn()
	if err != nil {
		return false
	}
	var unconnected error
	err = raw.Control(func(fd uintptr) { _, unconnected = unix.Getpeername(int(fd)) })
	return err == nil && unconnected == nil
}

// connects waits for the connection.
func (a attempt) connects(t testing.TB, what string) {
	t.Helper()
	await(t, what+" connects", a.connected)
}

// await waits for a condition, as long as it may take on a busy machine.
func await(t testing.TB, what string, condition func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for start := time.Now(); !condition(); <-tick.C {
		if time.Since(start) > time.Minute {
			t.Fatalf("%s: not within a minute", what)
		}
	}
}

// awaitVerdict waits until one more packet has met its end thus.
func awaitVerdict(t testing.TB, f *Filter, v Verdict, after Counters) {
	t.Helper()
	await(t, v.String(), func() bool { return counters(t, f).Verdicts[v].Packets > after.Verdicts[v].Packets })
}

func counters(t testing.TB, f *Filter) Counters {
	t.Helper()
	c, err := f.Counters()
	must(t, err)
	return c
}

// pinDir returns a directory to pin in, of a BPF file system of the test's own.
func pinDir(t testing.TB) string {
	t.Helper()
	needRoot(t)
	dir := t.TempDir()
	must(t, os.Chmod(filepath.Dir(dir), 0o755)) // for tests with fewer rights
	if err := unix.Mount("bpf", dir, "bpf", 0, "mode=0777"); err != nil {
		skip(t, "cannot mount a BPF file system: "+err.Error())
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
	return filepath.Join(dir, "sallyport")
}

// gone fails unless nothing is left of what was pinned.
func gone(t testing.TB, dir string) {
	t.Helper()
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		entries, _ := os.ReadDir(dir)
		t.Errorf("%s is still there (%v): %v", dir, err, entries)
	}
}

// TestMain serves the tests that need another process: it is this one again.
func TestMain(m *testing.M) {
	if role := os.Getenv("BPF_TEST_ROLE"); role != "" {
		if err := roles[role](); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// again returns a command that runs a role in a process of its own.
func again(role string, environment ...string) *exec.Cmd {
	c := exec.Command("/proc/self/exe")
	c.Env = append(os.Environ(), append(environment, "BPF_TEST_ROLE="+role)...)
	c.Stderr = new(bytes.Buffer)
	return c
}
