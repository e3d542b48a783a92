package proxy

import (
	"net/netip"
	"strconv"
	"time"

	"github.com/sallyport/sallyport/edge/jsonline"
)

// AppendJSON appends the record as one line of JSON, newline included, and
// returns the extended slice. ALB's fields come under ALB's names, with null for
// its "-"; of ours, a field is there where it says something. Times are as ALB's,
// spans are seconds with milliseconds, or -1. Bytes that are not UTF-8 become
// U+FFFD.
func (r *Record) AppendJSON(dst []byte) []byte {
	o := jsonline.Begin(dst)
	o = o.Text("type", r.Type)
	o = o.Time("time", r.Time)
	if lb := r.LoadBalancer; lb != nil {
		o = append(o.Name("elb"), `"app/`...)
		o = append(append(append(o.Escaped(lb.Name), '/'), lb.ID...), '"')
	}
	o = endpoint(o, "client:port", r.Client)
	o = o.Text("target:port", r.Target)
	o = seconds(o, "request_processing_time", r.RequestProcessing)
	o = seconds(o, "target_processing_time", r.TargetProcessing)
	o = seconds(o, "response_processing_time", r.ResponseProcessing)
	o = code(o, "elb_status_code", r.ELBStatusCode)
	o = code(o, "target_status_code", r.TargetStatusCode)
	o = o.Number("received_bytes", r.ReceivedBytes)
	o = o.Number("sent_bytes", r.SentBytes)
	o = request(o, r)
	o = o.Text("user_agent", r.UserAgent[:min(len(r.UserAgent), maxUserAgent)])
	o = o.Text("ssl_cipher", r.CipherSuite)
	o = o.Text("ssl_protocol", r.TLSVersion)
	if lb := r.LoadBalancer; lb != nil && r.TargetGroup != "" {
		o = append(o.Name("target_group_arn"), `"arn:aws:elasticloadbalancing:`...)
		o = append(o.Escaped(lb.Region), ':')
		o = append(o.Escaped(lb.Account), ":targetgroup/"...)
		o = append(o.Escaped(r.TargetGroup), '/')
		o = append(o.Escaped(lb.ID), '"')
	} else {
		o = o.Text("target_group_arn", "")
	}
	o = o.Text("trace_id", r.TraceID)
	o = o.Text("domain_name", r.ServerName)
	o = o.Number("matched_rule_priority", 0) // the default action is all there is
	o = o.Time("request_creation_time", r.Created)
	o = o.Text("actions_executed", r.Action)
	o = o.Text("redirect_url", r.RedirectURL)
	o = o.Text("error_reason", r.ErrorReason)
	o = o.Text("classification", r.Classification)
	o = o.Text("classification_reason", r.ClassificationReason)
	o = o.Text("conn_trace_id", r.ConnTraceID)
	o = o.Mention("listener", r.Listener)
	o = o.Mention("target_group", r.TargetGroup)
	o = o.Mention("error_detail", r.ErrorDetail)
	return o.End()
}

// code appends a status code, or null for none.
func code(o jsonline.Object, name string, code int) jsonline.Object {
	if code == 0 {
		return o.Null(name)
	}
	return o.Number(name, int64(code))
}

// seconds appends a span as ALB has it, -1 for what did not happen.
func seconds(o jsonline.Object, name string, d time.Duration) jsonline.Object {
	if d < 0 {
		return o.Number(name, -1)
	}
	return o.Milliseconds(name, d)
}

func endpoint(o jsonline.Object, name string, ap netip.AddrPort) jsonline.Object {
	if !ap.IsValid() {
		return o.Null(name)
	}
	// No zone: it is free text, and means something on this host only.
	ap = netip.AddrPortFrom(ap.Addr().WithZone(""), ap.Port())
	return append(ap.AppendTo(append(o.Name(name), '"')), '"')
}

// request appends the request line as ALB prints it: the URL whole, with its
// port.
func request(o jsonline.Object, r *Record) jsonline.Object {
	if r.Method == "" {
		return o.Null("request")
	}
	o = append(o.Name("request"), '"')
	o = append(o.Escaped(r.Method), ' ')
	o = append(o.Escaped(r.Scheme), "://"...)
	o = o.Escaped(r.Host)
	if !hasPort(r.Host) {
		o = strconv.AppendUint(append(o, ':'), uint64(r.Port), 10)
	}
	o = append(o.Escaped(r.URI), ' ')
	return append(o.Escaped(r.Proto), '"')
}
