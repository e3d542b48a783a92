package main

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

// generator sends SYNs from the client's end, as fast as a core makes them: the
// kernel runs a program on frames and transmits what it returns. Each SYN is
// from a source of its own, at random out of count from 100.0.0.0 on.
type generator struct {
	end     *end
	program *ebpf.Program
	frame   []byte
}

// liveFrames has BPF_PROG_TEST_RUN send the frames.
const liveFrames = 1 << 1

// xdpMD is struct xdp_md, of which the kernel takes what it is given.
type xdpMD struct{ Data, DataEnd, DataMeta, IngressIfindex, RXQueueIndex, EgressIfindex uint32 }

// newGenerator makes it; close must be called.
func newGenerator(w *cable, count int) (*generator, error) {
	g := &generator{end: w.client}
	source := netip.AddrPortFrom(netip.AddrFrom4([4]byte{}), 0)
	target := netip.AddrPortFrom(netip.MustParseAddr(serverIP), floodedPort)
	g.frame = synFrame(w.client.mac, w.server.mac, source, target)
	var err error
	if g.program, err = ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "bench_flood", Type: ebpf.XDP, License: "GPL", Instructions: sendRandom(g.frame, count),
	}); err != nil {
		return nil, fmt.Errorf("load the generator: %w", err)
	}
	return g, nil
}

func (g *generator) close() { g.program.Close() }

// send floods for a time.
func (g *generator) send(ctx context.Context, length time.Duration) error {
	options := &ebpf.RunOptions{
		Data: g.frame, Flags: liveFrames, BatchSize: 64,
		Repeat:  1 << 15, // some 20 ms
		Context: xdpMD{DataEnd: uint32(len(g.frame)), IngressIfindex: uint32(g.end.index)},
	}
	// As what receives: a flood in fits and starts measures how a thread wakes up.
	return g.end.as(g.end.core, g.end.nice, func() error {
		for end := time.Now().Add(length); time.Now().Before(end) && ctx.Err() == nil; {
			if _, err := g.program.Run(options); err != nil {
				return fmt.Errorf("send live frames: %w", err)
			}
		}
		return ctx.Err()
	})
}

// The registers of the programs below: R6 is the context, R7 the source, R8 the
// port.

// randomSource puts a source into R7, one of count from 100.0.0.0 on, and has R2
// point to the frame; it goes to "end" if that is too short.
func randomSource(first int32, count int) asm.Instructions {
	return asm.Instructions{
		asm.Mov.Reg(asm.R6, asm.R1),
		asm.FnGetPrandomU32.Call(),
		asm.Mod.Imm(asm.R0, int32(count)),
		asm.Mov.Reg(asm.R7, asm.R0),
		asm.Add.Imm(asm.R7, first),
		asm.FnGetPrandomU32.Call(),
		asm.Mov.Reg(asm.R8, asm.R0),
		asm.And.Imm(asm.R8, 0x7fff),
		asm.Add.Imm(asm.R8, 0x4000),
		asm.LoadMem(asm.R2, asm.R6, 0, asm.Word),
		asm.LoadMem(asm.R3, asm.R6, 4, asm.Word),
		asm.Mov.Reg(asm.R4, asm.R2),
		asm.Add.Imm(asm.R4, frameSize),
		asm.JGT.Reg(asm.R4, asm.R3, "end"),
		asm.Mov.Reg(asm.R5, asm.R7),
		asm.HostTo(asm.BE, asm.R5, asm.Word),
		asm.StoreMem(asm.R2, ipSource, asm.R5, asm.Word),
	}
}

// sendRandom makes up source and port, corrects the checksums, which in frame
// are those of source and port 0, and transmits. Frames are used again, so all
// that changes is written anew.
func sendRandom(frame []byte, count int) asm.Instructions {
	correct := func(at int16, port bool) asm.Instructions {
		// What the frame's checksum was made of, to which source and port add.
		sum := int32(^uint16(uint16(frame[at])<<8 | uint16(frame[at+1])))
		program := asm.Instructions{
			asm.Mov.Reg(asm.R5, asm.R7),
			asm.RSh.Imm(asm.R5, 16),
			asm.Mov.Reg(asm.R4, asm.R7),
			asm.And.Imm(asm.R4, 0xffff),
			asm.Add.Reg(asm.R5, asm.R4),
			asm.Add.Imm(asm.R5, sum),
		}
		if port {
			program = append(program, asm.Add.Reg(asm.R5, asm.R8))
		}
		for range 2 { // carries, and the carry of those
			program = append(program,
				asm.Mov.Reg(asm.R4, asm.R5),
				asm.RSh.Imm(asm.R4, 16),
				asm.And.Imm(asm.R5, 0xffff),
				asm.Add.Reg(asm.R5, asm.R4),
			)
		}
		return append(program,
			asm.Xor.Imm(asm.R5, 0xffff),
			asm.HostTo(asm.BE, asm.R5, asm.Half),
			asm.StoreMem(asm.R2, at, asm.R5, asm.Half),
		)
	}
	const drop, transmit = 1, 3
	return slices.Concat(
		randomSource(bannedFrom, count),
		asm.Instructions{
			asm.Mov.Reg(asm.R5, asm.R8),
			asm.HostTo(asm.BE, asm.R5, asm.Half),
			asm.StoreMem(asm.R2, tcpSource, asm.R5, asm.Half),
		},
		correct(ipSum, false),
		correct(tcpSum, true),
		asm.Instructions{
			asm.Mov.Imm(asm.R0, transmit),
			asm.Return(),
			asm.Mov.Imm(asm.R0, drop).WithSymbol("end"),
			asm.Return(),
		},
	)
}
