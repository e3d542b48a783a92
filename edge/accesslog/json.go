package accesslog

import (
	"net/netip"
	"time"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/jsonline"
)

// AppendJSON appends the record as one line of JSON, newline included. ALB's 34
// fields come under ALB's names, with null for its "-"; of ours, a field is there
// where it says something. Times are as ALB's, spans are seconds with
// milliseconds, or -1. Bytes that are not UTF-8 become U+FFFD.
func (r *Record) AppendJSON(dst []byte) []byte {
	o := jsonline.Begin(dst)
	o = o.Text("type", r.Type)
	o = o.Time("time", r.Time)
	o = elb(o, r.LoadBalancer)
	o = endpoint(o, "client:port", r.Client)
	o = o.Text("target:port", r.Target)
	o = seconds(o, "request_processing_time", r.RequestProcessing)
	o = seconds(o, "target_processing_time", r.TargetProcessing)
	o = seconds(o, "response_processing_time", r.ResponseProcessing)
	o = code(o, "elb_status_code", r.ELBStatusCode)
	o = code(o, "target_status_code", r.TargetStatusCode)
	o = o.Number("received_bytes", r.ReceivedBytes)
	o = o.Number("sent_bytes", r.SentBytes)
	o = append(appendRequest(append(o.Name("request"), '"'), r), '"')
	o = o.Text("user_agent", r.userAgent())
	o = o.Text("ssl_cipher", r.CipherSuite)
	o = o.Text("ssl_protocol", r.TLSVersion)
	o = targetGroup(o, r)
	o = o.Text("trace_id", r.TraceID)
	o = o.Text("domain_name", r.serverName())
	o = certificate(o, r)
	if r.Action == "" {
		o = o.Null("matched_rule_priority")
	} else {
		o = o.Number("matched_rule_priority", int64(r.Priority))
	}
	o = o.Time("request_creation_time", r.Created)
	o = o.Text("actions_executed", r.Action)
	o = o.Text("redirect_url", r.RedirectURL)
	o = o.Text("error_reason", r.ErrorReason)
	o = o.Text("target:port_list", r.Target)
	o = code(o, "target_status_code_list", r.TargetStatusCode)
	o = o.Text("classification", r.Classification)
	o = o.Text("classification_reason", r.ClassificationReason)
	o = o.Text("conn_trace_id", r.ConnTraceID)
	o = o.Text("transformed_host", r.TransformedHost)
	o = o.Text("transformed_uri", r.TransformedURI)
	o = o.Text("request_transform_status", r.TransformStatus)
	o = address(o, "ip_address", r.Server)
	o = o.Mention("listener", r.Listener)
	o = o.Mention("target_group", r.TargetGroup)
	o = o.Mention("server_certificate", r.ServerCertificate)
	o = o.Flag("resumed", r.Resumed)
	o = o.Mention("error_detail", r.ErrorDetail)
	o = trace(o, r.Trace)
	return o.End()
}

func elb(o jsonline.Object, lb *config.LoadBalancer) jsonline.Object {
	if lb == nil {
		return o.Null("elb")
	}
	o = append(append(o.Name("elb"), `"app/`...).Escaped(lb.Name), '/')
	return append(o.Escaped(lb.ID), '"')
}

func targetGroup(o jsonline.Object, r *Record) jsonline.Object {
	lb := r.LoadBalancer
	if lb == nil || r.TargetGroup == "" {
		return o.Null("target_group_arn")
	}
	o = append(append(o.Name("target_group_arn"), `"arn:aws:elasticloadbalancing:`...).Escaped(lb.Region), ':')
	o = append(o.Escaped(lb.Account), ":targetgroup/"...)
	o = append(o.Escaped(r.TargetGroup), '/')
	return append(o.Escaped(r.targetGroupID()), '"')
}

func certificate(o jsonline.Object, r *Record) jsonline.Object {
	lb := r.LoadBalancer
	if r.Resumed {
		return o.Text("chosen_cert_arn", sessionReused)
	}
	if lb == nil || r.ServerCertificate == "" {
		return o.Null("chosen_cert_arn")
	}
	o = append(append(o.Name("chosen_cert_arn"), `"arn:aws:acm:`...).Escaped(lb.Region), ':')
	o = append(o.Escaped(lb.Account), ":certificate/"...)
	return append(o.Escaped(r.ServerCertificate), '"')
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

// endpoint and address leave out a zone: it is free text, and means something on
// this host only.
func endpoint(o jsonline.Object, name string, ap netip.AddrPort) jsonline.Object {
	if !ap.IsValid() {
		return o.Null(name)
	}
	ap = netip.AddrPortFrom(ap.Addr().Unmap().WithZone(""), ap.Port())
	return append(ap.AppendTo(append(o.Name(name), '"')), '"')
}

func address(o jsonline.Object, name string, ap netip.AddrPort) jsonline.Object {
	return o.Addr(name, netip.AddrPortFrom(ap.Addr().WithZone(""), ap.Port()))
}
