package connlog

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"net/netip"
	"time"

	"github.com/sallyport/sallyport/edge/reason"
	"github.com/sallyport/sallyport/edge/trace/w3c"
)

// recordJSON is AppendJSON's object as encoding/json reads it.
type recordJSON struct {
	Event        string     `json:"event"`
	Time         time.Time  `json:"timestamp"`
	ClientIP     netip.Addr `json:"client_ip"`
	ClientPort   uint16     `json:"client_port"`
	ServerIP     netip.Addr `json:"ip_address"`
	ServerPort   uint16     `json:"listener_port"`
	PeerIP       netip.Addr `json:"peer_ip"`
	PeerPort     uint16     `json:"peer_port"`
	TraceID      string     `json:"conn_trace_id"`
	Trace        string     `json:"otel_trace_id"`
	Listener     string     `json:"listener"`
	LoadBalancer string     `json:"elb"`
	Plaintext    bool       `json:"plaintext"`
	Elapsed      float64    `json:"elapsed"`

	TLSVersion        string  `json:"tls_protocol"`
	CipherSuite       string  `json:"tls_cipher"`
	KeyExchange       string  `json:"tls_keyexchange"`
	HandshakeLatency  float64 `json:"tls_handshake_latency"`
	Resumed           bool    `json:"resumed"`
	ServerName        string  `json:"server_name"`
	ALPN              string  `json:"alpn"`
	JA4               string  `json:"ja4"`
	ServerCertificate string  `json:"server_certificate"`

	Mode                  string `json:"mode"`
	TrustStore            string `json:"trust_store"`
	TrustStoreGeneration  uint64 `json:"trust_store_generation"`
	PresentedCertificates int    `json:"presented_certificates"`
	LeafSubject           string `json:"leaf_client_cert_subject"`
	LeafIssuer            string `json:"leaf_client_cert_issuer"`
	LeafValidity          string `json:"leaf_client_cert_validity"`
	LeafSerial            string `json:"leaf_client_cert_serial_number"`
	LeafSHA256            string `json:"leaf_client_cert_sha256"`
	Authenticated         bool   `json:"authenticated"`

	Status  reason.Code `json:"reason"`
	Cause   string      `json:"cause"`
	Plugin  string      `json:"plugin"`
	Ignored reason.Code `json:"ignored"`
}

// UnmarshalJSON reads what MarshalJSON or the JSON log says, for programs that
// speak to the admin API. Unknown members are ignored: a newer edge may say more.
func (r *Record) UnmarshalJSON(text []byte) error {
	var j recordJSON
	if err := json.Unmarshal(text, &j); err != nil {
		return fmt.Errorf("parse connection record: %w", err)
	}
	if j.Event != "connection" {
		return fmt.Errorf("parse connection record: event %q: want connection", j.Event)
	}
	var hash [32]byte
	if j.LeafSHA256 != "" {
		b, err := hex.DecodeString(j.LeafSHA256)
		if err != nil || len(b) != len(hash) {
			return fmt.Errorf("parse connection record: leaf_client_cert_sha256 %q: want 64 hexadecimal digits", j.LeafSHA256)
		}
		copy(hash[:], b)
	}
	var trace w3c.TraceID
	if j.Trace != "" {
		b, err := hex.DecodeString(j.Trace)
		if err != nil || len(b) != len(trace) {
			return fmt.Errorf("parse connection record: otel_trace_id %q: want 32 hexadecimal digits", j.Trace)
		}
		copy(trace[:], b)
	}
	*r = Record{
		Time: j.Time, Elapsed: span(j.Elapsed), TraceID: j.TraceID, Trace: trace,
		Client:   addrPort(j.ClientIP, j.ClientPort),
		Peer:     addrPort(j.PeerIP, j.PeerPort),
		Server:   addrPort(j.ServerIP, j.ServerPort),
		Listener: j.Listener, LoadBalancer: j.LoadBalancer, Plaintext: j.Plaintext,
		TLSVersion: j.TLSVersion, CipherSuite: j.CipherSuite, KeyExchange: j.KeyExchange,
		HandshakeLatency: span(j.HandshakeLatency), Resumed: j.Resumed,
		ServerName: j.ServerName, ALPN: j.ALPN, JA4: j.JA4, ServerCertificate: j.ServerCertificate,
		Mode: j.Mode, TrustStore: j.TrustStore, TrustStoreGeneration: j.TrustStoreGeneration,
		PresentedCertificates: j.PresentedCertificates,
		LeafSubject:           j.LeafSubject, LeafIssuer: j.LeafIssuer,
		LeafValidity: j.LeafValidity, LeafSerial: j.LeafSerial, LeafSHA256: hash,
		Authenticated: j.Authenticated,
		Status:        j.Status, Cause: j.Cause, Plugin: j.Plugin, Ignored: j.Ignored,
	}
	return nil
}

// addrPort keeps a missing address the zero value that it was.
func addrPort(ip netip.Addr, port uint16) netip.AddrPort {
	if !ip.IsValid() {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(ip, port)
}

func span(seconds float64) time.Duration {
	return time.Duration(math.Round(seconds*1e6)) * time.Microsecond
}
