package main

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"
	"os"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/sallyport/sallyport/bpf"
)

// checkSums fails unless both checksums are right: with them, all words add up
// to ones (RFC 1071).
func checkSums(t *testing.T, frame []byte) {
	t.Helper()
	ip, tcp := frame[14:34], frame[34:]
	if got := fold(sum16(ip)); got != 0xffff {
		t.Errorf("words of the IP header add up to %#x, want 0xffff", got)
	}
	if got := fold(pseudoSum(ip, tcp)); got != 0xffff {
		t.Errorf("words of the segment add up to %#x, want 0xffff", got)
	}
}

func TestSYNFrame(t *testing.T) {
	to, from := net.HardwareAddr{1, 2, 3, 4, 5, 6}, net.HardwareAddr{7, 8, 9, 10, 11, 12}
	frame := synFrame(from, to, netip.MustParseAddrPort("100.1.2.3:4660"), netip.MustParseAddrPort("198.18.0.1:8444"))
	want := []byte{
		1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 8, 0,
		0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 100, 1, 2, 3, 198, 18, 0, 1,
		0x12, 0x34, 0x20, 0xfc, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 2, 0xfa, 0xf0, 0, 0, 0, 0,
	}
	checkSums(t, frame)
	clear(frame[ipSum : ipSum+2])
	clear(frame[tcpSum : tcpSum+2])
	if !bytes.Equal(frame, want) {
		t.Errorf("frame\n% x, want\n% x", frame, want)
	}
}

// TestGenerator has the kernel make frames, and looks at them.
func TestGenerator(t *testing.T) {
	if os.Getuid() != 0 {
		lack(t, "not root")
	}
	if err := bpf.Supported(); err != nil {
		lack(t, err.Error())
	}
	const n = 1000
	mac := net.HardwareAddr{2, 2, 2, 2, 2, 2}
	frame := synFrame(mac, mac, netip.AddrPortFrom(netip.AddrFrom4([4]byte{}), 0), flooded)
	program, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.XDP, License: "GPL", Instructions: sendRandom(frame, n)})
	if err != nil {
		t.Fatalf("%+v", err)
	}
	defer program.Close()
	sources, ports := map[uint32]bool{}, map[uint16]bool{}
	for range 200 {
		made := make([]byte, len(frame))
		action, err := program.Run(&ebpf.RunOptions{Data: frame, DataOut: made})
		if err != nil || action != 3 {
			t.Fatalf("action %d, %v, want 3", action, err)
		}
		checkSums(t, made)
		source := binary.BigEndian.Uint32(made[ipSource:])
		if source < bannedFrom || source >= bannedFrom+n {
			t.Errorf("source %#x, want one of %d from %#x on", source, n, uint32(bannedFrom))
		}
		sources[source], ports[binary.BigEndian.Uint16(made[tcpSource:])] = true, true
		// All else is as it was given.
		for _, at := range []int{ipSum, ipSource, ipSource + 2, tcpSource, tcpSum} {
			copy(made[at:at+2], frame[at:])
		}
		if !bytes.Equal(made, frame) {
			t.Fatalf("frame\n% x, want\n% x", made, frame)
		}
	}
	if len(sources) < 100 || len(ports) < 100 {
		t.Errorf("%d sources and %d ports in 200 frames, want most to differ", len(sources), len(ports))
	}
	if action, err := program.Run(&ebpf.RunOptions{Data: frame[:frameSize-1]}); err != nil || action != xdpDrop {
		t.Errorf("a short frame: action %d, %v, want it dropped", action, err)
	}
}
