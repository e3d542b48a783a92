package pebble

import (
	"net"

	"github.com/miekg/dns"
)

// resolver is a DNS server before pebble-challtestsrv, which does not know what zone
// a name is in: it says that every name's last label is a zone.
type resolver struct {
	behind  string
	servers []*dns.Server
}

func newResolver(address, behind string) (*resolver, error) {
	r := &resolver{behind: behind}
	packets, err := net.ListenPacket("udp", address)
	if err != nil {
		return nil, err
	}
	stream, err := net.Listen("tcp", address)
	if err != nil {
		packets.Close()
		return nil, err
	}
	for _, server := range []*dns.Server{{PacketConn: packets, Handler: r}, {Listener: stream, Handler: r}} {
		started := make(chan struct{})
		server.NotifyStartedFunc = func() { close(started) }
		go server.ActivateAndServe() // until close
		<-started
		r.servers = append(r.servers, server)
	}
	return r, nil
}

func (r *resolver) close() {
	for _, server := range r.servers {
		server.Shutdown()
	}
}

// ServeDNS answers for zones, and passes all else on.
func (r *resolver) ServeDNS(w dns.ResponseWriter, query *dns.Msg) {
	answer := new(dns.Msg).SetReply(query)
	question := query.Question[0]
	switch {
	case question.Qtype != dns.TypeSOA:
		if passed, err := dns.Exchange(query, r.behind); err == nil {
			answer = passed
		} else {
			answer.Rcode = dns.RcodeServerFailure
		}
	case dns.CountLabel(question.Name) == 1:
		answer.Answer = []dns.RR{&dns.SOA{Hdr: dns.RR_Header{Name: question.Name, Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: 1}, Ns: "ns." + question.Name, Mbox: "mail." + question.Name, Minttl: 1}}
	}
	w.WriteMsg(answer) // who asked asks again if this fails
}
