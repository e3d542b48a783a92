// Package ban decides whose connections the edge no longer takes, and for how
// long.
//
// Every connection's outcome is told to a Keeper, which adds up the failures of
// each address and bans the address that has too many of them. Operators ban by
// hand. Bans outlive a restart. They are enforced in two places: in the kernel,
// where the host can do that, and in user space in any case, by asking Banned.
//
// An address is what one client is taken to have: an IPv4 address, or an IPv6
// network of the configured length. IPv4 in IPv6 is IPv4.
package ban

import (
	"errors"
	"net/netip"
	"time"

	"github.com/sallyport/sallyport/edge/reason"
)

// Ban is one network that is turned away.
type Ban struct {
	// Prefix is the network, in its canonical form.
	Prefix netip.Prefix `json:"prefix"`
	Since  time.Time    `json:"since"`
	// Until is when it ends by itself; zero is never.
	Until time.Time `json:"until,omitzero"`
	// Reason is that of the failure that was one too many. The zero Code is a ban
	// made by hand.
	Reason reason.Code `json:"reason,omitzero"`
	// Why is what a person is told, where there is more to tell than the reason.
	Why string `json:"why,omitempty"`
	// By is ByPolicy, or who made it by hand.
	By string `json:"by"`
	// Repeat counts the bans of this network before, as far as they are
	// remembered.
	Repeat int `json:"repeat,omitzero"`
	// Score is the sum of weights that led to it.
	Score float64 `json:"score,omitzero"`
	// Direct says that the kernel may drop its packets: it has proven by a TCP
	// handshake that the address is its own, or a person says so. An address that
	// a PROXY protocol header names is not the source of any packet.
	Direct bool `json:"direct"`
	// DryRun says that it is not enforced: the ban is what policy would do.
	DryRun bool `json:"dry_run,omitzero"`
}

// Who makes bans. Anything else in Ban.By is a person or a program that has been
// named by the caller.
const (
	ByPolicy = "policy"
	ByAdmin  = "admin"
)

// What a ban by hand is refused for, beside arguments that make no sense.
var (
	ErrOff    = errors.New("bans are off: want ban.mode enforce or dry_run")
	ErrExempt = errors.New("exempt")
	ErrFull   = errors.New("too many bans are in force: want ban.max_bans higher, or some lifted")
)

// ErrUnsaved is no refusal: a change by hand is in force, and a crash before a
// later save would undo it.
var ErrUnsaved = errors.New("in force now, but could not be saved: a restart may undo it")

// ErrStillDropped is no refusal either: the ban is lifted, and the kernel could not
// be told.
var ErrStillDropped = errors.New("lifted, but the kernel could not be told and may go on dropping its packets: it is told again every few seconds")

// Observation is the outcome of one connection's admission.
type Observation struct {
	// Addr is the client's. An observation without one is ignored.
	Addr netip.Addr
	// Direct says that Addr is the peer of a completed TCP handshake, rather than
	// learned from a PROXY protocol header.
	Direct bool
	Code   reason.Code
	// Verified says that the certificates presented have a path to an anchor whose
	// signatures verify, whatever else is wrong with them.
	Verified bool
	// Failures is how many ordinary failures this counts for, whatever Code weighs,
	// as a plugin says; 0 leaves it to Code.
	Failures int
	// Greeted says that a ClientHello has come, so that the edge has answered it: who
	// hangs up behind that has had a signature of it.
	Greeted bool
	// Certificate is, of a connection that was let in, the SHA-256 of the client
	// certificate that was authenticated; zero if there is none. What was merely
	// presented is no reason to trust an address.
	Certificate [32]byte
}
