package edge

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net"
	"net/netip"
	"sync/atomic"
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
	options bpf.Options
	filter  atomic.Pointer[bpf.Filter] // nil in user space
	why     string                     // user space, where the configuration allows either
	// dryBefore says that what the kernel held at the start was held in a dry run.
	dryBefore bool
	again     atomic.Uint64 // times that XDP was attached again to an interface
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
	options := bpf.Options{
		Interfaces:  b.Interfaces,
		Pin:         pinDirectory(bpf.DefaultPin, cfg),
		MaxBans:     b.MaxBans + byHand,
		MaxPrefixes: b.MaxNetworks,
		IPv6Prefix:  b.IPv6Prefix,
		SYNLimit:    bpf.SYNLimit{Rate: float64(b.SYNLimit.Rate), Burst: b.SYNLimit.Burst},
	}
	filter, err := bpf.Open(options)
	if err == nil {
		var d *datapath
		if d, err = takeOver(filter, options, b.Mode); err == nil {
			return d, nil
		}
	} else if lacking := bpf.Supported(); lacking != nil {
		err = lacking // what to do about it, rather than what the kernel said
	}
	switch {
	case b.Datapath == config.DatapathXDP:
		return nil, fmt.Errorf("start with ban.datapath xdp: %w", err)
	default:
		return inUserSpace(cfg, err.Error()), nil
	}
}

// takeOver has a filter drop nothing from the start on, where that is the mode.
// From then on the keeper of bans sets it.
func takeOver(filter *bpf.Filter, options bpf.Options, mode config.BanMode) (*datapath, error) {
	d := &datapath{options: options}
	d.filter.Store(filter)
	before, err := filter.Mode()
	if err == nil && mode != config.BanEnforce {
		err = d.SetMode(mode)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("take over XDP: %w", err), filter.Close())
	}
	d.dryBefore = before == bpf.DryRun
	return d, nil
}

// inUserSpace does without XDP. What an edge that was killed has left in force
// there is taken out: nobody would ever lift its bans.
func inUserSpace(cfg *config.Config, why string) *datapath {
	pins := pinDirectory(bpf.DefaultPin, cfg)
	if err := bpf.RemoveFilter(pins); err != nil {
		why += fmt.Sprintf("; AND bans of an earlier process are still enforced in XDP: remove them as root with rm -r %s: %v", pins, err)
	}
	return &datapath{options: bpf.Options{Pin: pins}, why: why}
}

// close leaves nothing in the kernel.
func (d *datapath) close() error {
	if d.filter.Load() == nil {
		return nil
	}
	return d.filter.Load().Close()
}

// reclaim takes XDP back from a successor that has taken it over and is gone: its
// program would stay, and nobody would detach it. mode is that of before.
func (d *datapath) reclaim(mode bpf.Mode) error {
	old := d.filter.Load()
	if old == nil {
		if err := bpf.RemoveFilter(d.options.Pin); err != nil {
			return fmt.Errorf("take XDP back: %w", err)
		}
		return nil
	}
	filter, err := bpf.Open(d.options)
	if errors.Is(err, bpf.ErrBusy) { // by our own link, whose pin the other has removed
		old.Release()
		filter, err = bpf.Open(d.options)
	}
	if err != nil {
		return fmt.Errorf("take XDP back: %w", err)
	}
	d.filter.Store(filter)
	return errors.Join(filter.SetMode(mode), old.Release())
}

// SetMode says what becomes of packets.
func (d *datapath) SetMode(mode config.BanMode) error {
	switch mode {
	case config.BanEnforce:
		return d.filter.Load().SetMode(bpf.Enforce)
	case config.BanDryRun:
		return d.filter.Load().SetMode(bpf.DryRun)
	}
	return d.filter.Load().SetMode(bpf.Off)
}

// setScope says which addresses the edge listens on: nothing else is judged.
func (d *datapath) setScope(addresses []netip.AddrPort) error {
	if d.filter.Load() == nil {
		return nil
	}
	return d.filter.Load().SetScope(addresses)
}

// Ban puts bans in force.
func (d *datapath) Ban(list []ban.KernelBan) (int, error) {
	entries := make([]bpf.Ban, len(list))
	for i, b := range list {
		entries[i] = bpf.Ban{Prefix: b.Prefix, Since: b.Since, Until: b.Until, Reason: uint8(b.Reason)}
	}
	if len(entries) > manyBans {
		n, err := d.filter.Load().BanAll(entries)
		return n, full(err)
	}
	// One by one the counts go on of those that are there already.
	for i, e := range entries {
		if err := d.filter.Load().Ban(e); err != nil {
			return i, full(err)
		}
	}
	return len(entries), nil
}

// full names the error of a map that is full, and leaves in it which that is.
func full(err error) error {
	if errors.Is(err, bpf.ErrFull) {
		return fmt.Errorf("%w: %w", ban.ErrKernelFull, err)
	}
	return err
}

// Unban lifts bans.
func (d *datapath) Unban(prefixes []netip.Prefix) error {
	for _, p := range prefixes {
		if _, err := d.filter.Load().Unban(p); err != nil {
			return err
		}
	}
	return nil
}

// Bans yields what is in the kernel.
func (d *datapath) Bans() iter.Seq2[ban.KernelBan, error] {
	return func(yield func(ban.KernelBan, error) bool) {
		for b, err := range d.filter.Load().Bans() {
			kept := ban.KernelBan{Prefix: b.Prefix, Since: b.Since, Until: b.Until, Reason: reason.Code(b.Reason)}
			kept.DryRun = d.dryBefore && kept.Reason != 0 // one by hand is in force in a dry run, too
			if !yield(kept, err) {
				return
			}
		}
	}
}

// Reap makes room of what is over.
func (d *datapath) Reap(now time.Time) (int, error) { return d.filter.Load().Reap(now) }

// SetExempt says whose packets never to drop.
func (d *datapath) SetExempt(prefixes []netip.Prefix) error {
	return d.filter.Load().SetExempt(prefixes)
}

// drops is what the kernel has dropped for a ban.
type drops struct{ packets, bytes uint64 }

// drops returns them by ban, of those that dropped anything. It reads all bans,
// some thousands at a time: asking for each of a million would take seconds.
func (d *datapath) drops() (map[netip.Prefix]drops, error) {
	if d.filter.Load() == nil {
		return nil, nil
	}
	all := map[netip.Prefix]drops{}
	for b, err := range d.filter.Load().Bans() {
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
	if d.filter.Load() == nil {
		return fmt.Errorf("watch packets: none are dropped, bans are in user space: %s", d.why)
	}
	names := map[int]string{}
	name := func(index int) string {
		if _, known := names[index]; !known { // or was made since
			for _, i := range d.filter.Load().Status() {
				names[i.Index] = i.Interface
			}
		}
		return names[index]
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	since := time.Now()
	err := d.filter.Load().Events(ctx, func(e bpf.Event) {
		if e.Time.Before(since) {
			return // kept from when nobody was watching
		}
		if err := each(admin.DroppedPacket{
			Time: e.Time, From: e.From, To: e.To, Interface: name(e.Interface), Bytes: e.Bytes,
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

// counters are the packets judged, by verdict; there are none in user space.
func (d *datapath) counters() (bpf.Counters, bool) {
	if d.filter.Load() == nil {
		return bpf.Counters{}, false
	}
	counters, err := d.filter.Load().Counters()
	return counters, err == nil // else the filter is closed: the edge ends
}

// keepAttached attaches XDP again to interfaces that are made anew, until ctx is
// done. What comes in by one without XDP is judged in user space.
func (d *datapath) keepAttached(ctx context.Context, log *slog.Logger) {
	filter := d.filter.Load()
	for filter != nil {
		err := filter.Watch(ctx, func(i bpf.InterfaceStatus) {
			if i.Problem != "" {
				log.Error("interface is without XDP; the banned are turned away in user space there", "interface", i.Interface, "cause", i.Problem)
				return
			}
			d.again.Add(1)
			log.Info("XDP is attached again", "interface", i.Interface, "mode", i.Mode.String(), "program", i.Program)
		})
		if ctx.Err() != nil {
			return
		}
		closed := filter
		if filter = d.filter.Load(); filter == closed {
			log.Error("interfaces are not watched; one that is made anew is without XDP until a restart", "cause", err)
			return
		} // else reclaim has put another in its place
	}
}

func (d *datapath) name() string {
	if d.filter.Load() == nil {
		return string(config.DatapathUserspace)
	}
	return string(config.DatapathXDP)
}

func (d *datapath) interfaces() []admin.BanInterface {
	if d.filter.Load() == nil {
		return nil
	}
	var list []admin.BanInterface
	for _, i := range d.filter.Load().Status() {
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
