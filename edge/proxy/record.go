package proxy

import (
	"net/netip"
	"time"

	"github.com/sallyport/sallyport/edge/config"
)

// Record is one request's line in the access log.
type Record struct {
	Type    string    // http, https, h2, ws or wss
	Time    time.Time // when the response was sent, or a tunnel ended
	Created time.Time // when the request's head was read

	// LoadBalancer gives the fields elb and target_group_arn; whoever takes the
	// record may set it.
	LoadBalancer *config.LoadBalancer
	Listener     string

	Client netip.AddrPort
	Target string // host:port of the last target tried

	// What a request took before it was sent to a target, until the target's
	// response began, and until the response was being sent to the client.
	// Negative where it did not come to that.
	RequestProcessing, TargetProcessing, ResponseProcessing time.Duration

	ELBStatusCode    int // 460 for a client that went away before the answer
	TargetStatusCode int // 0 for none

	// Heads count as HTTP/1.1 writes them, bodies as they are, without chunking.
	ReceivedBytes, SentBytes int64

	// The request line. URI is the target as the client sent it. Port is the
	// listener's, printed where Host names none.
	Method, Scheme, Host string
	Port                 uint16
	URI, Proto           string
	UserAgent            string

	CipherSuite, TLSVersion string
	TargetGroup             string
	TraceID                 string // X-Amzn-Trace-Id as the target got it
	ServerName              string // SNI
	ConnTraceID             string

	Action      string // forward, fixed-response or redirect
	RedirectURL string

	// ErrorReason is why the edge answered for itself or cut a response short,
	// one of the Reason constants; ErrorDetail is for people, and never sent to
	// a client.
	ErrorReason, ErrorDetail string

	// Classification is ALB's of the request as it was sent, Acceptable, Ambiguous
	// or Severe; empty for one that complies with the RFCs. ClassificationReason
	// is what is wrong with it, in ALB's words where it has one.
	Classification, ClassificationReason string
}

// The values of ErrorReason.
const (
	ReasonMalformedRequest   = "MalformedRequest"
	ReasonMethodNotAllowed   = "MethodNotAllowed"
	ReasonMisdirected        = "MisdirectedRequest"
	ReasonTooManyForwarded   = "TooManyForwardedFor"
	ReasonClientClosed       = "ClientClosed"
	ReasonClientIdle         = "ClientIdle"
	ReasonNoTarget           = "NoTarget"
	ReasonTargetConnect      = "TargetConnectError"
	ReasonTargetConnectSlow  = "TargetConnectTimeout"
	ReasonTargetResponse     = "TargetResponseError"
	ReasonTargetResponseSlow = "TargetResponseTimeout"
	ReasonTargetClosed       = "TargetClosed" // in the middle of a response
	ReasonTargetIdle         = "TargetIdle"   // in the middle of a response
	ReasonIdle               = "Idle"         // a tunnel in which nothing moved
	ReasonInternal           = "InternalError"
)

// maxUserAgent is where ALB cuts it.
const maxUserAgent = 8 << 10
