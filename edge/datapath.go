package edge

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/sallyport/sallyport/bpf"
	"github.com/sallyport/sallyport/edge/admin"
	"github.com/sallyport/sallyport/edge/ban"
	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/reason"
)

// datapath is where packets of the banned are dropped: in XDP, or nowhere, so
// that their connections are closed in user space.
type datapath struct {
	filter *bpf.Filter // nil in user space
	why    string      // user space, where the configuration allows either
}

// manyBans is from where on bans go to the kernel in batches: after a start.
const manyBans = 256

// byHand is how many bans beyond ban.max_bans can be made by hand.
const byHand = 10_000

// openDatapath attaches XDP where cfg wants it. Failing that, auto does without.
func openDatapath(cfg *config.Config) (*datapath, error) {
	b := cfg.Ban
	switch {
	case b.Mode == config.BanOff:
		return inUserSpace(cfg, "ban.mode was off at the start"), nil
	case b.Datapath == config.DatapathUserspace:
		return inUserSpace(cfg, "ban.datapath is userspace"), nil
	case len(b.Interfaces) == 0:
		return inUserSpace(cfg, "ban.interfaces names none"), nil
	}
	limit := bpf.SYNLimit{Rate: float64(b.SYNLimit.Rate), Burst: b.SYNLimit.Burst}
	if b.Mode != config.BanEnforce {
		limit = bpf.SYNLimit{} // there is no trying it out
	}
	filter, err := bpf.Open(bpf.Options{
		Interfaces: b.Interfaces,
		Pin:        pinDirectory(bpf.DefaultPin, cfg),
		MaxBans:    b.MaxBans + byHand,
		IPv6Prefix: b.IPv6Prefix,
		SYNLimit:   limit,
	})
	if err == nil {
		return &datapath{filter: filter}, nil
	}
	if lacking := bpf.Supported(); lacking != nil {
		err = lacking // what to do about it, rather than what the kernel said
	}
	switch {
	case b.Datapath == config.DatapathXDP:
		return nil, fmt.Errorf("start with ban.datapath xdp: %w", err)
	default:
		return inUserSpace(cfg, err.Error()), nil
	}
}

// inUserSpace does without XDP. What an edge that was killed has left in force
// there is taken out: nobody would ever lift its bans. Links end with their pins.
func inUserSpace(cfg *config.Config, why string) *datapath {
	pins := pinDirectory(bpf.DefaultPin, cfg)
	if err := os.RemoveAll(pins); err != nil {
		why += fmt.Sprintf("; AND bans of an earlier process are still enforced in XDP: remove them as root with rm -r %s: %v", pins, err)
	}
	return &datapath{why: why}
}

// close leaves nothing in the kernel.
func (d *datapath) close() error {
	if d.filter == nil {
		return nil
	}
	return d.filter.Close()
}

// setMode stops and resumes all judging. In a dry run what was banned by hand is
// dropped all the same.
func (d *datapath) setMode(mode config.BanMode) error {
	if d.filter == nil {
		return nil
	}
	if mode == config.BanOff {
		return d.filter.SetMode(bpf.Off)
	}
	return d.filter.SetMode(bpf.Enforce)
}

// setScope says which addresses the edge listens on: nothing else is judged.
func (d *datapath) setScope(addresses []netip.AddrPort) error {
	if d.filter == nil {
		return nil
	}
	return d.filter.SetScope(addresses)
}

// Ban puts bans in force.
func (d *datapath) Ban(list []ban.KernelBan) (int, error) {
	entries := make([]bpf.Ban, len(list))
	for i, b := range list {
		entries[i] = bpf.Ban{Prefix: b.Prefix, Since: b.Since, Until: b.Until, Reason: uint8(b.Reason)}
	}
	if len(entries) > manyBans {
		n, err := d.filter.BanAll(entries)
		if errors.Is(err, bpf.ErrFull) {
			err = ban.ErrKernelFull
		}
		return n, err
	}
	// One by one the counts go on of those that are there already.
	for i, e := range entries {
		if err := d.filter.Ban(e); err != nil {
			if errors.Is(err, bpf.ErrFull) {
				err = ban.ErrKernelFull
			}
			return i, err
		}
	}
	return len(entries), nil
}

// Unban lifts bans.
func (d *datapath) Unban(prefixes []netip.Prefix) error {
	for _, p := range prefixes {
		if _, err := d.filter.Unban(p); err != nil {
			return err
		}
	}
	return nil
}

// Bans yields what is in the kernel.
func (d *datapath) Bans() iter.Seq2[ban.KernelBan, error] {
	return func(yield func(ban.KernelBan, error) bool) {
		for b, err := range d.filter.Bans() {
			if !yield(ban.KernelBan{Prefix: b.Prefix, Since: b.Since, Until: b.Until, Reason: reason.Code(b.Reason)}, err) {
				return
			}
		}
	}
}

// Reap makes room of what is over.
func (d *datapath) Reap(now time.Time) (int, error) { return d.filter.Reap(now) }

// SetExempt says whose packets never to drop.
func (d *datapath) SetExempt(prefixes []netip.Prefix) error { return d.filter.SetExempt(prefixes) }

// drops is what the kernel has dropped for a ban.
type drops struct{ packets, bytes uint64 }

// drops returns them by ban, of those that dropped anything. It reads all bans,
// some thousands at a time: asking for each of a million would take seconds.
func (d *datapath) drops() (map[netip.Prefix]drops, error) {
	if d.filter == nil {
		return nil, nil
	}
	all := map[netip.Prefix]drops{}
	for b, err := range d.filter.Bans() {
		if err != nil {
			return nil, err
		}
		if b.Packets > 0 {
			all[b.Prefix] = drops{b.Packets, b.Bytes}
		}
	}
	return all, nil
}

// watch calls each for a sample of the packets that the kernel drops from now on,
// until ctx is done or each returns an error.
func (d *datapath) watch(ctx context.Context, each func(admin.DroppedPacket) error) error {
	if d.filter == nil {
		return fmt.Errorf("watch packets: none are dropped, bans are in user space: %s", d.why)
	}
	names := map[int]string{}
	for _, i := range d.filter.Status() {
		names[i.Index] = i.Interface
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	since := time.Now()
	err := d.filter.Events(ctx, func(e bpf.Event) {
		if e.Time.Before(since) {
			return // kept from when nobody was watching
		}
		if err := each(admin.DroppedPacket{
			Time: e.Time, From: e.From, To: e.To, Interface: names[e.Interface], Bytes: e.Bytes,
			Verdict: e.Verdict.String(), Reason: reasonName(reason.Code(e.Reason)),
		}); err != nil {
			stop(err)
		}
	})
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// counts are the packets judged, by the name of the verdict.
func (d *datapath) counts() map[string]uint64 {
	counts := map[string]uint64{}
	if d.filter == nil {
		return counts
	}
	counters, err := d.filter.Counters()
	if err != nil {
		return counts // the filter is closed: the edge ends
	}
	for verdict, n := range counters.Verdicts {
		counts[verdict.String()] = n.Packets
	}
	return counts
}

func (d *datapath) name() string {
	if d.filter == nil {
		return string(config.DatapathUserspace)
	}
	return string(config.DatapathXDP)
}

func (d *datapath) interfaces() []admin.BanInterface {
	if d.filter == nil {
		return nil
	}
	var list []admin.BanInterface
	for _, i := range d.filter.Status() {
		list = append(list, admin.BanInterface{
			Name: i.Interface, Mode: i.Mode.String(), Since: i.Since, Program: i.Program, NotNative: i.NotNative, Problem: i.Problem,
		})
	}
	return list
}

// stateName is a name for a state directory in a place shared by all.
func stateName(dir string) string {
	sum := sha256.Sum256([]byte(dir))
	return hex.EncodeToString(sum[:8])
}

func checkInterface(name string) error {
	if _, err := net.InterfaceByName(name); err != nil {
		return fmt.Errorf("%q: no such network interface on this host", name)
	}
	return nil
}
