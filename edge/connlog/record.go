// Package connlog is the connection log: one Record for every accepted
// connection, refused ones included, written when the verdict on it falls, and
// in the JSON log one Ending when it ends. Record prints as a line of ALB's
// connection log or as a JSON object. Where the lines go is not its business.
package connlog

import (
	"net/netip"
	"time"

	"github.com/sallyport/sallyport/edge/reason"
	"github.com/sallyport/sallyport/edge/trace/w3c"
)

// Record is what is known of a connection when the verdict on it falls. Its
// zero value is a refusal: UnmappedConnectionError, nothing authenticated. A
// string that is empty, an address that is not valid and a number that is zero
// mean "there was none". Strings may hold anything, a client's hostile bytes
// too; the Append methods make them harmless, and cut a longer one to 4096
// bytes that end in "...".
//
// Unless told otherwise, what a field says about the client's certificate is
// what was presented; Authenticated says whether the client holds its key.
type Record struct {
	// Time is when the connection was let in or turned away: ALB's timestamp is
	// that of the verdict, not of the accept.
	Time time.Time
	// Elapsed is the time from the accept to Time.
	Elapsed time.Duration
	// TraceID, from NewTraceID, joins this record with the access log.
	TraceID string

	// Trace is the trace that the connection's spans are in; zero where none is kept.
	Trace w3c.TraceID

	// Client is the address that limits, rules and headers go by: the one that
	// the PROXY protocol named, or else the direct peer's.
	Client netip.AddrPort
	// Peer is the direct peer where it is not Client: the proxy.
	Peer netip.AddrPort
	// Server is the address and port that the client connected to, which are
	// ALB's ip_address (there, the load balancer node's) and listener_port.
	Server netip.AddrPort
	// Listener is the listener's name.
	Listener string
	// LoadBalancer is ALB's elb: "app/NAME/ID".
	LoadBalancer string
	// Plaintext is true on a listener without TLS, where ALB has "-" for
	// tls_verify_status instead of Success.
	Plaintext bool

	// TLSVersion, CipherSuite and KeyExchange are what was agreed, as ALB prints
	// them: "TLSv1.3", OpenSSL's name of the suite, "secp256r1".
	TLSVersion  string
	CipherSuite string
	KeyExchange string
	// HandshakeLatency is how long a successful handshake took. It is printed
	// only where Status is Success; zero or less means not measured.
	HandshakeLatency time.Duration
	// Resumed is true where the handshake continued an earlier session.
	Resumed bool
	// ServerName is the SNI, as sent.
	ServerName string
	// ALPN is the protocol agreed.
	ALPN string
	// JA4 is the fingerprint of the ClientHello.
	JA4 string
	// ServerCertificate is the configured name of the certificate served.
	ServerCertificate string

	// Mode is the mutual authentication mode that applied: off, passthrough,
	// verify or optional. It says what Success means: in verify, that the
	// client's certificate passed; in passthrough, that one was there.
	Mode string
	// TrustStore and TrustStoreGeneration say against what was verified.
	TrustStore           string
	TrustStoreGeneration uint64
	// PresentedCertificates is how many certificates the client sent.
	PresentedCertificates int
	// LeafSubject and LeafIssuer are distinguished names, LeafValidity is
	// "NotBefore=…Z;NotAfter=…Z", LeafSerial is hexadecimal: as in ALB's headers.
	LeafSubject  string
	LeafIssuer   string
	LeafValidity string
	LeafSerial   string
	// LeafSHA256 is the hash of the leaf's DER bytes.
	LeafSHA256 [32]byte
	// Authenticated is true once the client has proved that it holds the leaf's
	// key. Until then anyone may have presented it.
	Authenticated bool

	// Status is the verdict.
	Status reason.Code
	// Cause is the explanation for a person. Only the JSON form has it.
	Cause string
	// Plugin is the plugin that gave the verdict, where one did.
	Plugin string
	// Ignored is the failure that the configuration told the edge to let pass:
	// an expired certificate, say. The zero Code and Success mean none.
	Ignored reason.Code
}

// texts lists r's strings, for what has to be done with each of them.
func (r *Record) texts() []*string {
	return []*string{
		&r.TraceID, &r.Listener, &r.LoadBalancer,
		&r.TLSVersion, &r.CipherSuite, &r.KeyExchange,
		&r.ServerName, &r.ALPN, &r.JA4, &r.ServerCertificate,
		&r.Mode, &r.TrustStore,
		&r.LeafSubject, &r.LeafIssuer, &r.LeafValidity, &r.LeafSerial,
		&r.Cause, &r.Plugin,
	}
}

// latency returns the handshake's latency where ALB prints one.
func (r *Record) latency() (time.Duration, bool) {
	return r.HandshakeLatency, r.Status == reason.Success && !r.Plaintext && r.HandshakeLatency > 0
}

// verifyStatus returns the two parts of ALB's tls_verify_status, both empty
// where it is "-". ALB says Success for every TLS connection that it
// established, whether a client certificate was asked for or not, and "-" for
// plaintext. A refusal of a plaintext connection is printed like any other.
func (r *Record) verifyStatus() (prefix, status string) {
	switch {
	case r.Status != reason.Success:
		return "Failed:", r.Status.String()
	case r.Plaintext:
		return "", ""
	}
	return "", "Success"
}
