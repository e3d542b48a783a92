package config

import (
	"maps"
	"regexp"
	"slices"
	"time"

	"github.com/sallyport/sallyport/edge/reason"
)

// weightless are the codes that are the edge's doing, or nobody's. Were they to
// count, an outage of ours would ban the clients that try again.
var weightless = []reason.Code{
	reason.UnmappedConnectionError, reason.LimitExceeded, reason.Banned,
	reason.AcmeChallenge, reason.ServerCertUnavailable, reason.TrustStoreUnavailable, reason.InternalError,
	reason.ClientCertCrlProcessingError, reason.ClientCertOcspProcessingError, reason.PluginUnavailable,
}

// interfaceName is what the kernel takes for one.
var interfaceName = regexp.MustCompile(`^[^\s/:]{1,15}$`)

func (v *validator) ban() {
	b := v.c.Ban
	v.needed("ban.mode", b.Mode != "", "enforce, dry_run or off")
	v.banNumbers(b)
	v.banWeights(b)
	v.banEscalation(b)
	v.banDatapath(b)
}

func (v *validator) banNumbers(b Ban) {
	v.from("ban.failures", b.Failures, 1, 1_000_000)
	v.from("ban.max_bans", b.MaxBans, 1, 16_000_000)
	v.from("ban.max_networks", b.MaxNetworks, 1, 1<<20)
	if b.Within < Duration(time.Second) || b.Within > Duration(24*time.Hour) {
		v.errorf("ban.within", "%v: want a duration from 1s to 24h", b.Within)
	}
	positive(v, "ban.for", b.For, "a duration")
	if b.AtMost < b.For && v.sure("ban.for", "ban.at_most") {
		path := "ban.at_most"
		if !v.c.source.wrote(path) {
			path = "ban.for"
		}
		v.errorf(path, "for is %v and at_most is %v: want at_most to be no shorter", b.For, b.AtMost)
	}
	if b.IPv6Prefix < 48 || b.IPv6Prefix > 128 || b.IPv6Prefix%4 != 0 {
		v.errorf("ban.ipv6_prefix", "%d: want a multiple of 4 from 48 to 128", b.IPv6Prefix)
	}
}

func (v *validator) banWeights(b Ban) {
	for _, name := range slices.Sorted(maps.Keys(b.Weights)) {
		path, weight := child("ban.weights", string(name)), b.Weights[name]
		own := slices.ContainsFunc(weightless, func(c reason.Code) bool { return c.String() == string(name) })
		switch {
		case own && weight != 0:
			v.errorf(path, "%v: want 0, as it always is: the client is not to blame for it", weight)
		case !own && weight == 0 && v.sure(path):
			v.errorf(path, "0: want more, as who is never banned for it may go on for ever; 0.01 is little")
		}
	}
}

func (v *validator) banEscalation(b Ban) {
	e := b.Escalate
	if !v.sure("ban.escalate", "ban.ipv6_prefix") || e.Addresses == 0 && !v.c.source.wrote("ban.escalate") {
		return
	}
	v.from("ban.escalate.ipv4", e.IPv4, 16, 31)
	v.from("ban.escalate.ipv6", e.IPv6, 32, b.IPv6Prefix-1)
	if e.Addresses == 0 {
		return
	}
	if room := 1 << max(0, min(32-e.IPv4, b.IPv6Prefix-e.IPv6, 16)); room > 1 && (e.Addresses < 2 || e.Addresses > room) {
		v.errorf("ban.escalate.addresses", "%d: want a number from 2 to %d, which are all that the network has, or 0 for never", e.Addresses, room)
	}
}

func (v *validator) banDatapath(b Ban) {
	const form = "the name of a network interface"
	for i, name := range b.Interfaces {
		if path := item("ban.interfaces", i); v.sure(path) && (!interfaceName.MatchString(name) || name == "." || name == "..") {
			v.errorf(path, "%s: want %s", quote(name), form)
		}
	}
	v.unique("ban.interfaces", b.Interfaces, same)
	if b.SYNLimit.Rate != 0 || b.SYNLimit.Burst != 0 {
		v.from("ban.syn_limit.rate", b.SYNLimit.Rate, 1, 1_000_000)
		v.from("ban.syn_limit.burst", b.SYNLimit.Burst, 1, 1_000_000)
	}
	if !v.sure("ban.datapath", "ban.interfaces", "ban.mode") {
		return
	}
	switch none := len(b.Interfaces) == 0; {
	case b.Datapath == DatapathXDP:
		v.needed("ban.interfaces", !none, form+", for datapath xdp")
	case b.SYNLimit.Rate > 0 && (b.Datapath == DatapathUserspace || none):
		v.errorf("ban.syn_limit", "needs XDP: want interfaces, and not datapath userspace")
	case b.Datapath == DatapathAuto && none && (b.Mode == BanEnforce || b.Mode == BanDryRun):
		v.warnf("ban", "no interfaces: bans are enforced in user space; want interfaces, or datapath: userspace to say so")
	}
}

// from reports a number that is not from least to most.
func (v *validator) from(path string, n, least, most int) {
	if n < least || n > most {
		v.errorf(path, "%d: want a number from %d to %d", n, least, most)
	}
}
