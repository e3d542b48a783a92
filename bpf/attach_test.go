package bpf

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
)

// TestFallsBack: the loopback interface has no driver to attach in.
func TestFallsBack(t *testing.T) {
	n := alone(t)
	f := n.open(t, Options{Interfaces: []string{"lo"}})
	s := n.status(t, f)
	if s.Mode != Generic || s.NotNative == "" || s.Problem != "" || s.Program == 0 || s.Interface != "lo" || s.Since.IsZero() {
		t.Errorf("Status = %+v, want generic, and why not native", s)
	}
	must(t, f.Close())
	n.do(t, func() error {
		if f, err := Open(Options{Interfaces: []string{"lo"}, Attach: Native}); err == nil {
			f.Close()
			return errors.New("Open with Native succeeded on lo")
		}
		return nil
	})
	if h := n.hook(t, "lo"); h.program != 0 {
		t.Errorf("program %d is left at lo", h.program)
	}
}

func TestNativeWhereItWorks(t *testing.T) {
	server, _ := wired(t)
	f := server.open(t, Options{Interfaces: []string{"eth0"}})
	if s := server.status(t, f); s.Mode != Native || s.NotNative != "" || s.Program != server.hook(t, "eth0").program {
		t.Errorf("Status = %+v, want native", s)
	}
}

// TestJumboFrames are in several buffers, of which the program sees the first.
func TestJumboFrames(t *testing.T) {
	server, client := wired(t)
	for _, n := range []*namespace{server, client} {
		n.ip(t, "link", "set", "eth0", "mtu", "9000")
	}
	f := server.open(t, Options{Interfaces: []string{"eth0"}, Attach: Native})
	must(t, f.SetScope(web))
	var l net.Listener
	server.do(t, func() (err error) {
		l, err = net.Listen("tcp4", "198.51.100.1:443")
		return err
	})
	defer l.Close()
	a := client.connect(t, "198.51.100.2", "198.51.100.1:443")
	accepted, err := l.Accept()
	must(t, err)
	defer accepted.Close()
	a.connects(t, "a client")
	const much = 4 << 20
	sent := make(chan error, 1)
	go func() {
		_, err := a.Write(make([]byte, much))
		sent <- err
	}()
	if _, err := io.CopyN(io.Discard, accepted, much); err != nil {
		t.Error(err)
	}
	must(t, <-sent)
	if c := counters(t, f).Verdicts[Pass]; c.Bytes < much || c.Bytes/c.Packets < 4000 {
		t.Errorf("%d bytes in %d packets passed, want at least %d in jumbo frames", c.Bytes, c.Packets, much)
	}
}

// other attaches a program of somebody else.
func other(t *testing.T, n *namespace, device string, flags link.XDPAttachFlags) {
	t.Helper()
	program, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "somebody_else", Type: ebpf.XDP, License: "GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 2), asm.Return()},
	})
	must(t, err)
	t.Cleanup(func() { program.Close() })
	n.do(t, func() error {
		i, err := net.InterfaceByName(device)
		if err != nil {
			return err
		}
		l, err := link.AttachXDP(link.XDPOptions{Program: program, Interface: i.Index, Flags: flags})
		if err == nil {
			t.Cleanup(func() { l.Close() })
		}
		return err
	})
}

func TestBusy(t *testing.T) {
	for name, flags := range map[string]link.XDPAttachFlags{"native": link.XDPDriverMode, "generic": link.XDPGenericMode} {
		t.Run(name, func(t *testing.T) {
			server, _ := wired(t)
			dir := pinDir(t)
			other(t, server, "eth0", flags)
			before := server.hook(t, "eth0")
			for mode, interfaces := range map[AttachMode][]string{Auto: {"lo", "eth0"}, Native: {"eth0"}, Generic: {"lo", "eth0"}} {
				err := server.try(func() error {
					f, err := Open(Options{Interfaces: interfaces, Attach: mode, Pin: dir})
					if err == nil {
						f.Close()
					}
					return err
				})
				if want := fmt.Sprintf("attach to eth0: XDP hook is taken by program %d \"somebody_else\" (%s)", before.program, name); !errors.Is(err, ErrBusy) || !strings.Contains(err.Error(), want) {
					t.Errorf("%v: Open: %v, want: %s", mode, err, want)
				}
				if h := server.hook(t, "eth0"); h != before {
					t.Errorf("%v: eth0 has %+v, had %+v", mode, h, before)
				}
				if h := server.hook(t, "lo"); h.program != 0 {
					t.Errorf("%v: program %d is left at lo", mode, h.program)
				}
				gone(t, dir)
			}
		})
	}
}

func TestNoInterface(t *testing.T) {
	n := newNamespace(t)
	dir := pinDir(t)
	if err := n.try(func() error {
		_, err := Open(Options{Interfaces: []string{"lo", "eth7"}, Pin: dir})
		return err
	}); err == nil || !strings.Contains(err.Error(), `"eth7"`) {
		t.Errorf("Open: %v, want an error that names eth7", err)
	}
	gone(t, dir)
	if h := n.hook(t, "lo"); h.program != 0 {
		t.Errorf("program %d is left at lo", h.program)
	}
}

func TestInterfaceGoesAway(t *testing.T) {
	server, _ := wired(t)
	dir := pinDir(t)
	f := server.open(t, Options{Interfaces: []string{"eth0"}, Pin: dir})
	server.ip(t, "link", "delete", "eth0")
	if s := server.status(t, f); s.Problem == "" || s.Mode != Auto {
		t.Errorf("Status = %+v, want the problem said", s)
	}
	must(t, f.Close())
	gone(t, dir)
}
