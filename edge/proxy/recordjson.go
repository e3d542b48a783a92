package proxy

import (
	"net/netip"
	"strconv"
	"time"
	"unicode/utf8"
)

// AppendJSON appends the record as one line of JSON, newline included, and
// returns the extended slice. ALB's fields come under ALB's names, with null for
// its "-"; of ours, a field is there where it says something. Times are as ALB's,
// spans are seconds with milliseconds, or -1. Bytes that are not UTF-8 become
// U+FFFD.
func (r *Record) AppendJSON(dst []byte) []byte {
	o := object(append(dst, '{'))
	o = o.text("type", r.Type)
	o = o.time("time", r.Time)
	if lb := r.LoadBalancer; lb != nil {
		o = append(o.name("elb"), `"app/`...)
		o = append(append(append(o.escaped(lb.Name), '/'), lb.ID...), '"')
	}
	o = o.addr("client:port", r.Client)
	o = o.text("target:port", r.Target)
	o = o.seconds("request_processing_time", r.RequestProcessing)
	o = o.seconds("target_processing_time", r.TargetProcessing)
	o = o.seconds("response_processing_time", r.ResponseProcessing)
	o = o.code("elb_status_code", r.ELBStatusCode)
	o = o.code("target_status_code", r.TargetStatusCode)
	o = o.number("received_bytes", r.ReceivedBytes)
	o = o.number("sent_bytes", r.SentBytes)
	o = o.request(r)
	o = o.text("user_agent", r.UserAgent[:min(len(r.UserAgent), maxUserAgent)])
	o = o.text("ssl_cipher", r.CipherSuite)
	o = o.text("ssl_protocol", r.TLSVersion)
	if lb := r.LoadBalancer; lb != nil && r.TargetGroup != "" {
		o = append(o.name("target_group_arn"), `"arn:aws:elasticloadbalancing:`...)
		o = append(o.escaped(lb.Region), ':')
		o = append(o.escaped(lb.Account), ":targetgroup/"...)
		o = append(o.escaped(r.TargetGroup), '/')
		o = append(o.escaped(lb.ID), '"')
	} else {
		o = o.text("target_group_arn", "")
	}
	o = o.text("trace_id", r.TraceID)
	o = o.text("domain_name", r.ServerName)
	o = o.number("matched_rule_priority", 0) // the default action is all there is
	o = o.time("request_creation_time", r.Created)
	o = o.text("actions_executed", r.Action)
	o = o.text("redirect_url", r.RedirectURL)
	o = o.text("error_reason", r.ErrorReason)
	if r.ClassificationReason != "" {
		o = o.text("classification", "Severe")
	} else {
		o = o.text("classification", "")
	}
	o = o.text("classification_reason", r.ClassificationReason)
	o = o.text("conn_trace_id", r.ConnTraceID)
	o = o.mention("listener", r.Listener)
	o = o.mention("target_group", r.TargetGroup)
	o = o.mention("error_detail", r.ErrorDetail)
	return append(o, '}', '\n')
}

// object is a JSON object being written.
type object []byte

func (o object) name(name string) object {
	if o[len(o)-1] != '{' {
		o = append(o, ',')
	}
	o = append(append(o, '"'), name...)
	return append(o, '"', ':')
}

func (o object) text(name, value string) object {
	o = o.name(name)
	if value == "" {
		return append(o, "null"...)
	}
	return append(append(o, '"').escaped(value), '"')
}

func (o object) mention(name, value string) object {
	if value == "" {
		return o
	}
	return o.text(name, value)
}

func (o object) number(name string, n int64) object { return strconv.AppendInt(o.name(name), n, 10) }

func (o object) code(name string, code int) object {
	if code == 0 {
		return append(o.name(name), "null"...)
	}
	return o.number(name, int64(code))
}

func (o object) seconds(name string, d time.Duration) object {
	if d < 0 {
		return o.number(name, -1)
	}
	return strconv.AppendFloat(o.name(name), d.Seconds(), 'f', 3, 64)
}

func (o object) time(name string, t time.Time) object {
	o = append(o.name(name), '"')
	return append(t.UTC().AppendFormat(o, "2006-01-02T15:04:05.000000Z"), '"')
}

func (o object) addr(name string, ap netip.AddrPort) object {
	if !ap.IsValid() {
		return o.text(name, "")
	}
	// No zone: it is free text, and means something on this host only.
	ap = netip.AddrPortFrom(ap.Addr().WithZone(""), ap.Port())
	return append(ap.AppendTo(append(o.name(name), '"')), '"')
}

// request is the request line as ALB prints it: the URL whole, with its port.
func (o object) request(r *Record) object {
	if r.Method == "" {
		return o.text("request", "")
	}
	o = append(o.name("request"), '"')
	o = append(o.escaped(r.Method), ' ')
	o = append(o.escaped(r.Scheme), "://"...)
	o = o.escaped(r.Host)
	if !hasPort(r.Host) {
		o = strconv.AppendUint(append(o, ':'), uint64(r.Port), 10)
	}
	o = append(o.escaped(r.URI), ' ')
	return append(o.escaped(r.Proto), '"')
}

const hexDigits = "0123456789abcdef"

// escaped appends s as the inside of a JSON string.
func (o object) escaped(s string) object {
	for i := 0; i < len(s); {
		switch b := s[i]; {
		case b == '"' || b == '\\':
			o = append(o, '\\', b)
			i++
		case b < ' ' || b == 0x7F:
			o = append(o, '\\', 'u', '0', '0', hexDigits[b>>4], hexDigits[b&15])
			i++
		case b < utf8.RuneSelf:
			o = append(o, b)
			i++
		default:
			r, size := utf8.DecodeRuneInString(s[i:])
			o = utf8.AppendRune(o, r) // U+FFFD for what is none
			i += size
		}
	}
	return o
}
