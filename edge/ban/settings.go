package ban

import (
	"net/netip"
	"slices"
	"time"

	"github.com/sallyport/sallyport/edge/config"
)

// settings are a configuration made ready. They are immutable.
type settings struct {
	mode      config.BanMode
	failures  uint64 // thousandths
	credit    uint64 // thousandths
	slot      int64  // nanoseconds of a slot of a score
	first     int64  // nanoseconds that a first ban lasts
	longest   int64
	remember  int64
	weights   []weighing
	exempt    []netip.Prefix
	addresses int      // of a network that bans it; 0 is never
	wider     [2]uint8 // lengths of such networks as in key: IPv4, IPv6
}

// longest is what any time of a ban may be: sums of them must not overflow.
const longest = 100 * 365 * 24 * time.Hour

// neverBanned are never banned: whom they belong to is this host, or its link, where
// an address proves nothing.
var neverBanned = []netip.Prefix{
	netip.MustParsePrefix("127.0.0.0/8"),
	netip.MustParsePrefix("::1/128"),
	netip.MustParsePrefix("169.254.0.0/16"),
	netip.MustParsePrefix("fe80::/10"),
}

func newSettings(cfg config.Ban, exempt []netip.Prefix) *settings {
	s := &settings{
		mode:      cfg.Mode,
		failures:  uint64(cfg.Failures) * uint64(ordinary),
		credit:    uint64(cfg.SuccessCredit),
		slot:      max(1, (int64(cfg.Within)+slotsWithin-1)/slotsWithin),
		first:     int64(min(cfg.For.Std(), longest)),
		longest:   int64(min(cfg.AtMost.Std(), longest)),
		remember:  int64(min(cfg.Remember.Std(), longest)),
		weights:   weigh(cfg.Weights),
		exempt:    Exempt(cfg, exempt),
		addresses: cfg.Escalate.Addresses,
		wider:     [2]uint8{uint8(cfg.Escalate.IPv4 + mappedBits), uint8(cfg.Escalate.IPv6)},
	}
	return s
}

// Exempt returns the networks that a Keeper made of cfg never bans, each once:
// those of cfg, those in more, and those that are built in. What is no network is
// left out.
func Exempt(cfg config.Ban, more []netip.Prefix) []netip.Prefix {
	var list []netip.Prefix
	known := map[netip.Prefix]bool{}
	add := func(p netip.Prefix) {
		if p, err := normal(p); err == nil && !known[p] {
			known[p] = true
			list = append(list, p)
		}
	}
	for _, p := range neverBanned {
		add(p)
	}
	for _, p := range more {
		add(p)
	}
	for _, n := range cfg.Exempt {
		add(n.Prefix())
	}
	return list
}

// exempts returns the exempt network that holds all of p, if there is one.
func (s *settings) exempts(p netip.Prefix) (netip.Prefix, bool) {
	for _, n := range s.exempt {
		if n.Bits() <= p.Bits() && n.Contains(p.Addr()) {
			return n, true
		}
	}
	return netip.Prefix{}, false
}

// spares tells whether addr is exempt.
func (s *settings) spares(addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	for _, n := range s.exempt {
		if n.Contains(addr) {
			return true
		}
	}
	return false
}

// watches tells whether policy looks at what happens. Whatever is no mode does
// not.
func (s *settings) watches() bool {
	return s.mode == config.BanEnforce || s.mode == config.BanDryRun
}

// enforces tells whether a ban turns anybody away. Modes are about what policy
// does: what a person has banned is banned in dry_run, too.
func (s *settings) enforces(e *entry) bool {
	switch s.mode {
	case config.BanEnforce:
		return !e.is(dryRun)
	case config.BanDryRun:
		return e.byHand()
	}
	return false
}

// inKernel tells whether a ban is one that the kernel should know of: in a dry run
// it counts what it would drop, and drops nothing.
func (s *settings) inKernel(e *entry) bool {
	return s.mode == config.BanDryRun || s.enforces(e)
}

// judgesAs tells whether bans that were made under old turn away the same: then a
// million of them need not be looked at, as at the start and by most reloads.
func (s *settings) judgesAs(old *settings) bool {
	return s.mode == old.mode && slices.Equal(s.exempt, old.exempt)
}

// around is the network around an address that is banned when many of its
// addresses are, and whether there is one.
func (s *settings) around(unit key) (n key, ok bool) {
	bits := s.wider[1]
	if unit.is4() {
		bits = s.wider[0]
	}
	if s.addresses == 0 || bits >= unit.bits {
		return key{}, false
	}
	return network(unit.hi, unit.lo, bits), true
}

// lasts is how long a ban lasts that has been repeated so often.
func (s *settings) lasts(repeat uint8) int64 {
	d := s.first
	for ; repeat > 0 && d < s.longest; repeat-- {
		d = 2 * min(d, s.longest/2+1)
	}
	return min(d, s.longest)
}
