package bpf

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// watch runs Watch in the namespace until the test ends, and returns what it
// tells.
func (n *namespace) watch(t *testing.T, f *Filter) <-chan InterfaceStatus {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	told := make(chan InterfaceStatus, 1000)
	ended := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlock: the thread is in the namespace
		ended <- func() error {
			ns, err := os.Open(fmt.Sprintf("/proc/self/task/%d/ns/net", n.thread))
			if err != nil {
				return err
			}
			defer ns.Close()
			if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
				return err
			}
			return f.Watch(ctx, func(s InterfaceStatus) { told <- s })
		}()
	}()
	t.Cleanup(func() {
		cancel()
		// A test may have closed the Filter by now, and Watch have seen it.
		if err := <-ended; !errors.Is(err, context.Canceled) && !errors.Is(err, ErrClosed) {
			t.Errorf("Watch: %v", err)
		}
	})
	return told
}

// awaitTold waits for what Watch is to tell next.
func awaitTold(t *testing.T, told <-chan InterfaceStatus, problem string) InterfaceStatus {
	t.Helper()
	select {
	case s := <-told:
		if (s.Problem == "") != (problem == "") || !strings.Contains(s.Problem, problem) {
			t.Fatalf("told of %+v, want the problem %q", s, problem)
		}
		return s
	case <-time.After(time.Minute):
		t.Fatalf("not told of %q within a minute", problem)
		return InterfaceStatus{}
	}
}

// rewire makes the cable of wired anew, with a server's end of this number.
func rewire(t *testing.T, server, client *namespace, index int) {
	t.Helper()
	server.ip(t, "link", "add", "eth0", "index", strconv.Itoa(index), "type", "veth", "peer", "name", "eth0", "netns", strconv.Itoa(client.thread))
	server.address(t, "eth0", "198.51.100.1/24")
	client.address(t, "eth0", "198.51.100.2/24")
	for _, n := range []*namespace{server, client} {
		n.ip(t, "link", "set", "eth0", "up")
	}
}

func TestInterfaceMadeAgain(t *testing.T) {
	for name, index := range map[string]int{"of another number": 4711, "of the same number": 0} {
		t.Run(name, func(t *testing.T) {
			server, client := wired(t)
			server.listen(t, "198.51.100.1:443")
			dir := pinDir(t)
			f := server.open(t, Options{Interfaces: []string{"lo", "eth0"}, Pin: dir})
			must(t, f.SetScope(web))
			must(t, f.Ban(Ban{Prefix: netip.MustParsePrefix("198.51.100.2/32")}))
			before := f.attachments[1].index
			if index == 0 {
				index = before
			}
			told := server.watch(t, f)

			server.ip(t, "link", "delete", "eth0")
			if s := awaitTold(t, told, "the interface is gone"); s.Interface != "eth0" || s.Index != before {
				t.Errorf("told of %+v, want eth0", s)
			}
			rewire(t, server, client, index)
			s := awaitTold(t, told, "")
			if s.Interface != "eth0" || s.Index != index || s.Mode != Native || s.Program != server.hook(t, "eth0").program || s.Program == 0 {
				t.Errorf("told of %+v, want eth0 with its program", s)
			}
			after := counters(t, f)
			banned := client.connect(t, "198.51.100.2", "198.51.100.1:443")
			awaitVerdict(t, f, DropHost, after)
			if banned.connected() {
				t.Error("a banned host connected")
			}
			pins, err := filepath.Glob(filepath.Join(dir, "link-*"))
			must(t, err)
			if want := filepath.Join(dir, "link-"+strconv.Itoa(index)); len(pins) != 2 || pins[0] != want && pins[1] != want {
				t.Errorf("pinned are %q, want lo's and %s", pins, want)
			}
			must(t, f.Close())
			gone(t, dir)
			if h := server.hook(t, "eth0"); h.program != 0 {
				t.Errorf("program %d is left at eth0", h.program)
			}
		})
	}
}

// TestInterfaceMadeAgainIsBusy: somebody else was there first, and goes.
func TestInterfaceMadeAgainIsBusy(t *testing.T) {
	server, client := wired(t)
	f := server.open(t, Options{Interfaces: []string{"eth0"}})
	told := server.watch(t, f)
	server.ip(t, "link", "delete", "eth0")
	awaitTold(t, told, "the interface is gone")
	server.ip(t, "link", "add", "other", "type", "veth", "peer", "name", "eth0", "netns", strconv.Itoa(client.thread))
	t.Run("busy", func(t *testing.T) {
		other(t, server, "other", link.XDPDriverMode)
		server.ip(t, "link", "set", "other", "name", "eth0")
		awaitTold(t, told, "XDP hook is taken by program")
		if s := server.status(t, f); !strings.Contains(s.Problem, "somebody_else") {
			t.Errorf("Status = %+v, want whose program is there", s)
		}
	})
	if s := awaitTold(t, told, ""); s.Program != server.hook(t, "eth0").program {
		t.Errorf("told of %+v, want eth0 with its program", s)
	}
}

// TestAnotherInterfaceTakesTheName: a rename keeps the program, until there is
// another interface of the name that is configured.
func TestAnotherInterfaceTakesTheName(t *testing.T) {
	server, client := wired(t)
	f := server.open(t, Options{Interfaces: []string{"eth0"}})
	told := server.watch(t, f)
	server.ip(t, "link", "set", "eth0", "down")
	server.ip(t, "link", "set", "eth0", "name", "old0")
	if h := server.hook(t, "old0"); h.program == 0 {
		t.Error("the program went with the name")
	}
	client.ip(t, "link", "set", "eth0", "down") // or kernels before 6.2 do not rename it
	client.ip(t, "link", "set", "eth0", "name", "old0")
	rewire(t, server, client, 4711)
	s := awaitTold(t, told, "")
	if s.Index != 4711 || s.Program != server.hook(t, "eth0").program || server.hook(t, "old0").program != 0 {
		t.Errorf("told of %+v; old0 has %+v, want the program at eth0 only", s, server.hook(t, "old0"))
	}
}

// TestDetachedFromOutside: what the configuration says is so again.
func TestDetachedFromOutside(t *testing.T) {
	server, _ := wired(t)
	f := server.open(t, Options{Interfaces: []string{"eth0"}})
	must(t, f.attachments[0].link.Detach())
	told := server.watch(t, f)
	if s := awaitTold(t, told, ""); s.Program == 0 || s.Program != server.hook(t, "eth0").program {
		t.Errorf("told of %+v, want eth0 with its program", s)
	}
}

func TestWatchEndsWithTheFilter(t *testing.T) {
	n := alone(t)
	f := n.open(t, Options{Interfaces: []string{"lo"}})
	must(t, f.Close())
	if err := n.try(func() error { return f.Watch(t.Context(), func(InterfaceStatus) {}) }); !errors.Is(err, ErrClosed) {
		t.Errorf("Watch of a closed Filter: %v, want %v", err, ErrClosed)
	}
}

// linkMessage is one about an interface of that name.
func linkMessage(kind uint16, name string) []byte {
	attribute := binary.NativeEndian.AppendUint16(nil, uint16(unix.SizeofNlAttr+len(name)+1))
	attribute = binary.NativeEndian.AppendUint16(attribute, unix.IFLA_IFNAME)
	attribute = append(append(attribute, name...), 0)
	for len(attribute)%4 != 0 {
		attribute = append(attribute, 0)
	}
	b := make([]byte, unix.SizeofNlMsghdr+unix.SizeofIfInfomsg)
	binary.NativeEndian.PutUint32(b, uint32(len(b)+len(attribute)))
	binary.NativeEndian.PutUint16(b[4:], kind)
	return append(b, attribute...)
}

func TestConcern(t *testing.T) {
	names := map[string]bool{"eth0": true}
	other, ours := linkMessage(unix.RTM_NEWLINK, "veth7f3a"), linkMessage(unix.RTM_DELLINK, "eth0")
	for _, tt := range []struct {
		name string
		b    []byte
		want bool
	}{
		{"another", other, false},
		{"ours goes", ours, true},
		{"ours comes", linkMessage(unix.RTM_NEWLINK, "eth0"), true},
		{"ours behind another", append(append([]byte(nil), other...), ours...), true},
		{"a route", linkMessage(unix.RTM_NEWROUTE, "eth0"), false},
		{"nothing", nil, false},
		{"half", ours[:len(ours)-4], true},
	} {
		if got := concern(tt.b, names); got != tt.want {
			t.Errorf("%s: %t, want %t", tt.name, got, tt.want)
		}
	}
}

func FuzzConcern(f *testing.F) {
	f.Add(linkMessage(unix.RTM_NEWLINK, "eth0"))
	f.Add(linkMessage(unix.RTM_DELLINK, "veth7f3a"))
	names := map[string]bool{"eth0": true}
	f.Fuzz(func(t *testing.T, b []byte) {
		if concern(b, names) && len(b) == 0 {
			t.Error("nothing concerns us")
		}
	})
}
