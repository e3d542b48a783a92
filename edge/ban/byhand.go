package ban

import (
	"fmt"
	"net/netip"
	"strings"
	"time"
	"unicode"
)

const (
	mostWhy = 256 // bytes
	mostBy  = 64

	// handRoom is how many bans by hand may go beyond config.Ban.MaxBans, so that a
	// person can still act when policy has used it up.
	handRoom = 10_000

	// mostUnanswered bounds Keeper.unanswered while a disk is full for long.
	mostUnanswered = 10_000
)

// Ban bans a network by hand, for so long, or until it is lifted if that is 0. It
// takes the place of a ban of the same network. What policy may ban has no say
// in it, except that an exempt network is refused, with ErrExempt; exempt
// networks within a larger one stay exempt. Why is for people, at most 256 bytes
// of text; by names who says so.
//
// Beside those, ErrOff and ErrFull are refusals that errors.Is finds. It returns
// when the ban is in Options.Dir, and the kernel was told while Run runs. If it
// cannot be saved, it is in force all the same, and returned with an error that
// wraps ErrUnsaved.
func (k *Keeper) Ban(p netip.Prefix, d time.Duration, why, by string) (Ban, error) {
	b, err := k.ban(p, d, why, by)
	if err != nil {
		return Ban{}, fmt.Errorf("ban %v: %w", p, err)
	}
	k.tellNow()
	if err := k.saveNow(); err != nil {
		return b, fmt.Errorf("ban %v: %w: %w", p, ErrUnsaved, err)
	}
	return b, nil
}

func (k *Keeper) ban(p netip.Prefix, d time.Duration, why, by string) (Ban, error) {
	p, err := normal(p)
	switch {
	case err != nil:
		return Ban{}, err
	case d < 0 || d > longest:
		return Ban{}, fmt.Errorf("%v: want a time of at most %d days, or 0 for until it is lifted", d, longest/(24*time.Hour))
	case !isText(why, mostWhy):
		return Ban{}, fmt.Errorf("why %q: want at most %d bytes of text in one line", why, mostWhy)
	case by == "" || by == ByPolicy || !isText(by, mostBy):
		return Ban{}, fmt.Errorf("by %q: want who says so, in at most %d bytes of text", by, mostBy)
	}
	e, now, s, err := k.banByHand(p, d, why, by)
	if err != nil {
		return Ban{}, err
	}
	k.tell(e, now)
	return e.ban(now, s), nil
}

func (k *Keeper) banByHand(p netip.Prefix, d time.Duration, why, by string) (*entry, instant, *settings, error) {
	k.mu.Lock()
	defer k.unlock()
	s, now := k.settings.Load(), k.clock.instant()
	k.sweep(now)
	if !s.watches() {
		return nil, now, s, ErrOff
	}
	if n, ok := s.exempts(p); ok {
		return nil, now, s, fmt.Errorf("it is %w, as %v is: want ban.exempt changed first", ErrExempt, n)
	}
	e := &entry{key: keyOf(p), since: now.ns, why: why, by: by, flags: direct}
	if d > 0 {
		e.until = now.ns + int64(d)
	}
	old := k.table.find(e.key)
	if old != nil {
		e.repeat = old.repeat
	}
	if (old == nil || old.is(lapsed)) && k.tally.inForce() >= k.most+handRoom {
		return nil, now, s, ErrFull
	}
	k.enforce(e, s, now)
	k.noteByHand(change{ban: e})
	return e, now, s, nil
}

// Unban lifts the bans of a network and of all within it, whoever made them, and
// forgets its failures and its bans before: it begins anew. It returns how many
// bans it lifted. A ban of a larger network stays, and Banned still says so. A
// single IPv6 address stands for its Unit as well. It returns when the change is
// in Options.Dir; if it cannot be saved, it is in force all the same, and the
// number comes with an error that wraps ErrUnsaved. While Run runs, the kernel lets
// the network in, too, when it returns; if the kernel could not be told, the error
// wraps ErrStillDropped. Calling it again after either tries again, and counts the
// bans that were lifted before among the lifted.
func (k *Keeper) Unban(p netip.Prefix) (int, error) {
	normalised, err := normal(p)
	if err != nil {
		return 0, fmt.Errorf("lift ban of %v: %w", p, err)
	}
	n := keyOf(normalised)
	if !n.is4() && n.bits == 128 {
		n = network(n.hi, n.lo, k.unit)
	}
	if k.isUnit(n) {
		k.scores.forgetOne(n)
	} else {
		k.scores.forget(n)
	}
	lifted := k.liftInside(n)
	k.tellNow()
	if err = k.saveNow(); err != nil {
		err = fmt.Errorf("%w: %w", ErrUnsaved, err)
	} else if k.stillDropped(n) {
		err = ErrStillDropped
	}
	k.noteAnswer(n, lifted, err)
	if err != nil {
		return lifted, fmt.Errorf("lift ban of %v: %w", p, err)
	}
	return lifted, nil
}

// noteAnswer remembers what was lifted and answered with an error, until it is
// answered without: whoever asks again must not hear that there was no such ban.
func (k *Keeper) noteAnswer(n key, lifted int, err error) {
	k.mu.Lock()
	defer k.unlock()
	if err == nil || lifted == 0 {
		delete(k.unanswered, n)
	} else if _, known := k.unanswered[n]; known || len(k.unanswered) < mostUnanswered {
		k.unanswered[n] = lifted
	}
}

func (k *Keeper) liftInside(n key) int {
	k.mu.Lock()
	defer k.unlock()
	k.sweep(k.clock.instant())
	before := k.tally.inForce()
	list := k.inside(n)
	for _, e := range list {
		k.lift(e, "by hand")
	}
	if len(list) > 0 {
		k.noteByHand(change{prefix: n.prefix()})
	}
	return before - k.tally.inForce() + k.unanswered[n]
}

// inside returns the entries of a network and of those within it.
func (k *Keeper) inside(n key) []*entry {
	var list []*entry
	if !k.table.holdsLonger(n) {
		if e := k.table.find(n); e != nil {
			list = append(list, e)
		}
		return list
	}
	for e := range k.table.all() {
		if e.key.within(n) {
			list = append(list, e)
		}
	}
	return list
}

func isText(s string, most int) bool {
	return len(s) <= most && strings.ToValidUTF8(s, "") == s && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}
