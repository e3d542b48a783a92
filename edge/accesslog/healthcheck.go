package accesslog

import (
	"net/netip"
	"time"

	"github.com/sallyport/sallyport/edge/albline"
	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/jsonline"
)

// The values of HealthCheck.Reason: ALB's.
const (
	CheckTimedOut               = "TimedOut"
	CheckConnectionReset        = "ConnectionReset"
	CheckResponseCodeMismatch   = "ResponseCodeMismatch"
	CheckResponseStringMismatch = "ResponseStringMismatch"
	CheckInternalError          = "InternalError"
	CheckTargetError            = "TargetError" // status 5xx
	CheckGRPCStatusHeaderEmpty  = "GRPCStatusHeaderEmpty"
	CheckGRPCUnexpectedStatus   = "GRPCUnexpectedStatus"
)

// HealthCheck is one check of one target: a line of the health-check log. Its
// zero value is a check that failed.
type HealthCheck struct {
	// Type is what the target was spoken to by: http, https, h2 or grpc.
	Type string
	Time time.Time // when the check was over
	// Latency is how long it took; negative where nothing was measured.
	Latency time.Duration
	Target  string // host:port
	// TargetGroup is the target group's name: ALB's target_group_id.
	TargetGroup string
	// Pass is the outcome of this one check, not the target's state.
	Pass bool
	// StatusCode of HTTP or, on grpc, of gRPC; 0 where there was no response, and
	// gRPC's OK is 0 too: HasStatus says which.
	StatusCode int
	HasStatus  bool
	// Reason is why it failed, one of the Check constants. Detail is for people, in
	// the JSON form only.
	Reason, Detail string

	// LoadBalancer gives the field elb; whoever takes the record may set it.
	LoadBalancer *config.LoadBalancer
	// Address is the edge's own, that the check came from.
	Address netip.Addr
}

func (h *HealthCheck) status() string {
	if h.Pass {
		return "PASS"
	}
	return "FAIL"
}

// AppendALB appends the check as a line of ALB's health-check log: its 10 fields,
// as package albline prints them.
func (h *HealthCheck) AppendALB(dst []byte) []byte {
	l := albline.Begin(dst)
	l = l.Bare(h.Type)
	l = l.Time(h.Time)
	if h.Latency < 0 {
		l = l.None()
	} else {
		l = l.Nanoseconds(h.Latency)
	}
	l = l.Bare(h.Target)
	l = l.Bare(h.TargetGroup)
	l = l.Bare(h.status())
	if h.HasStatus {
		l = l.Number(int64(h.StatusCode))
	} else {
		l = l.None()
	}
	l = l.Bare(h.Reason)
	l = appendELB(l, h.LoadBalancer)
	l = l.Addr(h.Address.WithZone(""))
	return l.End()
}

// AppendJSON appends the check as one line of JSON, newline included: ALB's 10
// fields under ALB's names, with null for its "-", then ours.
func (h *HealthCheck) AppendJSON(dst []byte) []byte {
	o := jsonline.Begin(dst)
	o = o.Text("type", h.Type)
	o = o.Time("time", h.Time)
	if h.Latency < 0 {
		o = o.Null("latency")
	} else {
		o = o.Nanoseconds("latency", h.Latency)
	}
	o = o.Text("target_addr", h.Target)
	o = o.Text("target_group_id", h.TargetGroup)
	o = o.Text("status", h.status())
	if h.HasStatus {
		o = o.Number("status_code", int64(h.StatusCode))
	} else {
		o = o.Null("status_code")
	}
	o = o.Text("reason_code", h.Reason)
	o = elb(o, h.LoadBalancer)
	o = address(o, "ip_address", netip.AddrPortFrom(h.Address, 0))
	o = o.Mention("detail", h.Detail)
	return o.End()
}
