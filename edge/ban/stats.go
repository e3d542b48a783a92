package ban

import (
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/reason"
)

// BySource counts bans by who made them.
type BySource struct {
	Policy uint64 `json:"policy"`
	Hand   uint64 `json:"hand"`
	DryRun uint64 `json:"dry_run"` // by policy, and not enforced
}

// Stats is what a Keeper has done since it was made, and has now.
type Stats struct {
	Mode config.BanMode `json:"mode"`

	// InForce are the bans now, as they were made. In the mode dry_run those of
	// Policy, made before, turn nobody away either; in the mode off none does.
	InForce    BySource `json:"in_force"`
	Remembered int      `json:"remembered"` // bans that are over and count for the doubling
	Addresses  int      `json:"addresses"`  // that have a score
	Evicted    uint64   `json:"evicted"`    // scores that had to make room for others

	Made    BySource `json:"made"`
	Expired BySource `json:"expired"`
	Lifted  BySource `json:"lifted"`
	Full    uint64   `json:"full"` // bans not made, as too many were in force

	// Observed are outcomes, by code; those of them that could not lead to a ban
	// are counted by why.
	Observed   map[reason.Code]uint64 `json:"observed"`
	Weightless uint64                 `json:"weightless"` // failures that count nothing
	Exempt     uint64                 `json:"exempt"`     // failures from exempt addresses
	Banned     uint64                 `json:"banned"`     // from addresses under a ban, that of a dry run too
	// Spared clients were let in from an address under a ban of a dry run: whom
	// enforcing would have kept out wrongly, it may be.
	Spared uint64 `json:"spared"`

	// InKernel are the bans that the kernel has, and Pending changes that it has not
	// been told yet or has not taken. Meanwhile user space turns away whom the
	// kernel does not.
	InKernel     int    `json:"in_kernel"`
	Pending      int    `json:"pending"`
	KernelFull   uint64 `json:"kernel_full"`   // times that the kernel had no room
	KernelErrors uint64 `json:"kernel_errors"` // times that it failed otherwise

	Saved      time.Time `json:"saved,omitzero"` // when the file was last written
	SaveErrors uint64    `json:"save_errors"`
}

// counters are what Stats has beyond what the table can tell.
type counters struct {
	observed                             []atomic.Uint64 // by code
	weightless, exempt, banned, spared   atomic.Uint64
	full                                 atomic.Uint64
	made, expired, lifted                bySource
	kernelFull, kernelErrors, saveErrors atomic.Uint64
	saved                                atomic.Pointer[time.Time]
}

type bySource struct{ policy, hand, dryRun atomic.Uint64 }

func (c *bySource) add(e *entry) {
	switch {
	case e.is(dryRun):
		c.dryRun.Add(1)
	case e.byHand():
		c.hand.Add(1)
	default:
		c.policy.Add(1)
	}
}

func (c *bySource) load() BySource {
	return BySource{c.policy.Load(), c.hand.Load(), c.dryRun.Load()}
}

func (c *counters) observe(code reason.Code) {
	if int(code) >= len(c.observed) {
		code = reason.UnmappedConnectionError
	}
	c.observed[code].Add(1)
}

// Stats returns the counters of now.
func (k *Keeper) Stats() Stats {
	k.mu.Lock()
	k.sweep(k.clock.instant()) // what is over is not in force
	tally, pending := k.tally, len(k.dirty)+len(k.stuck)
	k.unlock()
	c := &k.counters
	s := Stats{
		Mode:         k.settings.Load().mode,
		InForce:      BySource{uint64(tally.policy), uint64(tally.hand), uint64(tally.dryRun)},
		Remembered:   tally.lapsed,
		InKernel:     tally.inKernel,
		Pending:      pending,
		Addresses:    k.scores.number(),
		Evicted:      k.scores.evicted.Load(),
		Made:         c.made.load(),
		Expired:      c.expired.load(),
		Lifted:       c.lifted.load(),
		Full:         c.full.Load(),
		Observed:     map[reason.Code]uint64{},
		Weightless:   c.weightless.Load(),
		Exempt:       c.exempt.Load(),
		Banned:       c.banned.Load(),
		Spared:       c.spared.Load(),
		KernelFull:   c.kernelFull.Load(),
		KernelErrors: c.kernelErrors.Load(),
		SaveErrors:   c.saveErrors.Load(),
	}
	for code := range c.observed {
		if n := c.observed[code].Load(); n > 0 {
			s.Observed[reason.Code(code)] = n
		}
	}
	if at := c.saved.Load(); at != nil {
		s.Saved = *at
	}
	return s
}
