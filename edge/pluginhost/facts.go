package pluginhost

import (
	"crypto/sha256"
	"crypto/x509"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/edge/http1"
)

// Connection is what plugins may be told of a client's connection. Its fields are
// set before it is first used, and never change. It must not be copied.
type Connection struct {
	ID             string
	Client, Server netip.AddrPort
	Listener       string
	ServerName     string
	ALPN           string
	TLSVersion     string
	CipherSuite    string
	JA4            string
	Resumed        bool

	// Chain is the client's, leaf first. It must be nil unless the edge has
	// verified it and the handshake has proved that the client holds the leaf's
	// key: plugins take it for who the client is.
	Chain []*x509.Certificate
	// NotAfter is when a verdict on this client ends at the latest; zero is never.
	NotAfter time.Time
	// Epoch returns what verdicts are tied to beside what plugins are told: they
	// are forgotten when it is another. Nil for nothing.
	Epoch func() Epoch

	leaf     atomic.Pointer[[sha256.Size]byte]
	encoding atomic.Pointer[encoded] // what was told last
}

// Epoch is a state of what clients are judged by: which trust store, and which of
// its contents.
type Epoch struct{ Store, Generation uint64 }

func (c *Connection) epoch() Epoch {
	if c.Epoch == nil {
		return Epoch{}
	}
	return c.Epoch()
}

// fingerprint is the leaf's SHA-256; nil if there is no leaf.
func (c *Connection) fingerprint() *[sha256.Size]byte {
	if len(c.Chain) == 0 {
		return nil
	}
	if sum := c.leaf.Load(); sum != nil {
		return sum
	}
	sum := sha256.Sum256(c.Chain[0].Raw)
	c.leaf.Store(&sum)
	return &sum
}

// Request is a request as plugins may be told of it.
type Request struct {
	Head   *http1.Request
	Secure bool // came by TLS
	// Passed says which of the client's fields go on to the target: only those are
	// told. Nil for none.
	Passed interface{ Passes(*http1.Field) bool }
	// ID names the request in logs; asked for only if a plugin needs it. It may be
	// nil.
	ID interface{ TraceID() string }
	// Edits are changes made so far: the next plugin sees the header with them.
	Edits http1.Edits
}

func (r *Request) passes(f *http1.Field) bool { return r.Passed != nil && r.Passed.Passes(f) }
