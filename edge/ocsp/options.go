package ocsp

import (
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/sallyport/sallyport/edge/fetch"
	"github.com/sallyport/sallyport/revocation/ocsp"
)

// Options of a Client. The zero value can be used.
type Options struct {
	Network fetch.Network

	// Dir keeps over a restart what responders have said; it is the Client's own,
	// made with mode 0700 when there is something to keep. Empty: nothing is kept.
	Dir string

	// Responder is asked in the place of those that certificates name; empty:
	// those. Hosts says of which hosts (without port) they may be; nil: of any.
	Responder string
	Hosts     func(host string) bool

	// Hash and Nonce are those of requests; see ocsp.RequestOptions. With Nonce a
	// response has to have it.
	Hash  crypto.Hash
	Nonce bool

	// MaxAge and Delegate are those of ocsp.Check.
	MaxAge   time.Duration
	Delegate func(delegate *x509.Certificate) error

	// MaxEntries is how many certificates are remembered beside those that are
	// revoked and those of clients that are in; the one not asked about for longest
	// goes first. 0: 10000. MaxRevoked is how many revoked ones are. 0: 100000.
	// Those of clients that are in (see Live) are as many as these.
	MaxEntries, MaxRevoked int

	// Parallel is how many questions are under way at once. 0: 8. PerHost is how
	// many of them one host may have, so that a slow one leaves room for the
	// others. 0: 2; with Responder, beside whom there are none, Parallel.
	Parallel, PerHost int

	// Timeout is for one responder. 0: 10 s.
	Timeout time.Duration

	// MinBackoff and MaxBackoff bound how long a failure is remembered, of a
	// certificate and of a host. 0: 10 s, 10 min.
	MinBackoff, MaxBackoff time.Duration

	// KeepFresh is for how long after it was last asked about a certificate's
	// answer is renewed before it expires. 0: 1 h.
	KeepFresh time.Duration

	// Revoked is called when an answer says Revoked about a certificate of which
	// none did before. It has to return soon. Nil: nobody is told.
	Revoked func()

	// Log is told of failures. Nil: nobody.
	Log *slog.Logger
}

// maxResponders is how many of those that a certificate names are asked.
const maxResponders = 2

// settings are options with nothing left open. Immutable.
type settings struct {
	Options
	http *http.Client
}

func newSettings(o Options) (*settings, error) {
	if o.Responder != "" {
		u, err := url.Parse(o.Responder)
		if err == nil {
			err = fetch.CheckURL(u)
		}
		if err != nil {
			return nil, fmt.Errorf("make OCSP client: responder %q: %w", o.Responder, err)
		}
	}
	if min(o.MaxEntries, o.MaxRevoked, o.Parallel, o.PerHost) < 0 || min(o.Timeout, o.MinBackoff, o.MaxBackoff, o.KeepFresh, o.MaxAge) < 0 {
		return nil, errors.New("make OCSP client: an option is negative")
	}
	for value, zero := range map[*int]int{&o.MaxEntries: 10000, &o.MaxRevoked: 100000, &o.Parallel: 8} {
		if *value == 0 {
			*value = zero
		}
	}
	switch {
	case o.PerHost != 0:
	case o.Responder != "":
		o.PerHost = o.Parallel
	default:
		o.PerHost = 2
	}
	for value, zero := range map[*time.Duration]time.Duration{&o.Timeout: 10 * time.Second,
		&o.MinBackoff: 10 * time.Second, &o.MaxBackoff: 10 * time.Minute, &o.KeepFresh: time.Hour} {
		if *value == 0 {
			*value = zero
		}
	}
	if o.MaxBackoff < o.MinBackoff {
		return nil, fmt.Errorf("make OCSP client: longest backoff %s: want at least the shortest, %s", o.MaxBackoff, o.MinBackoff)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &settings{o, o.Network.Client()}, nil
}

// backoff is how long to wait after that many failures in a row.
func (s *settings) backoff(failures int) time.Duration {
	wait := s.MinBackoff
	for i := 1; i < failures && wait < s.MaxBackoff; i++ {
		wait *= 2
	}
	return min(wait, s.MaxBackoff)
}

// responders are the URLs to ask about a certificate that names these.
func (s *settings) responders(named []string) []string {
	if s.Responder != "" {
		return []string{s.Responder}
	}
	var urls []string
	for _, raw := range named {
		u, err := url.Parse(raw)
		if err != nil || fetch.CheckURL(u) != nil || s.Hosts != nil && !s.Hosts(u.Hostname()) {
			continue
		}
		if urls = append(urls, raw); len(urls) == maxResponders {
			break
		}
	}
	return urls
}

// Assume has c go on with the settings of other, which was made for them and has
// not run. What c knows it keeps: its answers were judged by their certificates'
// issuers, which no setting changes; it keeps them where it did. One without nextUpdate counts no longer than
// the new MaxAge lets it, and what failed may be asked again at once.
func (c *Client) Assume(other *Client) {
	other.mu.Lock()
	next := other.settings
	other.mu.Unlock()
	c.mu.Lock()
	before := c.settings
	c.settings = next
	now := time.Now()
	for _, e := range c.entries {
		if e.failures > 0 {
			e.failures, e.notBefore = 0, time.Time{}
		}
		if shorten(&e.answer, next.MaxAge) {
			e.renewAt, e.notBefore = now, time.Time{}
		}
		shorten(&e.stapled, next.MaxAge)
	}
	for _, h := range c.hosts {
		h.failures, h.notBefore = 0, time.Time{}
	}
	for class := range c.lists {
		c.bound(class, now)
	}
	c.dispatch()
	c.mu.Unlock()
	before.http.CloseIdleConnections()
}

// shorten has an answer without nextUpdate count for maxAge at the most, and says
// whether it counted for longer.
func shorten(a *ocsp.Answer, maxAge time.Duration) bool {
	end := a.ThisUpdate.Add(maxAge)
	if !a.NextUpdate.IsZero() || !a.Expires.After(end) {
		return false
	}
	a.Expires = end
	return true
}
