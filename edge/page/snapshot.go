package page

import (
	"net/netip"
	"time"
)

// Snapshot is what the page shows of an edge at one moment. What is empty is not
// shown.
type Snapshot struct {
	Name     string // of the edge
	Version  string
	State    string
	Started  time.Time
	Problems []string // what an operator should look at

	Listeners    []Listener
	History      History
	Failing      []Failing // those with most failures first
	Bans         []Ban     // a page of them, the latest first
	BansInForce  int
	BanDatapath  string // "" where bans are off
	TrustStores  []TrustStore
	Certificates []Certificate
	Plugins      []Plugin
	Targets      []Target
}

// Listener is a way in.
type Listener struct {
	Name, Address, Mode, TrustStore string
	Connections                     int
}

// History counts outcomes of handshakes in steps of equal length.
type History struct {
	// Times are the ends of the steps, in Unix seconds, ascending.
	Times []int64 `json:"times"`
	// Series are the outcomes that have occurred; each has as many counts as there
	// are Times.
	Series []Series `json:"series"`
}

// Series is how often one outcome has occurred in each step.
type Series struct {
	Code   string   `json:"code"`
	Counts []uint64 `json:"counts"`
}

// Failing is an address whose connections were refused.
type Failing struct {
	Address  netip.Addr
	Failures int
	Codes    []string // by frequency
	Last     time.Time
	Subject  string // presented last, which proves nothing
}

// Ban is one in force.
type Ban struct {
	Prefix         netip.Prefix
	Why, By        string
	Since          time.Time
	Until          time.Time // zero: until somebody ends it
	Packets        uint64
	DryRun, Kernel bool
}

// TrustStore is one with its CAs and lists.
type TrustStore struct {
	Name       string
	Generation uint64
	CAs        []Dated
	CRLs       []CRL
	Errors     []string
	Sources    []Source
}

// Source is a URL that CRLs are fetched from.
type Source struct {
	URL               string
	LastSuccess, Next time.Time // zero for never, and for not known
	Error             string    // of the last attempt; "" where that went well
}

// Dated is something that ends.
type Dated struct {
	Name     string
	NotAfter time.Time
}

// CRL is a list in force.
type CRL struct {
	Issuer                 string
	Number                 string
	Entries                int
	ThisUpdate, NextUpdate time.Time // NextUpdate is zero where there is none
}

// Certificate is one of the edge's own.
type Certificate struct {
	Name, Hosts, Source, Error string
	NotAfter                   time.Time
}

// Plugin is one in force.
type Plugin struct {
	Name, State, Why string
	Calls, Failures  uint64
	Restarts         uint64
}

// Target is one of a target group.
type Target struct {
	Group, Address, State, Reason string
	Since                         time.Time
	Requests                      int // that are not over
}
