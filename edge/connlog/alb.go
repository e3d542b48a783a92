package connlog

import "github.com/sallyport/sallyport/edge/albline"

// AppendALB appends the record as a line of ALB's connection log: its 15
// fields, in the order of AWS's page, as package albline prints them. Absent
// values are "-", the subject's within its quotes.
func (r *Record) AppendALB(dst []byte) []byte {
	l := albline.Begin(dst)
	l = l.Time(r.Time)
	l = l.Addr(r.Client.Addr())
	l = l.Port(r.Client)
	l = l.Port(r.Server)
	l = l.Bare(short(r.TLSVersion))
	l = l.Bare(short(r.CipherSuite))
	if latency, ok := r.latency(); ok {
		l = l.Milliseconds(latency)
	} else {
		l = l.None()
	}
	l = l.Quoted(short(r.LeafSubject))
	l = l.Bare(short(r.LeafValidity))
	l = l.Bare(short(r.LeafSerial))
	if prefix, status := r.verifyStatus(); status != "" {
		l = l.Next().Part(prefix).Part(status)
	} else {
		l = l.None()
	}
	l = l.Bare(short(r.TraceID))
	l = l.Bare(short(r.KeyExchange))
	l = l.Bare(short(r.LoadBalancer))
	l = l.Addr(r.Server.Addr())
	return l.End()
}
