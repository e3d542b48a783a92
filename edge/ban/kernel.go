package ban

import (
	"context"
	"errors"
	"iter"
	"net/netip"
	"slices"
	"time"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/reason"
)

// Kernel drops the packets of banned addresses before anything is made of them.
// A Keeper tells it what to drop and keeps right on refusing in user space, so
// its failures let nobody in; they are counted and tried again. It is called by
// one goroutine at a time, not before Run.
type Kernel interface {
	// SetMode says what becomes of packets: enforce drops those of bans, dry_run
	// counts them, off judges nothing. Under enforce there is never a ban of a dry
	// run in the kernel.
	SetMode(config.BanMode) error
	// Ban puts bans in force, or changes them. It returns how many it has dealt
	// with, from the first; an error is about the one behind those. ErrKernelFull
	// is no room for it.
	Ban([]KernelBan) (int, error)
	// Unban lifts bans. One that is not there is no error.
	Unban([]netip.Prefix) error
	// Bans yields what is in the kernel, of an earlier process too, what is over
	// among it.
	Bans() iter.Seq2[KernelBan, error]
	// Reap makes room of what is over at now, and returns how many bans that were.
	Reap(now time.Time) (int, error)
	// SetExempt says whose packets never to drop, in place of what it was told
	// before.
	SetExempt([]netip.Prefix) error
}

// KernelBan is what the kernel knows of a ban. It ends there by itself.
type KernelBan struct {
	Prefix netip.Prefix
	Since  time.Time
	Until  time.Time   // zero is never
	Reason reason.Code // zero is by hand
	// DryRun says that it must drop nobody: it is what policy would have banned.
	DryRun bool
}

// ErrKernelFull is for a Kernel that has no room for a ban.
var ErrKernelFull = errors.New("the kernel has no room for another ban")

// told is what the kernel must still be told. It is guarded by Keeper.mu.
type told struct {
	exemptChanged bool // and to be told
	exemptFailed  bool // not taken, to be tried again
	heldBack      bool // some of stuck wait for the exemptions
	kernelAiling  bool // and the log has said so
	// dirty are networks for which the kernel may have something else than the
	// table. What it should have is looked up when it is told, so that changes need
	// no order. Stuck are those that it did not take, to be tried again.
	dirty, stuck map[key]struct{}
}

func (k *Keeper) tellKernel(n key) {
	if k.kernel == nil {
		return
	}
	k.dirty[n] = struct{}{}
	k.wakeKernel()
}

func (k *Keeper) wakeKernel() {
	select {
	case k.kernelWake <- struct{}{}:
	default:
	}
}

// belongs says whether the kernel should have an entry. An address that is not
// proven to be the source of its packets never gets there.
func (s *settings) belongs(e *entry, now instant) bool {
	return e.is(direct) && !e.is(lapsed) && e.inForce(now.ns) && s.inKernel(e)
}

const (
	kernelBatch = 4096
	// mostErrors of a batch are taken for a kernel that is out of order.
	mostErrors = 8
	// kernelRetry is when what did not work is tried again, and kernelReap when
	// room is made.
	kernelRetry = 5 * time.Second
	kernelReap  = 30 * time.Second
	// sameEnd is how far the ends of a ban may be apart on the kernel's clock and
	// ours and still be the same.
	sameEnd = 2 * time.Second
)

// adopt makes the table and the kernel the same at the start: bans that only the
// kernel knows, as the process before was killed before it saved them, are taken
// over, and those that only the table knows are told.
func (k *Keeper) adopt(ctx context.Context) {
	k.telling.Lock()
	defer k.telling.Unlock()
	defer func() { k.adopted = true }()
	mode := k.settings.Load().mode
	calm := k.calmKernel(mode)
	taken := 0
	for b, err := range k.kernel.Bans() {
		if err != nil {
			k.kernelTrouble(err)
			break
		}
		if k.adoptOne(b) {
			taken++
		}
	}
	// Exemptions go first: without them a banned network could lock out whom it
	// must not.
	k.mu.Lock()
	k.exemptChanged = true
	known := k.tally.inKernel
	k.mu.Unlock()
	k.syncExempt()
	told := 0
	if calm == nil {
		told = k.tellMissing(ctx, mode)
	} else {
		k.tellLater(k.table.all())
	}
	k.log.Info("bans in the kernel compared", "known", known, "taken_over", taken, "told", told)
}

// tellMissing tells the kernel of what it lacks of a table that may be large, as
// after a reboot, and returns of how many bans. It goes by the table as it is and
// remembers nothing of it: what changes meanwhile is dirty, and told again. It ends
// early when ctx is done.
func (k *Keeper) tellMissing(ctx context.Context, mode config.BanMode) int {
	told := 0
	next, stop := iter.Pull(k.table.all())
	defer stop()
	for {
		list, more, changed := k.missing(next, mode)
		if changed { // so that others belong there
			k.tellLater(k.table.all())
			return told
		}
		told += len(list)
		if full, err := k.tellPut(list); full || err != nil {
			k.tellLater(k.table.all())
			return told
		}
		if !more || ctx.Err() != nil {
			return told
		}
	}
}

// missing returns a batch of the entries that the kernel should have and has not,
// as long as the mode is this.
func (k *Keeper) missing(next func() (*entry, bool), mode config.BanMode) (list []*entry, more, changed bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now, s := k.clock.instant(), k.settings.Load()
	if s.mode != mode {
		return nil, false, true
	}
	for len(list) < kernelBatch {
		e, ok := next()
		if !ok {
			return list, false, false
		}
		if !e.inKernel && s.belongs(e, now) && !k.holdsBack(e, s) {
			list = append(list, e)
		}
	}
	return list, true, false
}

// tellLater leaves what the kernel lacks to be tried again.
func (k *Keeper) tellLater(entries iter.Seq[*entry]) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now, s := k.clock.instant(), k.settings.Load()
	for e := range entries {
		if !e.inKernel && s.belongs(e, now) {
			k.stuck[e.key] = struct{}{}
		}
	}
}

// adoptOne tells whether it took a ban over.
func (k *Keeper) adoptOne(b KernelBan) bool {
	p, err := normal(b.Prefix)
	if err != nil {
		return false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	now, s := k.clock.instant(), k.settings.Load()
	until := now.of(b.Until)
	if until != 0 && until <= now.ns {
		return false // to be reaped
	}
	n := keyOf(p)
	if _, ok := k.dirty[n]; ok {
		return false // changed since the start, so the table knows better
	}
	if e := k.table.find(n); e != nil && e.inForce(now.ns) {
		k.markInKernel(e, true)
		if apart := e.until - until; !s.belongs(e, now) || (e.until == 0) != (until == 0) || max(apart, -apart) > int64(sameEnd) {
			k.tellKernel(n)
		}
		return false
	}
	if _, exempt := s.exempts(p); exempt || b.DryRun && s.mode != config.BanDryRun {
		k.tellKernel(n)
		return false
	}
	e := &entry{key: n, since: now.ns, until: until, code: b.Reason, by: ByPolicy, flags: direct}
	if b.DryRun {
		e.flags |= dryRun
	}
	if since := now.of(b.Since); since > 0 && since < now.ns {
		e.since = since
	}
	if b.Reason == 0 {
		e.by, e.why = ByAdmin, "found in the kernel"
	}
	if old := k.table.find(n); old != nil {
		e.repeat = old.repeat + min(1, ^uint8(0)-old.repeat)
	}
	k.put(e)
	k.markInKernel(e, true)
	if s.belongs(e, now) {
		delete(k.dirty, n)
	}
	return true
}

// syncKernel tells the kernel what it must be told. Exemptions go first: without
// them a banned network could lock out whom it must not. Should they fail, only
// bans that overlap them wait. The caller holds telling.
func (k *Keeper) syncKernel() {
	mode := k.settings.Load().mode
	if k.hasLeft() {
		return // or it would drop whom the other has lifted the ban of
	}
	if k.calmKernel(mode) != nil {
		return
	}
	k.syncExempt()
	for full := false; ; {
		put, remove, changed := k.nextBatch(mode)
		if changed {
			return // Reconfigure wakes who calls again
		}
		if len(put)+len(remove) == 0 {
			break // what is held back is not dirty any more
		}
		err := k.tellRemoved(remove)
		switch {
		case err == nil && full:
			k.stick(put) // others may go, and make room for the next time
		case err == nil:
			full, err = k.tellPut(put)
		default:
			k.stick(put)
		}
		if err != nil {
			return // and dirty waits for the next time
		}
	}
	if k.armKernel(mode) != nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.stuck) == 0 && !k.exemptFailed && k.kernelAiling {
		k.kernelAiling = false
		k.log.Info("kernel has all bans again")
	}
}

func (k *Keeper) hasLeft() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.left
}

func (k *Keeper) syncExempt() {
	k.mu.Lock()
	changed := k.exemptChanged
	k.exemptChanged = false
	k.mu.Unlock()
	if !changed {
		return
	}
	err := k.kernel.SetExempt(slices.Clone(k.settings.Load().exempt))
	k.mu.Lock()
	k.exemptFailed = err != nil
	release := err == nil && k.heldBack
	if release {
		k.heldBack = false
	}
	k.mu.Unlock()
	if err != nil {
		k.kernelTrouble(err)
	}
	if release {
		k.retryKernel()
	}
}

// holdsBack tells whether a ban must wait until the kernel has the exemptions, as
// it would drop packets of an exempt network, and if so makes it stuck. Until then
// it is enforced in user space, which knows them. The caller holds mu.
func (k *Keeper) holdsBack(e *entry, s *settings) bool {
	if !k.exemptFailed && !k.exemptChanged {
		return false
	}
	if !slices.ContainsFunc(s.exempt, e.key.prefix().Overlaps) {
		return false
	}
	k.heldBack = true
	k.stuck[e.key] = struct{}{}
	return true
}

// nextBatch takes some of what is dirty, and finds out what to do about it, as long
// as the mode is this.
func (k *Keeper) nextBatch(mode config.BanMode) (put, remove []*entry, changed bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now, s := k.clock.instant(), k.settings.Load()
	if s.mode != mode {
		return nil, nil, true
	}
	for n := range k.dirty {
		if len(put)+len(remove) == kernelBatch {
			break
		}
		delete(k.dirty, n)
		delete(k.stuck, n)
		e := k.table.find(n)
		switch {
		case e != nil && s.belongs(e, now) && !e.inKernel && k.holdsBack(e, s):
		case e != nil && s.belongs(e, now):
			put = append(put, e)
		default:
			remove = append(remove, &entry{key: n})
		}
	}
	return put, remove, false
}

func (k *Keeper) tellRemoved(list []*entry) error {
	if len(list) == 0 {
		return nil
	}
	prefixes := make([]netip.Prefix, len(list))
	for i, e := range list {
		prefixes[i] = e.key.prefix()
	}
	if err := k.kernel.Unban(prefixes); err != nil {
		k.kernelTrouble(err)
		k.stick(list)
		return err
	}
	k.mark(list, false)
	return nil
}

// tellPut tells whether the kernel is full. What it does not take is stuck; an
// error is for a kernel that is out of order.
func (k *Keeper) tellPut(list []*entry) (full bool, err error) {
	now := k.clock.instant()
	// Networks have less room than addresses, and must not hold them up.
	slices.SortStableFunc(list, func(a, b *entry) int { return k.putOrder(a) - k.putOrder(b) })
	for errs := 0; len(list) > 0; {
		bans := make([]KernelBan, len(list))
		for i, e := range list {
			bans[i] = KernelBan{e.key.prefix(), now.time(e.since), now.time(e.until), e.code, e.is(dryRun)}
		}
		n, err := k.kernel.Ban(bans)
		k.mark(list[:n], true)
		list = list[n:]
		if err == nil || len(list) == 0 {
			continue
		}
		k.kernelTrouble(err)
		if full = errors.Is(err, ErrKernelFull); full {
			k.stick(list)
			return true, nil
		}
		if errs++; errs == mostErrors {
			k.stick(list)
			return false, err
		}
		k.stick(list[:1])
		list = list[1:]
	}
	return false, nil
}

func (k *Keeper) putOrder(e *entry) int {
	if k.isUnit(e.key) {
		return 0
	}
	return 1
}

// mark notes what the kernel was told of networks, whatever has become of them
// meanwhile: then they are dirty again.
func (k *Keeper) mark(list []*entry, in bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, e := range list {
		k.markInKernel(k.table.find(e.key), in)
	}
}

func (k *Keeper) markInKernel(e *entry, in bool) {
	if e == nil || e.inKernel == in || e.is(lapsed) {
		return
	}
	e.inKernel = in
	if in {
		k.tally.inKernel++
	} else {
		k.tally.inKernel--
	}
}

func (k *Keeper) stick(list []*entry) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, e := range list {
		k.stuck[e.key] = struct{}{}
	}
}

// retryKernel makes what is stuck dirty again, and has the exemptions told again
// if they failed: not with every ban, as they may be thousands.
func (k *Keeper) retryKernel() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.exemptChanged = k.exemptChanged || k.exemptFailed
	for n := range k.stuck {
		k.dirty[n] = struct{}{}
	}
	clear(k.stuck)
}

// kernelTrouble counts a failure, and logs the first since all was well.
func (k *Keeper) kernelTrouble(err error) {
	if errors.Is(err, ErrKernelFull) {
		k.counters.kernelFull.Add(1)
	} else {
		k.counters.kernelErrors.Add(1)
	}
	k.mu.Lock()
	first := !k.kernelAiling
	k.kernelAiling = true
	k.mu.Unlock()
	if first {
		k.log.Error("kernel does not have all bans; they are enforced in user space", "cause", err)
	}
}
