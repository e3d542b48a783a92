package ban

import (
	"fmt"
	"log/slog"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/reason"
)

// Observe takes the outcome of a connection's admission, and bans its address if
// that was one failure too many. What an address does while it is banned does not
// count, or a ban would renew itself.
func (k *Keeper) Observe(o Observation) {
	s := k.settings.Load()
	if !s.watches() || !o.Addr.IsValid() {
		return
	}
	k.counters.observe(o.Code)
	if e, _, _ := k.covering(o.Addr, always); e != nil {
		k.observeBanned(e, o)
		return
	}
	unit, now := k.unitOf(o.Addr), k.clock.instant()
	if o.Code == reason.Success {
		if s.credit > 0 && o.Certificate != [32]byte{} {
			k.scores.succeed(unit, now.ns, o.Certificate)
		}
		return
	}
	weight := s.weightOf(o)
	if o.Failures > 0 {
		weight = ordinary * config.Weight(min(o.Failures, mostFailures))
	}
	switch {
	case weight == 0:
		k.counters.weightless.Add(1)
		return
	case s.spares(o.Addr):
		k.counters.exempt.Add(1)
		return
	}
	sum, over := k.scores.fail(unit, now.ns, now.ns/s.slot, uint32(weight), s.failures, s.credit)
	if !over {
		return
	}
	made, now := k.impose(unit, o, sum)
	for _, e := range made {
		k.tell(e, now)
	}
}

// mostFailures is what one observation may count for.
const mostFailures = 1000

// always is for who asks about bans that turn nobody away, too.
func always(*settings, *entry) bool { return true }

// observeBanned takes the outcome of a connection from an address that is banned:
// one that was turned away, or that came in before the ban, or in a dry run.
func (k *Keeper) observeBanned(e *entry, o Observation) {
	k.counters.banned.Add(1)
	if e.is(dryRun) && o.Code == reason.Success {
		k.counters.spared.Add(1)
	}
	if !o.Direct || e.is(direct) {
		return
	}
	// It was known from a PROXY protocol header. Now the kernel may have it.
	k.mu.Lock()
	defer k.unlock()
	if e.key == k.unitOf(o.Addr) && k.table.find(e.key) == e {
		k.put(e.changed(direct))
	}
}

// impose bans an address, and the network around it if that has too many of
// them. It returns the bans made.
func (k *Keeper) impose(unit key, o Observation, sum uint64) (made []*entry, now instant) {
	k.mu.Lock()
	defer k.unlock()
	s := k.settings.Load()
	now = k.clock.instant()
	k.sweep(now)
	e := &entry{key: unit, code: o.Code, score: uint32(min(sum, 1<<32-1)), by: ByPolicy}
	if o.Direct {
		e.flags |= direct
	}
	if !k.add(e, s, now) {
		return nil, now
	}
	made = append(made, e)

	n, ok := s.around(unit)
	c := k.crowds[n]
	if !ok || c.addresses < s.addresses {
		return made, now
	}
	wide := &entry{key: n, code: o.Code, by: ByPolicy, why: fmt.Sprintf("%d addresses of it are banned", c.addresses)}
	if c.direct == c.addresses {
		wide.flags |= direct
	}
	if k.add(wide, s, now) {
		made = append(made, wide)
	}
	return made, now
}

// add puts a ban of policy's in force, with the times that its network deserves,
// unless it is under one already or there are too many.
func (k *Keeper) add(e *entry, s *settings, now instant) bool {
	old := k.table.find(e.key)
	if !s.watches() || old != nil && old.inForce(now.ns) {
		return false
	}
	if _, exempt := s.exempts(e.key.prefix()); exempt {
		return false // since it was scored
	}
	if k.tally.inForce() >= k.most {
		k.counters.full.Add(1)
		k.say(slog.LevelWarn, now, "ban not made", "prefix", e.key.prefix(), "cause", ErrFull)
		return false
	}
	if old != nil {
		e.repeat = old.repeat + min(1, ^uint8(0)-old.repeat)
	}
	e.since, e.until = now.ns, now.ns+s.lasts(e.repeat)
	if s.mode == config.BanDryRun {
		e.flags |= dryRun
	}
	k.enforce(e, s, now)
	return true
}

// enforce puts an entry in force and says so. The edge hears of it from tell,
// when k.mu is free.
func (k *Keeper) enforce(e *entry, s *settings, now instant) {
	k.put(e)
	k.counters.made.add(e)
	b := e.ban(now, s)
	message := "banned"
	if b.DryRun {
		message = "would be banned"
	}
	k.say(slog.LevelInfo, now, message, "prefix", b.Prefix, "until", b.Until, "reason", reasonText(e),
		"score", b.Score, "repeat", b.Repeat, "by", b.By, "why", b.Why)
}

// tell tells the edge of a ban that was made, if it turns anybody away.
func (k *Keeper) tell(e *entry, now instant) {
	if s := k.settings.Load(); k.onBan != nil && s.enforces(e) {
		k.onBan(e.ban(now, s))
	}
}

func reasonText(e *entry) string {
	if e.code == 0 {
		return ""
	}
	return e.code.String()
}
