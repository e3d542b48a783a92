package config

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport/sallyport/edge/reason"
)

// Ban says whom the edge bans, for how long, and where bans are enforced. A
// failed connection counts against the address it came from: an IPv4 address, or
// an IPv6 network of IPv6Prefix bits.
type Ban struct {
	// Mode is enforce, dry_run (what policy would ban is logged, counted and
	// listed, and is let in; XDP counts packets that it would drop, and drops none;
	// bans made by hand are in force, in user space) or off (nobody is banned, nor
	// can be by hand). Off where the section is left out. Needed.
	Mode BanMode `yaml:"mode"`

	// Datapath is where banned clients are turned away: xdp (packets are dropped
	// on the interfaces before the kernel makes a connection of them; the edge
	// does not start without), userspace (connections are closed when they have
	// been accepted), or auto (xdp if it can be had, else userspace). Banned
	// clients that get past XDP are turned away in user space in any case.
	// Default auto. Applies at start only.
	Datapath BanDatapath `yaml:"datapath"`

	// Interfaces whose packets are dropped, by name. Needed with datapath xdp;
	// with auto and none, bans are in user space. Default none. Applies at start
	// only.
	Interfaces []string `yaml:"interfaces"`

	// Failures are what an address is banned for, within the time of Within: the
	// sum of their weights. An ordinary failure weighs 1. Default 10.
	Failures int `yaml:"failures"`

	// Within is how long a failure counts, at least 1s. It may count for an
	// eighth longer. Default 30s.
	Within Duration `yaml:"within"`

	// For is how long the first ban of an address lasts; each that follows lasts
	// twice as long as the one before. Default 10m.
	For Duration `yaml:"for"`

	// AtMost is where the doubling ends. Default 24h.
	AtMost Duration `yaml:"at_most"`

	// Remember is how long after its end a ban is remembered for the doubling.
	// Default 24h.
	Remember Duration `yaml:"remember"`

	// Exempt are addresses and networks that are never banned. Loopback and
	// link-local addresses never are, nor are the networks in a listener's
	// proxy_protocol.from. A reload lifts the bans of what becomes exempt.
	// Default none.
	Exempt []Network `yaml:"exempt"`

	// SuccessCredit lets addresses that many clients share fail more often: for
	// each client certificate that was authenticated from the address in the last
	// hour, by so much more than Failures. Of certificates it counts 64 at most,
	// of which two may be taken for one. 0 is no credit. Default 5.
	SuccessCredit Weight `yaml:"success_credit"`

	// Weights are how much a failure counts, by reason code, in place of the
	// built-in weight: above 0 and at most 1000. The edge's own failures, such as
	// TrustStoreUnavailable, always count 0. Default none.
	Weights map[ReasonCode]Weight `yaml:"weights"`

	// IPv6Prefix is the length of the network that counts as one IPv6 address: a
	// multiple of 4 from 48 to 128. Whoever has one address of a /64 has them all.
	// Default 64. Applies at start only.
	IPv6Prefix int `yaml:"ipv6_prefix"`

	// Escalate bans whole networks of which many addresses are banned.
	Escalate BanEscalation `yaml:"escalate"`

	// MaxBans is how many may be in force at once. Beyond it nobody is banned
	// until a ban ends, which a metric counts; by hand, 10000 more may be. A million
	// take about 120MiB, and room in the kernel besides. Default 1000000. Applies
	// at start only.
	MaxBans int `yaml:"max_bans"`

	// MaxNetworks is how many networks XDP has room for: whatever is neither one
	// IPv4 address nor an IPv6 network of IPv6Prefix bits, as bans by hand and of
	// Escalate may be. What is beyond it is enforced in user space. 1 to 1048576.
	// Default 16384. Applies at start only.
	MaxNetworks int `yaml:"max_networks"`

	// SYNLimit drops what is beyond a rate of connection attempts, before the
	// kernel answers. Nobody is banned by it, as whose attempts they are is not
	// proven yet. Needs XDP. In mode dry_run what it would drop is counted.
	SYNLimit SYNLimit `yaml:"syn_limit"`
}

// BanEscalation bans whole networks of which many addresses are banned. It is
// off by default: most networks belong to many, and one botnet has members in
// thousands of them.
type BanEscalation struct {
	// Addresses of one network that must be banned at once before the network is;
	// at least 2, or 0 for never. Default 0.
	Addresses int `yaml:"addresses"`
	// IPv4 is the length of such a network, 16 to 31. Default 24.
	IPv4 int `yaml:"ipv4"`
	// IPv6 is the length of such a network: 32 or more, and less than
	// ipv6_prefix. Default 56.
	IPv6 int `yaml:"ipv6"`
}

// SYNLimit bounds connection attempts from one address.
type SYNLimit struct {
	// Rate of attempts in a second; 0 is no limit. Default 0. Applies at start
	// only.
	Rate int `yaml:"rate"`
	// Burst is how many attempts may come at once. Needed with rate. Applies at
	// start only.
	Burst int `yaml:"burst"`
}

type (
	BanMode     string
	BanDatapath string

	// ReasonCode is the name of a reason code that a failed connection may have.
	ReasonCode string
)

const (
	BanEnforce BanMode = "enforce"
	BanDryRun  BanMode = "dry_run"
	BanOff     BanMode = "off"

	DatapathAuto      BanDatapath = "auto"
	DatapathXDP       BanDatapath = "xdp"
	DatapathUserspace BanDatapath = "userspace"
)

func (BanMode) words() []string     { return []string{"enforce", "dry_run", "off"} }
func (BanDatapath) words() []string { return []string{"auto", "xdp", "userspace"} }

func (ReasonCode) words() []string {
	var names []string
	for _, code := range reason.All() {
		if code != reason.Success {
			names = append(names, code.String())
		}
	}
	return names
}

// Weight is how much a failure counts towards a ban, in thousandths; it is
// written 1, 0.1 or 2.5.
type Weight int

const maxWeight Weight = 1000_000

func (w Weight) String() string {
	return strconv.FormatFloat(float64(w)/1000, 'f', -1, 64)
}

// MarshalText writes a weight as UnmarshalText reads it.
func (w Weight) MarshalText() ([]byte, error) { return []byte(w.String()), nil }

var weightForm = regexp.MustCompile(`^(0|[1-9][0-9]{0,3})(\.[0-9]{1,3})?$`)

// UnmarshalText reads a weight of at most 1000, with at most three decimals.
func (w *Weight) UnmarshalText(text []byte) error {
	s := string(text)
	whole, decimals, _ := strings.Cut(s, ".")
	n, err := strconv.Atoi(whole + (decimals + "000")[:3])
	if err != nil || !weightForm.MatchString(s) || Weight(n) > maxWeight {
		return fmt.Errorf("%s: want a number such as 0.1 or 2, at most 1000 and with at most three decimals", quote(s))
	}
	*w = Weight(n)
	return nil
}

// setDefaults leaves the mode out: a section that is written must say it.
func (b *Ban) setDefaults() {
	*b = Ban{
		Datapath:      DatapathAuto,
		Failures:      10,
		Within:        Duration(30 * time.Second),
		For:           Duration(10 * time.Minute),
		AtMost:        Duration(24 * time.Hour),
		Remember:      Duration(24 * time.Hour),
		SuccessCredit: 5000,
		IPv6Prefix:    64,
		MaxBans:       1_000_000,
		MaxNetworks:   16_384,
	}
	b.Escalate.setDefaults()
}

func (e *BanEscalation) setDefaults() { *e = BanEscalation{IPv4: 24, IPv6: 56} }
