// Package accesslog is the log of what the edge was asked and what it asked: one
// Record for every request that could be read as one, one HealthCheck for every
// check of a target. Both print as a line of ALB's or as a JSON object. Where
// the lines go is not its business.
package accesslog

import (
	"net/netip"
	"time"

	"github.com/sallyport/sallyport/edge/config"
)

// The values of Record.Type.
const (
	TypeHTTP  = "http"
	TypeHTTPS = "https" // HTTP/1.1 over TLS
	TypeH2    = "h2"    // HTTP/2 over TLS
	TypeGRPCS = "grpcs" // gRPC over TLS
	TypeWS    = "ws"    // a WebSocket
	TypeWSS   = "wss"   // a WebSocket over TLS
)

// Record is one request's line in the access log. Its zero value is a request of
// which nothing is known. A string that is empty, an address that is not valid
// and a status that is 0 mean "there was none". Strings may hold anything, a
// client's hostile bytes too; the Append methods make them harmless.
type Record struct {
	Type    string    // one of the Type constants
	Time    time.Time // when the response was sent, or a tunnel ended
	Created time.Time // when the request's head was read

	// LoadBalancer gives the field elb and the ARNs, which are "-" without it;
	// whoever takes the record may set it.
	LoadBalancer *config.LoadBalancer
	Listener     string

	Client netip.AddrPort
	Server netip.AddrPort // what the client connected to: ALB's ip_address
	Target string         // host:port of the last target tried

	// What a request took before it was sent to a target, until the target's
	// response began, and until the response was being sent to the client.
	// Negative where it did not come to that.
	RequestProcessing, TargetProcessing, ResponseProcessing time.Duration

	ELBStatusCode    int // 460 for a client that went away before the answer
	TargetStatusCode int

	// Heads count as HTTP/1.1 writes them, bodies as they are, without chunking.
	ReceivedBytes, SentBytes int64

	// The request line. URI is the target as the client sent it. Port is the
	// listener's, printed where Host names none. Without a Method the request
	// could not be read as one, and of all this only Port is printed.
	Method, Scheme, Host string
	Port                 uint16
	URI, Proto           string
	UserAgent            string

	CipherSuite, TLSVersion string
	// ServerCertificate is the configured name of the certificate served; Resumed
	// is true where none was, because the TLS session is an earlier one.
	ServerCertificate string
	Resumed           bool
	ServerName        string // SNI, as sent
	ConnTraceID       string

	TargetGroup string
	// TargetGroupID is the last part of the target group's ARN. Empty for the load
	// balancer's ID: a target group of the configuration has none of its own.
	TargetGroupID string
	TraceID       string // X-Amzn-Trace-Id as the target got it

	// Trace is the request's place in a trace; nil where none is kept.
	Trace *Trace

	// Action is what was done with the request, where it came to that: forward,
	// fixed-response or redirect, behind what was done before, with commas between
	// them: "authenticate,forward". Priority is that of the rule that said so, 0
	// for the default action, -1 where the rules could not be worked out.
	Action      string
	Priority    int
	RedirectURL string

	// TransformedHost and TransformedURI are what a rule made of the request's, and
	// TransformStatus how that went, where one was to do so.
	TransformedHost, TransformedURI, TransformStatus string

	// ErrorReason is why the edge answered for itself or cut a response short: one
	// word. ErrorDetail is for people, in the JSON form only, and never sent to a
	// client.
	ErrorReason, ErrorDetail string

	// Classification is ALB's of the request as it was sent, Acceptable, Ambiguous
	// or Severe; empty for one that complies with the RFCs. ClassificationReason
	// is what is wrong with it, in ALB's words where it has one.
	Classification, ClassificationReason string
}

const (
	// maxUserAgent is where ALB cuts it, in bytes.
	maxUserAgent = 8 << 10
	// maxServerName bounds what a client can write into the log with every request
	// by saying it once, in its handshake. No DNS name is longer.
	maxServerName = 255
	// sessionReused is ALB's word for a handshake without a certificate.
	sessionReused = "session-reused"
)

func (r *Record) userAgent() string  { return r.UserAgent[:min(len(r.UserAgent), maxUserAgent)] }
func (r *Record) serverName() string { return r.ServerName[:min(len(r.ServerName), maxServerName)] }

// targetGroupID is the last part of the target group's ARN. r has a LoadBalancer.
func (r *Record) targetGroupID() string {
	if r.TargetGroupID != "" {
		return r.TargetGroupID
	}
	return r.LoadBalancer.ID
}
