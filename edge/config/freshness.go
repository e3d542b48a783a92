package config

import (
	"net/netip"
	"strings"
	"time"
)

// OCSPMode says what OCSP decides.
type OCSPMode string

const (
	OCSPOff      OCSPMode = "off"
	OCSPStaple   OCSPMode = "staple"
	OCSPFallback OCSPMode = "fallback"
	OCSPRequire  OCSPMode = "require"
)

func (OCSPMode) words() []string { return []string{"off", "staple", "fallback", "require"} }

// Asks says whether responders are asked, rather than staples looked at only.
func (m OCSPMode) Asks() bool { return m == OCSPFallback || m == OCSPRequire }

// CRL is where certificate revocation lists come from: either a file or a URL.
type CRL struct {
	// File is a file's name. Default none. Without
	// it, url is needed.
	File string `yaml:"file"`

	// URL is http or https. It is fetched in the background, kept in state_dir and
	// used again after a restart. What is fetched counts only if a CA of the
	// bundle, or of ca, has signed every list in it; if none is older than the one
	// before; and if every CA that had a list has one. Otherwise the last good one
	// stays. Default none.
	URL string `yaml:"url"`

	// CA is a PEM file of the CAs that sign what is at url, where the bundle does
	// not have them: intermediates that clients bring. Default none.
	CA string `yaml:"ca"`
}

// Fetch says how CRLs and OCSP responders are reached.
type Fetch struct {
	// Allow are networks that may be connected to although they are not the public
	// internet's: loopback, link-local, private and reserved addresses and those
	// of metadata services are refused otherwise, whatever names them. Default
	// none.
	Allow []Network `yaml:"allow"`

	// CA is a PEM file of the CAs that vouch for https servers, read when the trust
	// store's configuration comes into force. Default: the system's.
	CA string `yaml:"ca"`

	// Interval is how often a URL is asked at the least; sooner where a list has
	// used up seven tenths of its time. At least 1s. Default 1h.
	Interval Duration `yaml:"interval"`

	// Timeout is for one fetch of a CRL, redirects and all. Default 15m.
	Timeout Duration `yaml:"timeout"`
}

func (r *Revocation) setFreshness() {
	r.OCSP = OCSPOff
	r.OCSPWait = Duration(defaultOCSPWait)
	r.OCSPGrace = Duration(defaultOCSPGrace)
	r.Fetch = Fetch{Interval: Duration(time.Hour), Timeout: Duration(15 * time.Minute)}
}

const (
	defaultOCSPWait  = 200 * time.Millisecond
	defaultOCSPGrace = 10 * time.Minute
)

// MatchHost says whether a URL's host is one of patterns: a name, an address, or
// a name with * as its whole first label, which stands for one label.
func MatchHost(patterns []string, host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	_, rest, cut := strings.Cut(host, ".")
	_, err := netip.ParseAddr(host)
	for _, pattern := range patterns {
		if wild, ok := strings.CutPrefix(pattern, "*."); ok && cut && err != nil && rest == wild || pattern == host {
			return true
		}
	}
	return false
}
