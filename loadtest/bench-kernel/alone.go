package main

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"github.com/sallyport/sallyport/bpf"
	"github.com/sallyport/sallyport/loadtest/benchmark"
)

// repeats is how often the kernel runs a program between two looks at its
// clock; of rounds of that the best counts, as all that disturbs adds to it.
const (
	repeats = 100_000
	rounds  = 5
)

// alone are what the program is measured on alone, by BPF_PROG_TEST_RUN: a
// packet of the same source each time, or of one at random out of n, whose entry
// is in no cache.
var alone = []struct {
	name   string
	first  uint32 // source, or the first of them
	random bool
	drop   bool
}{
	{"hit, one source", bannedFrom, false, true},
	{"miss, one source", strangerSource, false, false},
	{"hit, any source", bannedFrom, true, true},
	{"miss, any source", strangerSource, true, false},
}

// measureAlone has the kernel run the program of f on its own.
func (b *bench) measureAlone(f *bpf.Filter, n int) error {
	server := b.cable.server
	return server.as(server.core, 0, func() error {
		s := f.Status()
		if len(s) != 1 || s[0].Problem != "" {
			return fmt.Errorf("find the XDP program: %+v", s)
		}
		program, err := ebpf.NewProgramFromID(ebpf.ProgramID(s[0].Program))
		if err != nil {
			return fmt.Errorf("open the XDP program: %w", err)
		}
		defer program.Close()
		for _, a := range alone {
			cost, err := costAlone(program, a.first, n, a.random, a.drop)
			if err != nil {
				return fmt.Errorf("%s, %s bans: %w", a.name, benchmark.Count(n), err)
			}
			b.sheet.add(running(a.name, n), xdp, cost)
		}
		empty, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.XDP, License: "GPL", Instructions: asm.Instructions{
			asm.Mov.Imm(asm.R0, xdpPass), asm.Return(),
		}})
		if err != nil {
			return err
		}
		defer empty.Close()
		cost, err := best(empty, frameFrom(strangerSource), xdpPass)
		for _, a := range alone {
			b.sheet.add(running(a.name, n), emptyProgram, cost)
		}
		return err
	})
}

// The actions of a program.
const xdpDrop, xdpPass = 1, 2

// costAlone is the nanoseconds of a packet from first, or from one of n sources
// from there on.
func costAlone(program *ebpf.Program, first uint32, n int, random, drop bool) (float64, error) {
	action := uint32(xdpPass)
	if drop {
		action = xdpDrop
	}
	if random {
		jump, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.ProgramArray, KeySize: 4, ValueSize: 4, MaxEntries: 1})
		if err != nil {
			return 0, err
		}
		defer jump.Close()
		before, err := ebpf.NewProgram(&ebpf.ProgramSpec{
			Type: ebpf.XDP, AttachType: ebpf.AttachXDP, License: "GPL", Instructions: sourceThen(int32(first), n, jump),
			Flags: 1 << 5, // BPF_F_XDP_HAS_FRAGS; this and the type are those of the program that it goes on to
		})
		if err != nil {
			return 0, fmt.Errorf("load a program before the XDP program: %w", err)
		}
		defer before.Close()
		if err := jump.Put(uint32(0), program); err != nil {
			return 0, fmt.Errorf("go on to the XDP program: %w", err)
		}
		program = before
	}
	return best(program, frameFrom(first), action)
}

// sourceThen makes up a source, and goes on to the program in jump.
func sourceThen(first int32, n int, jump *ebpf.Map) asm.Instructions {
	return slices.Concat(randomSource(first, n), asm.Instructions{
		asm.Mov.Reg(asm.R1, asm.R6),
		asm.LoadMapPtr(asm.R2, jump.FD()),
		asm.Mov.Imm(asm.R3, 0),
		asm.FnTailCall.Call(),
		asm.Mov.Imm(asm.R0, 0).WithSymbol("end"), // aborted: nothing was gone on to
		asm.Return(),
	})
}

// best is the nanoseconds of a run, in the best of some rounds. Another action
// than that wanted is an error.
func best(program *ebpf.Program, frame []byte, want uint32) (float64, error) {
	least := time.Hour
	for range rounds {
		action, each, err := program.Benchmark(frame, repeats, nil)
		if err != nil {
			return 0, err
		}
		if action != want {
			return 0, fmt.Errorf("XDP action %d: want %d", action, want)
		}
		least = min(least, each)
	}
	if least <= 0 {
		return 0, errors.New("the kernel took no time")
	}
	return float64(least), nil
}

func frameFrom(source uint32) []byte {
	a := netip.AddrFrom4([4]byte{byte(source >> 24), byte(source >> 16), byte(source >> 8), byte(source)})
	mac := []byte{2, 2, 2, 2, 2, 2}
	return synFrame(mac, mac, netip.AddrPortFrom(a, 40000), flooded)
}
