package accesslog

import (
	"strconv"

	"github.com/sallyport/sallyport/edge/albline"
	"github.com/sallyport/sallyport/edge/config"
)

// AppendALB appends the record as a line of ALB's access log: its 34 fields, in
// the order of AWS's page, as package albline prints them. Absent values are
// "-", times that are not to be had -1. It is one line of printable ASCII
// whatever the record holds.
func (r *Record) AppendALB(dst []byte) []byte {
	l := albline.Begin(dst)
	l = l.Bare(r.Type)
	l = l.Time(r.Time)
	l = appendELB(l, r.LoadBalancer)
	l = l.AddrPort(r.Client)
	l = l.Bare(r.Target)
	l = l.Milliseconds(r.RequestProcessing)
	l = l.Milliseconds(r.TargetProcessing)
	l = l.Milliseconds(r.ResponseProcessing)
	l = l.Code(r.ELBStatusCode)
	l = l.Code(r.TargetStatusCode)
	l = l.Number(r.ReceivedBytes)
	l = l.Number(r.SentBytes)
	l = append(appendRequest(append(l.Next(), '"'), r), '"')
	l = l.Quoted(r.userAgent())
	l = l.Bare(r.CipherSuite)
	l = l.Bare(r.TLSVersion)
	l = r.appendTargetGroup(l)
	l = l.Quoted(r.TraceID)
	l = l.Quoted(r.serverName())
	l = r.appendCertificate(l)
	if r.Action == "" { // it did not come to the rules
		l = l.None()
	} else {
		l = l.Number(int64(r.Priority))
	}
	l = l.Time(r.Created)
	l = l.Quoted(r.Action)
	l = l.Quoted(r.RedirectURL)
	l = l.Quoted(r.ErrorReason)
	l = l.Quoted(r.Target)
	l = append(l.Next(), '"')
	if r.TargetStatusCode == 0 {
		l = append(l, '-', '"')
	} else {
		l = append(strconv.AppendInt(l, int64(r.TargetStatusCode), 10), '"')
	}
	l = l.Quoted(r.Classification)
	l = l.Quoted(r.ClassificationReason)
	l = l.Bare(r.ConnTraceID)
	l = l.Quoted(r.TransformedHost)
	l = l.Quoted(r.TransformedURI)
	l = l.Quoted(r.TransformStatus)
	l = l.Addr(r.Server.Addr().WithZone(""))
	return l.End()
}

func appendELB(l albline.Line, lb *config.LoadBalancer) albline.Line {
	if lb == nil {
		return l.None()
	}
	return append(append(l.Next(), "app/"...).Part(lb.Name), '/').Part(lb.ID)
}

func (r *Record) appendTargetGroup(l albline.Line) albline.Line {
	lb := r.LoadBalancer
	if lb == nil || r.TargetGroup == "" {
		return l.None()
	}
	l = append(append(l.Next(), "arn:aws:elasticloadbalancing:"...).Part(lb.Region), ':')
	l = append(l.Part(lb.Account), ":targetgroup/"...)
	return append(l.Part(r.TargetGroup), '/').Part(r.targetGroupID())
}

func (r *Record) appendCertificate(l albline.Line) albline.Line {
	lb := r.LoadBalancer
	if r.Resumed {
		return l.Quoted(sessionReused)
	}
	if lb == nil || r.ServerCertificate == "" {
		return l.Quoted("")
	}
	l = append(append(l.Next(), `"arn:aws:acm:`...).Escaped(lb.Region), ':')
	l = append(l.Escaped(lb.Account), ":certificate/"...)
	return append(l.Escaped(r.ServerCertificate), '"')
}
