package bpf

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

// BenchmarkPacket is the cost of one packet in nanoseconds as the kernel
// measures it, the best of all iterations, which each send 100,000. "hot" is one source again
// and again, "random" a source at random out of as many as are banned, so that
// its entry is in no cache.
func BenchmarkPacket(b *testing.B) {
	packet := func(b *testing.B, f *Filter, frame frame) {
		perPacket(b, f.maps.SallyportBan, frame.bytes())
	}
	b.Run("no_bans", func(b *testing.B) { packet(b, crowd(b, 0, Options{}), to4(stranger4)) })
	b.Run("no_bans_IPv6", func(b *testing.B) { packet(b, crowd(b, 0, Options{}), to6(stranger6)) })
	b.Run("options_and_tags", func(b *testing.B) {
		packet(b, crowd(b, 0, Options{}), to4(stranger4).with(func(f *frame) { f.ihl, f.tags = 8, []uint16{0x8100} }))
	})
	b.Run("out_of_scope", func(b *testing.B) {
		packet(b, crowd(b, 0, Options{}), to4(stranger4).with(func(f *frame) { f.port = 22 }))
	})
	b.Run("any_address", func(b *testing.B) {
		f := crowd(b, 1, Options{})
		packet(b, f, to4("100.0.0.0").with(func(f *frame) { f.port = 8443 }))
	})
	b.Run("SYN_limit", func(b *testing.B) {
		packet(b, crowd(b, 0, Options{SYNLimit: SYNLimit{Rate: 1e6, Burst: 1e6}}), to4(stranger4))
	})
	b.Run("network", func(b *testing.B) {
		f := crowd(b, 0, Options{})
		must(b, f.Ban(Ban{Prefix: netip.MustParsePrefix("203.0.113.0/24")}))
		packet(b, f, to4("203.0.113.9"))
	})
	for _, n := range []int{1 << 17, 1 << 20} {
		f := crowd(b, n, Options{})
		name := fmt.Sprintf("bans=%d/", n)
		b.Run(name+"hot_hit", func(b *testing.B) { packet(b, f, to4("100.0.0.1")) })
		b.Run(name+"hot_miss", func(b *testing.B) { packet(b, f, to4(stranger4)) })
		b.Run(name+"random_hit", func(b *testing.B) { perPacket(b, randomSources(b, f, 100, n), to4(stranger4).bytes()) })
		b.Run(name+"random_miss", func(b *testing.B) { perPacket(b, randomSources(b, f, 101, n), to4(stranger4).bytes()) })
		must(b, f.Close())
	}
}

// crowd returns a Filter in which n hosts are banned, of 100.0.0.0/8.
func crowd(b *testing.B, n int, o Options) *Filter {
	b.Helper()
	f := loaded(b, o)
	must(b, f.SetScope([]netip.AddrPort{netip.MustParseAddrPort(listener4 + ":443"), netip.MustParseAddrPort("[" + listener6 + "]:443"), netip.AddrPortFrom(netip.Addr{}, 8443)}))
	must(b, f.SetExempt([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("::1/128"), netip.MustParsePrefix("fe80::/10")}))
	_, err := f.BanAll(hosted(n))
	must(b, err)
	return f
}

func hosted(n int) []Ban {
	bans := make([]Ban, n)
	for i := range bans {
		bans[i] = Ban{Prefix: host(i), Until: time.Now().Add(time.Hour)}
	}
	return bans
}

func perPacket(b *testing.B, program *ebpf.Program, frame []byte) {
	best := time.Hour
	b.ReportAllocs()
	for b.Loop() {
		var each time.Duration
		must(b, secluded(b).try(func() (err error) {
			_, each, err = program.Benchmark(frame, 100_000, nil)
			return err
		}))
		best = min(best, each)
	}
	b.ReportMetric(float64(best.Nanoseconds()), "ns/packet")
}

// randomSources returns a program that makes up a source, one of n of first.0.0.0/8,
// and then goes on to the filter's.
func randomSources(b *testing.B, f *Filter, first byte, n int) *ebpf.Program {
	b.Helper()
	jump, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.ProgramArray, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	must(b, err)
	b.Cleanup(func() { jump.Close() })
	const source = 14 + 12
	program, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.XDP, AttachType: ebpf.AttachXDP, License: "GPL", Flags: 1 << 5, // BPF_F_XDP_HAS_FRAGS, as the filter's
		Instructions: asm.Instructions{
			asm.Mov.Reg(asm.R6, asm.R1),
			asm.FnGetPrandomU32.Call(),
			asm.And.Imm(asm.R0, int32(n-1)),
			asm.HostTo(asm.BE, asm.R0, asm.Word),
			asm.Or.Imm(asm.R0, int32(first)),
			asm.LoadMem(asm.R2, asm.R6, 0, asm.Word),
			asm.LoadMem(asm.R3, asm.R6, 4, asm.Word),
			asm.Mov.Reg(asm.R4, asm.R2),
			asm.Add.Imm(asm.R4, source+4),
			asm.JGT.Reg(asm.R4, asm.R3, "end"),
			asm.StoreMem(asm.R2, source, asm.R0, asm.Word),
			asm.Mov.Reg(asm.R1, asm.R6),
			asm.LoadMapPtr(asm.R2, jump.FD()),
			asm.Mov.Imm(asm.R3, 0),
			asm.FnTailCall.Call(),
			asm.Mov.Imm(asm.R0, 0).WithSymbol("end"), // aborted: the filter was not reached
			asm.Return(),
		},
	})
	must(b, err)
	b.Cleanup(func() { program.Close() })
	must(b, jump.Put(uint32(0), f.maps.SallyportBan))
	hit := map[byte]uint32{100: 1, 101: 2}[first]
	if action, err := program.Run(&ebpf.RunOptions{Data: to4(stranger4).bytes()}); err != nil || action != hit {
		b.Fatalf("a random source of %d.0.0.0/8: action %d, %v, want %d", first, action, err, hit)
	}
	return program
}

func BenchmarkBanAllMillion(b *testing.B) {
	bans := hosted(1 << 20)
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		f := loaded(b, Options{})
		b.StartTimer()
		_, err := f.BanAll(bans)
		must(b, err)
		b.StopTimer()
		if info, err := f.maps.Hosts.Info(); err == nil {
			if bytes, ok := info.Memlock(); ok {
				b.ReportMetric(float64(bytes)/float64(len(bans)), "kernel-B/ban")
			}
		}
		must(b, f.Close())
		b.StartTimer()
	}
}

func BenchmarkListMillion(b *testing.B) {
	f := crowd(b, 1<<20, Options{})
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		for _, err := range f.Bans() {
			must(b, err)
			n++
		}
		if n != 1<<20 {
			b.Fatalf("%d bans were listed, want %d", n, 1<<20)
		}
	}
}

// BenchmarkReapMillion looks at a million bans of which none is over.
func BenchmarkReapMillion(b *testing.B) {
	f := crowd(b, 1<<20, Options{})
	b.ReportAllocs()
	for b.Loop() {
		if n, err := f.Reap(time.Now()); err != nil || n != 0 {
			b.Fatalf("Reap = %d, %v", n, err)
		}
	}
}

func BenchmarkBan(b *testing.B) {
	f := loaded(b, Options{})
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		must(b, f.Ban(Ban{Prefix: host(n % (1 << 19))}))
	}
}

func BenchmarkLookup(b *testing.B) {
	f := crowd(b, 1<<17, Options{})
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		if _, found, err := f.Lookup(host(n % (1 << 17)).Addr()); err != nil || !found {
			b.Fatalf("Lookup = %v, %v", found, err)
		}
	}
}
