package bpf

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func listenPlain(address string) (*net.TCPListener, error) {
	var lc net.ListenConfig
	lc.SetMultipathTCP(false)
	l, err := lc.Listen(context.Background(), "tcp", address)
	if err != nil {
		return nil, err
	}
	return l.(*net.TCPListener), nil
}

// routed is wired, where the server takes 203.0.113.0/24 and 2001:db8:1::/64, as
// docs/steering.md says, and the client sends what goes there to the server.
func routed(t testing.TB) (server, client *namespace) {
	t.Helper()
	needSteering(t)
	server, client = wired(t)
	server.ip(t, "route", "add", "local", "203.0.113.0/24", "dev", "lo")
	server.ip(t, "-6", "route", "add", "local", "2001:db8:1::/64", "dev", "lo")
	client.ip(t, "route", "add", "203.0.112.0/22", "via", "198.51.100.1")
	client.ip(t, "-6", "route", "add", "2001:db8:1::/48", "via", "2001:db8::1")
	return server, client
}

func (n *namespace) steering(t testing.TB, pin string) *Steering {
	t.Helper()
	var s *Steering
	n.do(t, func() (err error) {
		s, err = OpenSteering(pin)
		return err
	})
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

func steer(t testing.TB, s *Steering, made *Table, sockets ...*net.TCPListener) {
	t.Helper()
	p, err := s.Prepare(made, sockets)
	must(t, err)
	must(t, p.Commit())
}

// greeter listens in the namespace and says to each connection its name and where
// the connection goes.
func (n *namespace) greeter(t testing.TB, name, address string) *net.TCPListener {
	t.Helper()
	var l *net.TCPListener
	n.do(t, func() (err error) {
		l, err = listenPlain(address)
		return err
	})
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			fmt.Fprintf(c, "%s %v", name, c.LocalAddr())
			c.Close()
		}
	}()
	return l
}

// greeting connects, and returns what it is told, or refused.
func (n *namespace) greeting(t testing.TB, to string) string {
	t.Helper()
	var text []byte
	err := n.try(func() error {
		c, err := net.DialTimeout("tcp", to, time.Minute)
		if err != nil {
			return err
		}
		defer c.Close()
		text, err = io.ReadAll(c)
		return err
	})
	if errors.Is(err, syscall.ECONNREFUSED) {
		return "refused"
	}
	if err != nil {
		t.Fatalf("connect to %s: %v", to, err)
	}
	return string(text)
}

// TestSteered: a prefix of 256 addresses and a thousand ports answers on all of
// them, as far as they are sampled, and nowhere else.
func TestSteered(t *testing.T) {
	server, client := routed(t)
	s := server.steering(t, "")
	v4, v6 := server.greeter(t, "four", "127.0.0.1:0"), server.greeter(t, "six", "[::1]:0")
	narrow := server.greeter(t, "narrow", "127.0.0.1:0")
	server.greeter(t, "other", "0.0.0.0:8007") // is there already, on all addresses
	steer(t, s, table(t, "203.0.113.0/24 8000-8999", "2001:db8:1::/64 443-444", "203.0.113.64/26 8500-8509", "203.0.113.9/32 8001-8001"),
		v4, v6, narrow, nil)

	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	says := func(name, to string) {
		t.Helper()
		want := "refused"
		if name != "" {
			want = name + " " + to
		}
		if got := client.greeting(t, to); got != want {
			t.Errorf("%s: %q, want %q", to, got, want)
		}
	}
	steered := uint64(0)
	for range 200 {
		last, port := r.IntN(256), 8000+r.IntN(1000)
		if last>>6 == 1 && port >= 8500 && port < 8510 || last == 9 {
			continue
		}
		says("four", fmt.Sprintf("203.0.113.%d:%d", last, port))
		steered++
	}
	for _, to := range []string{"203.0.113.0:8000", "203.0.113.255:8999", "203.0.113.0:8999", "203.0.113.255:8007", "203.0.113.9:8002", "203.0.113.63:8500", "203.0.113.128:8500", "203.0.113.64:8510"} {
		says("four", to)
		steered++
	}
	for _, to := range []string{"[2001:db8:1::]:443", "[2001:db8:1:0:ffff:ffff:ffff:ffff]:444", "[2001:db8:1::5]:443"} {
		says("six", to)
	}
	for _, to := range []string{"203.0.113.64:8500", "203.0.113.127:8509"} {
		says("narrow", to)
	}
	says("other", "198.51.100.1:8007") // a port of the range, on another address
	for _, to := range []string{"203.0.113.1:7999", "203.0.113.1:9000", "203.0.113.9:8001", "198.51.100.1:8000", "[2001:db8:1::1]:445", "[2001:db8::1]:443"} {
		says("", to)
	}

	counts, err := s.Counts()
	must(t, err)
	if want := (map[Destination]Steered{
		destination(t, "203.0.113.0/24 8000-8999"): {Steered: steered}, destination(t, "2001:db8:1::/64 443-444"): {Steered: 3},
		destination(t, "203.0.113.64/26 8500-8509"): {Steered: 2}, destination(t, "203.0.113.9/32 8001-8001"): {NoSocket: 1},
	}); !reflect.DeepEqual(counts, want) {
		t.Errorf("Counts = %+v, want %+v", counts, want)
	}
}

// TestSteerAnew: another table takes the place of the one in force with nothing in
// between, counts go on, and what is not committed changes nothing.
func TestSteerAnew(t *testing.T) {
	server, client := routed(t)
	s := server.steering(t, "")
	a, b := server.greeter(t, "a", "127.0.0.1:0"), server.greeter(t, "b", "127.0.0.1:0")
	both := table(t, "203.0.113.0/24 8000-8999", "203.0.113.1/32 80-80")
	steer(t, s, both, a, a)
	const to, gone = "203.0.113.1:8000", "203.0.113.1:80"
	if got := client.greeting(t, gone); got != "a "+gone {
		t.Fatal(got)
	}
	if got := client.greeting(t, to); got != "a "+to {
		t.Fatal(got)
	}
	p, err := s.Prepare(both, []*net.TCPListener{b, b})
	must(t, err)
	if got := client.greeting(t, to); got != "a "+to {
		t.Errorf("with another table prepared: %q", got)
	}
	must(t, p.Abandon())
	if _, err := s.Prepare(both, []*net.TCPListener{a}); err == nil {
		t.Error("one socket was taken for two destinations")
	}
	mptcp, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	defer mptcp.Close()
	if _, err := s.Prepare(both, []*net.TCPListener{a, mptcp.(*net.TCPListener)}); err == nil || !strings.Contains(err.Error(), "MPTCP") {
		t.Errorf("Prepare with an MPTCP socket: %v", err)
	}

	steer(t, s, table(t, "203.0.113.0/24 8000-8999"), b)
	if got := client.greeting(t, to); got != "b "+to {
		t.Errorf("after the change: %q", got)
	}
	if got := client.greeting(t, gone); got != "refused" {
		t.Errorf("what is steered no more: %q", got)
	}
	counts, err := s.Counts()
	must(t, err)
	if want := (map[Destination]Steered{destination(t, "203.0.113.0/24 8000-8999"): {Steered: 3}}); !reflect.DeepEqual(counts, want) {
		t.Errorf("Counts = %+v, want %+v", counts, want)
	}
	steer(t, s, both, b, b)
	if counts, err = s.Counts(); err != nil || counts[destination(t, "203.0.113.1/32 80-80")] != (Steered{}) || len(counts) != 2 {
		t.Errorf("Counts = %+v, %v, want those of a destination that had gone to begin anew", counts, err)
	}
	// A socket that is closed takes nobody else's place, and nobody takes its.
	server.greeter(t, "other", "0.0.0.0:8000")
	b.Close()
	await(t, "a closed socket's connections are refused", func() bool { return client.greeting(t, to) == "refused" })
	if got := client.greeting(t, "198.51.100.1:8000"); got != "other 198.51.100.1:8000" {
		t.Errorf("what is not steered: %q", got)
	}
	must(t, s.Close())
	if got := client.greeting(t, to); got != "other "+to {
		t.Errorf("once steering is closed: %q", got)
	}
	if _, err := s.Prepare(both, []*net.TCPListener{a, a}); !errors.Is(err, ErrClosed) {
		t.Errorf("Prepare of what is closed: %v", err)
	}
}

// TestSteeringOfAnotherNamespace: a link that is elsewhere is not taken over.
func TestSteeringOfAnotherNamespace(t *testing.T) {
	needSteering(t)
	dir := pinDir(t)
	here, there := newNamespace(t), newNamespace(t)
	s := here.steering(t, dir)
	if err := there.try(func() error {
		_, err := OpenSteering(dir)
		return err
	}); err == nil || !strings.Contains(err.Error(), "another network namespace") {
		t.Errorf("OpenSteering from another namespace: %v", err)
	}
	must(t, s.Close())
	gone(t, dir)
}

// TestReclaim: whoever was taken over from goes on when the other has failed.
func TestReclaim(t *testing.T) {
	server, client := routed(t)
	dir := pinDir(t)
	const to, more = "203.0.113.1:8000", "203.0.113.1:9000"
	first, second := server.steering(t, dir), server.steering(t, dir)
	steer(t, first, table(t, "203.0.113.0/24 8000-8999"), server.greeter(t, "first", "127.0.0.1:0"))
	l := server.greeter(t, "second", "127.0.0.1:0")
	steer(t, second, table(t, "203.0.113.1/32 8000-8999", "203.0.113.0/24 9000-9000"), l, l)
	if got := client.greeting(t, to) + client.greeting(t, more); got != "second "+to+"second "+more {
		t.Fatal(got)
	}
	must(t, second.Release()) // as if it had been killed
	l.Close()
	must(t, first.Reclaim())
	if got := client.greeting(t, to) + client.greeting(t, more); got != "first "+to+"refused" {
		t.Errorf("reclaimed: %q", got)
	}
	counts, err := first.Counts()
	must(t, err)
	if want := (map[Destination]Steered{destination(t, "203.0.113.0/24 8000-8999"): {Steered: 1}}); !reflect.DeepEqual(counts, want) {
		t.Errorf("Counts = %+v, want %+v", counts, want)
	}
	if status := first.Status(); status.Problem != "" {
		t.Errorf("Status = %+v", status)
	}
	must(t, first.Close())
	gone(t, dir)
	if err := first.Reclaim(); !errors.Is(err, ErrClosed) {
		t.Errorf("Reclaim of what is closed: %v", err)
	}
}

// TestSteeringClosedLate: whoever was taken over from, and closes after the one
// that took over, leaves nothing either.
func TestSteeringClosedLate(t *testing.T) {
	needSteering(t)
	dir := pinDir(t)
	n := newNamespace(t)
	first, second := n.steering(t, dir), n.steering(t, dir)
	p, err := second.Prepare(table(t), nil)
	must(t, err)
	n.do(t, p.Commit)
	must(t, second.Close())
	gone(t, dir)
	must(t, first.Close())
	gone(t, dir)

	// One that is closed before it is taken over from takes the link with it; the
	// other makes its own.
	first, second = n.steering(t, dir), n.steering(t, dir)
	must(t, first.Close())
	p, err = second.Prepare(table(t), nil)
	must(t, err)
	n.do(t, p.Commit)
	if status := second.Status(); status.Problem != "" || status.Program == 0 {
		t.Errorf("Status = %+v", status)
	}
	must(t, second.Close())
	gone(t, dir)
}

// TestSteerGenerated builds the program again and wants the committed object,
// byte for byte.
func TestSteerGenerated(t *testing.T) {
	for _, command := range []string{"go", "clang-14", "llvm-strip-14"} {
		needCommand(t, command)
	}
	source, err := os.ReadFile("steer.go")
	must(t, err)
	line := regexp.MustCompile(`(?m)^//go:generate go (tool bpf2go) (.*)$`).FindSubmatch(source)
	if line == nil {
		t.Fatal("steer.go says no more how to generate")
	}
	dir := t.TempDir()
	arguments := append(strings.Fields(string(line[1])), "-output-dir", dir)
	command := exec.Command("go", append(arguments, strings.Fields(string(line[2]))...)...)
	command.Env = append(os.Environ(), "GOPACKAGE=bpf")
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", command, err, out)
	}
	for _, name := range []string{"steer_bpfel.o", "steer_bpfel.go"} {
		built, err := os.ReadFile(filepath.Join(dir, name))
		must(t, err)
		committed, err := os.ReadFile(name)
		must(t, err)
		if !bytes.Equal(built, committed) {
			t.Errorf("%s is not what the sources build: go generate ./bpf", name)
		}
	}
	// What is pinned must be understood by the process that takes it over.
	if key, value := written(reflect.TypeFor[steerDestination]()), written(reflect.TypeFor[steerSteeredCount]()); steeredVersion != 1 ||
		key != "24{Prefix@0 16{Bytes@0 array}, Bits@16 uint32, First@20 uint16, Last@22 uint16}" ||
		value != "24{Steered@0 uint64, NoSocket@8 uint64, Failed@16 uint64}" {
		t.Errorf("the pinned counts are now %s -> %s: raise steeredVersion and change this test", key, value)
	}
}

// TestSteeringRights: CAP_BPF and CAP_NET_ADMIN are enough, and needed.
func TestSteeringRights(t *testing.T) {
	needRoot(t)
	needSteering(t)
	with := func(capabilities ...uintptr) *exec.Cmd {
		c := again("steering-supported")
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}, AmbientCaps: capabilities}
		return c
	}
	if out, err := with(unix.CAP_BPF, unix.CAP_NET_ADMIN).Output(); err != nil {
		t.Errorf("with CAP_BPF and CAP_NET_ADMIN: %v: %s", err, out)
	}
	for missing, capabilities := range map[string][]uintptr{
		"CAP_BPF and CAP_NET_ADMIN": {unix.CAP_NET_BIND_SERVICE},
		"lacks CAP_BPF (":           {unix.CAP_NET_ADMIN},
		"lacks CAP_NET_ADMIN (":     {unix.CAP_BPF},
	} {
		out, err := with(capabilities...).Output()
		if err == nil || !strings.Contains(string(out), missing) {
			t.Errorf("with %v: %v: %s, want it to name %s", capabilities, err, out, missing)
		}
	}
}

func TestLocalRoutes(t *testing.T) {
	server, _ := routed(t)
	server.ip(t, "route", "add", "blackhole", "192.0.2.0/24")
	for a, want := range map[string]string{
		"203.0.113.0": "local", "203.0.113.255": "local", "198.51.100.1": "local", "2001:db8:1::7": "local", "2001:db8::1": "local",
		"203.0.114.1": "unicast", "198.51.100.255": "broadcast", "2001:db8:2::1": "unicast",
	} {
		var got string
		server.do(t, func() (err error) {
			got, err = RouteType(netip.MustParseAddr(a))
			return err
		})
		if got != want {
			t.Errorf("the route to %s is %q, want %q", a, got, want)
		}
	}
	if err := server.try(func() error {
		_, err := RouteType(netip.MustParseAddr("192.0.2.1"))
		return err
	}); err == nil {
		t.Error("there is no error for an address whose packets are thrown away")
	}
}
