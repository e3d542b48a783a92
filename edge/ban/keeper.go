package ban

import (
	"fmt"
	"hash/maphash"
	"iter"
	"log/slog"
	"net/netip"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/edge/config"
)

// Options are what New needs.
type Options struct {
	// Config must be valid, as config.Load says.
	Config config.Ban
	// Exempt are networks that are never banned besides those of Config: those of
	// the proxies in front of the edge, say.
	Exempt []netip.Prefix
	// Dir is where bans are kept over a restart, in the files named by FileName and
	// RecentName. It must exist when Run is called. Empty keeps nothing.
	Dir string
	// Kernel drops the packets of banned addresses. Without one, bans are enforced
	// in user space only.
	Kernel Kernel
	// OnBan is called once for each ban that is made and turns somebody away, when
	// Banned says so already, by the goroutine that made it: the edge closes the
	// open connections of the ban's network that Banned says no to. It may call the
	// Keeper. It is not called for bans of an earlier process.
	OnBan func(Ban)
	// Log defaults to none.
	Log *slog.Logger
	// Now defaults to time.Now.
	Now func() time.Time
}

// Keeper keeps the scores of addresses and the bans. Its methods may be called by
// any number of goroutines, also before and after Run.
type Keeper struct {
	log      *slog.Logger
	clock    clock
	kernel   Kernel
	onBan    func(Ban)
	path     string // of the file; "" is none
	unit     uint8  // length of an IPv6 address's network
	most     int    // bans in force
	settings atomic.Pointer[settings]
	scores   scores
	table    table
	counters counters

	kernelWake chan struct{} // holds one when the kernel must hear something

	saving sync.Mutex // is held over a save; taken before mu
	recent recent     // guarded by saving

	telling    sync.Mutex     // is held while the kernel is told; taken before mu
	adopted    bool           // the kernel and the table were compared; guarded by telling
	kernelMode config.BanMode // that the kernel was told last; guarded by telling

	mu sync.Mutex // guards what follows, and writing to table
	kept
	told
	lines lines
}

// New makes a Keeper with the bans that Dir holds. It starts and writes nothing.
// A file that is damaged, and changes by hand without the file of bans that they are
// to, are errors which name the file: a Keeper without the bans would let in whom
// they keep out.
func New(o Options) (*Keeper, error) {
	k := &Keeper{
		log:        o.Log,
		clock:      clock{now: o.Now},
		onBan:      o.OnBan,
		unit:       uint8(o.Config.IPv6Prefix),
		most:       o.Config.MaxBans,
		kernelWake: make(chan struct{}, 1),
	}
	if k.log == nil {
		k.log = slog.New(slog.DiscardHandler)
	}
	if k.clock.now == nil {
		k.clock.now = time.Now
	}
	k.clock.base = k.clock.now()
	k.table.seed, k.scores.seed = maphash.MakeSeed(), maphash.MakeSeed()
	k.counters.observed = make([]atomic.Uint64, len(weighings))
	k.settings.Store(newSettings(o.Config, o.Exempt))
	k.crowds, k.unanswered = map[key]crowd{}, map[key]int{}
	k.dirty, k.stuck = map[key]struct{}{}, map[key]struct{}{}
	if o.Dir != "" {
		k.path, k.recent.path = filepath.Join(o.Dir, FileName), filepath.Join(o.Dir, RecentName)
		if err := k.load(); err != nil {
			return nil, fmt.Errorf("%w; move the file away to start without the bans in it", err)
		}
	}
	// What was loaded is no change to tell the kernel: adopt compares the two.
	k.kernel = o.Kernel
	return k, nil
}

// Reconfigure puts a configuration in force, but for what of it applies at start
// only, and the networks to exempt besides. Bans of what is exempt now are lifted.
// Bans that are in force keep their end. What a dry run would have banned is
// forgotten when the mode becomes enforce. OnBan is not called for bans that were
// made before and turn clients away again, as when the mode was off. When it
// returns, the kernel drops nobody whom a mode other than enforce lets in; what it
// is to drop besides, it has soon after.
func (k *Keeper) Reconfigure(cfg config.Ban, exempt []netip.Prefix) {
	if changed := k.reconfigure(newSettings(cfg, exempt)); changed && k.kernel != nil {
		k.telling.Lock()
		defer k.telling.Unlock()
		_ = k.calmKernel(k.settings.Load().mode) // counted, and tried again
	}
}

// reconfigure tells whether the mode is another.
func (k *Keeper) reconfigure(s *settings) bool {
	k.mu.Lock()
	defer k.unlock()
	old := k.settings.Swap(s)
	if old.slot != s.slot {
		k.scores.forget(key{})
		k.scores.forget(keyOf(netip.PrefixFrom(netip.IPv4Unspecified(), 0)))
	}
	k.sweep(k.clock.instant())
	if !s.judgesAs(old) {
		k.judgeAnew(s, old)
	}
	if s.addresses != old.addresses || s.wider != old.wider {
		k.countCrowds()
	}
	k.exemptChanged = true
	k.wakeKernel()
	return s.mode != old.mode
}

// judgeAnew lifts and forgets what has no place under s.
func (k *Keeper) judgeAnew(s, old *settings) {
	for e := range k.table.all() {
		switch _, exempt := s.exempts(e.key.prefix()); {
		case exempt:
			k.lift(e, "the network is exempt now")
		case e.is(dryRun) && s.mode == config.BanEnforce:
			k.remove(e)
		case s.inKernel(e) != old.inKernel(e) && !e.is(lapsed):
			k.tellKernel(e.key)
		}
	}
}

// covering returns the entry in force that addr is under and that counts, the
// most specific one, or nil.
func (k *Keeper) covering(addr netip.Addr, counts func(*settings, *entry) bool) (found *entry, now instant, s *settings) {
	l := k.table.lengths.Load()
	if l == nil || !addr.IsValid() {
		return nil, now, nil
	}
	hi, lo := words(addr)
	list := l.v6
	if hi == 0 && lo>>32 == mapped {
		list = l.v4
	}
	for _, bits := range list {
		e := k.table.find(network(hi, lo, bits))
		if e == nil {
			continue
		}
		if s == nil { // the time is asked for only where it matters
			s, now = k.settings.Load(), k.clock.instant()
			if s.spares(addr) {
				return nil, now, s
			}
		}
		if e.inForce(now.ns) && counts(s, e) {
			return e, now, s
		}
	}
	return nil, now, s
}

// Banned returns the ban that addr is under, the most specific one, and whether
// there is one. It is for every connection and every request: it takes no lock
// and allocates nothing.
func (k *Keeper) Banned(addr netip.Addr) (Ban, bool) {
	e, now, s := k.covering(addr, (*settings).enforces)
	if e == nil {
		return Ban{}, false
	}
	return e.ban(now, s), true
}

// All yields the bans that are not over, those of a dry run among them, in no
// order. It stops nobody; what is banned or lifted meanwhile may be in it or not.
func (k *Keeper) All() iter.Seq[Ban] {
	return func(yield func(Ban) bool) {
		s, now := k.settings.Load(), k.clock.instant()
		for e := range k.table.all() {
			if e.inForce(now.ns) && !yield(e.ban(now, s)) {
				return
			}
		}
	}
}
