package connlog

import (
	"encoding/hex"
	"strconv"

	"github.com/sallyport/sallyport/edge/reason"
)

// AppendJSON appends the record as one line of JSON, newline included. ALB's 15
// fields come first, under ALB's names and with null for its "-"; reason and
// authenticated follow; of ours, the rest is there only where it says
// something. Times are as ALB's, spans are numbers of seconds with microsecond
// decimals.
func (r *Record) AppendJSON(dst []byte) []byte {
	o := object(append(dst, '{'))
	o = o.text("event", "connection")
	o = o.time("timestamp", r.Time)
	o = o.addr("client_ip", r.Client)
	o = o.port("client_port", r.Client)
	o = o.port("listener_port", r.Server)
	o = o.text("tls_protocol", r.TLSVersion)
	o = o.text("tls_cipher", r.CipherSuite)
	if latency, ok := r.latency(); ok {
		o = o.seconds("tls_handshake_latency", latency)
	} else {
		o = o.null("tls_handshake_latency")
	}
	o = o.text("leaf_client_cert_subject", r.LeafSubject)
	o = o.text("leaf_client_cert_validity", r.LeafValidity)
	o = o.text("leaf_client_cert_serial_number", r.LeafSerial)
	if prefix, status := r.verifyStatus(); status != "" {
		// Codes need no escaping.
		o = append(append(append(append(o.name("tls_verify_status"), '"'), prefix...), status...), '"')
	} else {
		o = o.null("tls_verify_status")
	}
	o = o.text("conn_trace_id", r.TraceID)
	o = o.text("tls_keyexchange", r.KeyExchange)
	o = o.text("elb", r.LoadBalancer)
	o = o.addr("ip_address", r.Server)

	o = o.text("reason", r.Status.String())
	o = strconv.AppendBool(o.name("authenticated"), r.Authenticated)
	o = o.mention("cause", r.Cause)
	o = o.mention("plugin", r.Plugin)
	if r.Ignored != reason.UnmappedConnectionError && r.Ignored != reason.Success {
		o = o.text("ignored", r.Ignored.String())
	}
	o = o.mention("listener", r.Listener)
	o = o.flag("plaintext", r.Plaintext)
	if r.Peer.IsValid() {
		o = o.addr("peer_ip", r.Peer)
		o = o.port("peer_port", r.Peer)
	}
	if r.Elapsed > 0 {
		o = o.seconds("elapsed", r.Elapsed)
	}
	o = o.flag("resumed", r.Resumed)
	o = o.mention("server_name", r.ServerName)
	o = o.mention("alpn", r.ALPN)
	o = o.mention("ja4", r.JA4)
	o = o.mention("server_certificate", r.ServerCertificate)
	o = o.mention("mode", r.Mode)
	o = o.mention("trust_store", r.TrustStore)
	if r.TrustStoreGeneration > 0 {
		o = strconv.AppendUint(o.name("trust_store_generation"), r.TrustStoreGeneration, 10)
	}
	if r.PresentedCertificates > 0 {
		o = o.number("presented_certificates", int64(r.PresentedCertificates))
	}
	o = o.mention("leaf_client_cert_issuer", r.LeafIssuer)
	if r.LeafSHA256 != [32]byte{} {
		o = append(hex.AppendEncode(append(o.name("leaf_client_cert_sha256"), '"'), r.LeafSHA256[:]), '"')
	}
	return append(o, '}', '\n')
}

// MarshalJSON returns what AppendJSON appends: the admin API and the log speak
// of a connection in the same words.
func (r Record) MarshalJSON() ([]byte, error) { return r.AppendJSON(nil), nil }
