package sdk

import (
	"fmt"
	"net/netip"

	"github.com/sallyport/sallyport/sdk/frame"
)

// Connection is the connection that a hook is asked about. Its methods panic when
// their field was not declared, and once the hook has returned. What the edge does
// not know is empty.
type Connection struct {
	call *call
	turn uint64
}

// ID is the edge's name of the connection, by which its logs tell of it (TID).
func (c Connection) ID() string { return c.text(frame.TagConnectionID) }

// ClientIP is the client's address: that of the TCP peer, or the one that a
// trusted proxy has named. An IPv4 address is one, not mapped into IPv6.
func (c Connection) ClientIP() netip.Addr {
	text := c.text(frame.TagClientIP)
	if text == "" {
		return netip.Addr{}
	}
	a, err := netip.ParseAddr(text)
	if err != nil {
		panic(fmt.Sprintf("the edge sent a client address that is none: %v", err))
	}
	return a
}

// ClientPort is the client's port.
func (c Connection) ClientPort() uint16 { return uint16(c.number(frame.TagClientPort)) }

// ServerPort is the port that the client has connected to.
func (c Connection) ServerPort() uint16 { return uint16(c.number(frame.TagServerPort)) }

// Listener is the name of the listener in the edge's configuration.
func (c Connection) Listener() string { return c.text(frame.TagListener) }

// ServerName is the name that the client asked for in its ClientHello (SNI).
func (c Connection) ServerName() string { return c.text(frame.TagServerName) }

// ALPN is the protocol agreed on: "h2", "http/1.1" or none.
func (c Connection) ALPN() string { return c.text(frame.TagALPN) }

// TLSVersion is "TLSv1.3" or "TLSv1.2"; empty without TLS.
func (c Connection) TLSVersion() string { return c.text(frame.TagTLSVersion) }

// CipherSuite is the suite by the name that the connection log gives it.
func (c Connection) CipherSuite() string { return c.text(frame.TagCipherSuite) }

// JA4 is the fingerprint of the ClientHello.
func (c Connection) JA4() string { return c.text(frame.TagJA4) }

// Resumed reports whether the client has resumed a session. All checks were made
// all the same.
func (c Connection) Resumed() bool { return c.truth(frame.TagResumed) }

// Peer is who the client has proved to be.
func (c Connection) Peer() Peer {
	c.check()
	return Peer{c}
}
