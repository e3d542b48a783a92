package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"

	"github.com/sallyport/sallyport/bpf"
	"github.com/sallyport/sallyport/loadtest/benchmark"
)

// flooded is the listener that SYNs go to.
var flooded = netip.AddrPortFrom(netip.MustParseAddr(serverIP), floodedPort)

// measureReceiving measures what receiving a SYN from a source of n costs, with
// each of the sides in turn.
func (b *bench) measureReceiving(ctx context.Context, n int) error {
	g, err := newGenerator(b.cable, n)
	if err != nil {
		return err
	}
	defer g.close()
	l, err := b.cable.server.listen(flooded.String())
	if err != nil {
		return err
	}
	defer l.Close()
	if err := b.measureFlood(ctx, g, n, noFilter, nil); err != nil {
		return err
	}
	if err := b.measureFloor(ctx, g, n); err != nil {
		return err
	}
	if err := b.measureXDP(ctx, g, n); err != nil {
		return err
	}
	if b.nftables {
		return b.measureNFT(ctx, g, n)
	}
	return nil
}

// measureFloor has a program drop everything unseen: no ban can cost less.
func (b *bench) measureFloor(ctx context.Context, g *generator, n int) (err error) {
	program, err := ebpf.NewProgram(&ebpf.ProgramSpec{Name: "bench_drop", Type: ebpf.XDP, License: "GPL", Instructions: asm.Instructions{
		asm.Mov.Imm(asm.R0, xdpDrop), asm.Return(),
	}})
	if err != nil {
		return err
	}
	defer program.Close()
	server := b.cable.server
	var at link.Link
	if err := server.do(func() error {
		at, err = link.AttachXDP(link.XDPOptions{Program: program, Interface: server.index, Flags: link.XDPDriverMode})
		return err
	}); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, at.Close()) }()
	return b.measureFlood(ctx, g, n, dropAll, nil)
}

// measureXDP also times the loading and the listing of bans, and has the
// program run alone.
func (b *bench) measureXDP(ctx context.Context, g *generator, n int) (err error) {
	server := b.cable.server
	var f *bpf.Filter
	if err := server.do(func() error {
		f, err = bpf.Open(bpf.Options{Interfaces: []string{server.device}, Attach: bpf.Native})
		return err
	}); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.do(f.Close)) }()
	if err := f.SetScope([]netip.AddrPort{flooded}); err != nil {
		return err
	}
	bans := make([]bpf.Ban, n)
	until := time.Now().Add(24 * time.Hour)
	for i := range bans {
		bans[i] = bpf.Ban{Prefix: netip.PrefixFrom(bannedAddress(i), 32), Until: until}
	}
	start := time.Now()
	if _, err := f.BanAll(bans); err != nil {
		return err
	}
	b.sheet.add(load(n), xdp, time.Since(start).Seconds())
	dropped := func() (uint64, error) {
		c, err := f.Counters()
		return c.Verdicts[bpf.DropHost].Packets, err
	}
	if err := b.measureFlood(ctx, g, n, xdp, dropped); err != nil {
		return err
	}
	return b.measureAlone(f, n)
}

func (b *bench) measureNFT(ctx context.Context, g *generator, n int) (err error) {
	peer := nft{b.cable.server}
	defer func() { err = errors.Join(err, peer.unload()) }()
	for _, kind := range []string{nftables, nftFixed} {
		took, err := peer.load(kind, n)
		if err != nil {
			return err
		}
		b.sheet.add(load(n), kind, took.Seconds())
		for hook := range nftHooks {
			remove, err := peer.drop(hook)
			if err != nil {
				return err
			}
			err = b.measureFlood(ctx, g, n, kind+", "+hook, nil)
			if err := errors.Join(err, remove()); err != nil {
				return err
			}
		}
	}
	return nil
}

// least is how few packets are too few for a figure.
const least = 1000

// measureFlood floods, and notes what a packet that came over the cable cost. It
// proves that a side dropped them, or did not: what TCP was given says so, and
// dropped, where there is one.
func (b *bench) measureFlood(ctx context.Context, g *generator, n int, side string, dropped func() (uint64, error)) error {
	if err := g.send(ctx, b.window/5); err != nil { // for the caches
		return err
	}
	server := b.cable.server
	before, err := server.settled(ctx)
	if err != nil {
		return err
	}
	var droppedBefore, droppedAfter uint64
	if dropped != nil {
		if droppedBefore, err = dropped(); err != nil {
			return err
		}
	}
	if err := g.send(ctx, b.window); err != nil {
		return err
	}
	after, err := server.settled(ctx)
	if err != nil {
		return err
	}
	if dropped != nil {
		if droppedAfter, err = dropped(); err != nil {
			return err
		}
	}
	got := after.since(before)
	if err := proveFlood(got, side != noFilter); err != nil {
		return fmt.Errorf("flood, %s, %s bans: %w", side, benchmark.Count(n), err)
	}
	if drops := droppedAfter - droppedBefore; dropped != nil && drops < got.packets*99/100 {
		return fmt.Errorf("flood, %s, %s bans: %d of %d packets were dropped: want all", side, benchmark.Count(n), drops, got.packets)
	}
	b.sheet.add(dropping(n), side, float64(got.cpu)/float64(got.packets))
	return nil
}

// proveFlood is an error unless the packets were dropped before TCP, or given to
// it, as they should have been. One in a hundred may be something else.
func proveFlood(got tally, drop bool) error {
	switch {
	case got.packets < least:
		return fmt.Errorf("%d packets came: want %d or more", got.packets, least)
	case drop && got.delivered > got.packets/100:
		return fmt.Errorf("%d of %d packets came to TCP: want none", got.delivered, got.packets)
	case !drop && got.delivered < got.packets*99/100:
		return fmt.Errorf("%d of %d packets came to TCP: want all", got.delivered, got.packets)
	}
	return nil
}

// settled is the tally once nothing is under way any more: the time of a thread
// is exact while it sleeps.
func (e *end) settled(ctx context.Context) (tally, error) {
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	last, err := e.tally()
	for err == nil {
		select {
		case <-ctx.Done():
			return tally{}, ctx.Err()
		case <-again.C:
		}
		var now tally
		if now, err = e.tally(); now == last {
			return now, err
		}
		last = now
	}
	return tally{}, err
}
