package connlog

import (
	"encoding/hex"
	"strconv"

	"github.com/sallyport/sallyport/edge/jsonline"
	"github.com/sallyport/sallyport/edge/reason"
	"github.com/sallyport/sallyport/edge/trace/w3c"
)

// AppendJSON appends the record as one line of JSON, newline included. ALB's 15
// fields come first, under ALB's names and with null for its "-"; reason and
// authenticated follow; of ours, the rest is there only where it says
// something. Times are as ALB's, spans are numbers of seconds with microsecond
// decimals.
func (r *Record) AppendJSON(dst []byte) []byte {
	o := jsonline.Begin(dst)
	o = o.Text("event", "connection")
	o = o.Time("timestamp", r.Time)
	o = o.Addr("client_ip", r.Client)
	o = o.Port("client_port", r.Client)
	o = o.Port("listener_port", r.Server)
	o = o.Text("tls_protocol", short(r.TLSVersion))
	o = o.Text("tls_cipher", short(r.CipherSuite))
	if latency, ok := r.latency(); ok {
		o = o.Microseconds("tls_handshake_latency", latency)
	} else {
		o = o.Null("tls_handshake_latency")
	}
	o = o.Text("leaf_client_cert_subject", short(r.LeafSubject))
	o = o.Text("leaf_client_cert_validity", short(r.LeafValidity))
	o = o.Text("leaf_client_cert_serial_number", short(r.LeafSerial))
	if prefix, status := r.verifyStatus(); status != "" {
		// Codes need no escaping.
		o = append(append(append(append(o.Name("tls_verify_status"), '"'), prefix...), status...), '"')
	} else {
		o = o.Null("tls_verify_status")
	}
	o = o.Text("conn_trace_id", short(r.TraceID))
	o = o.Text("tls_keyexchange", short(r.KeyExchange))
	o = o.Text("elb", short(r.LoadBalancer))
	o = o.Addr("ip_address", r.Server)

	o = o.Text("reason", r.Status.String())
	o = strconv.AppendBool(o.Name("authenticated"), r.Authenticated)
	o = o.Mention("cause", short(r.Cause))
	o = o.Mention("plugin", short(r.Plugin))
	if r.Ignored != reason.UnmappedConnectionError && r.Ignored != reason.Success {
		o = o.Text("ignored", r.Ignored.String())
	}
	o = o.Mention("listener", short(r.Listener))
	o = o.Flag("plaintext", r.Plaintext)
	if r.Peer.IsValid() {
		o = o.Addr("peer_ip", r.Peer)
		o = o.Port("peer_port", r.Peer)
	}
	if r.Elapsed > 0 {
		o = o.Microseconds("elapsed", r.Elapsed)
	}
	o = o.Flag("resumed", r.Resumed)
	o = o.Mention("server_name", short(r.ServerName))
	o = o.Mention("alpn", short(r.ALPN))
	o = o.Mention("ja4", short(r.JA4))
	o = o.Mention("server_certificate", short(r.ServerCertificate))
	o = o.Mention("mode", short(r.Mode))
	o = o.Mention("trust_store", short(r.TrustStore))
	if r.TrustStoreGeneration > 0 {
		o = strconv.AppendUint(o.Name("trust_store_generation"), r.TrustStoreGeneration, 10)
	}
	if r.PresentedCertificates > 0 {
		o = o.Number("presented_certificates", int64(r.PresentedCertificates))
	}
	o = o.Mention("leaf_client_cert_issuer", short(r.LeafIssuer))
	if r.LeafSHA256 != [32]byte{} {
		o = append(hex.AppendEncode(append(o.Name("leaf_client_cert_sha256"), '"'), r.LeafSHA256[:]), '"')
	}
	if r.Trace != (w3c.TraceID{}) {
		o = append(hex.AppendEncode(append(o.Name("otel_trace_id"), '"'), r.Trace[:]), '"')
	}
	return o.End()
}

// MarshalJSON returns what AppendJSON appends: the admin API and the log speak
// of a connection in the same words.
func (r Record) MarshalJSON() ([]byte, error) { return r.AppendJSON(nil), nil }
