package fetch

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// resolver asks a DNS server in this process, which gives the n-th look-up of an
// A record the n-th address, and later ones the last.
func resolver(t *testing.T, addresses ...string) *net.Resolver {
	t.Helper()
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var count atomic.Int32
	done := make(chan struct{})
	go func() {
		defer close(done)
		buffer := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(buffer)
			if err != nil {
				return
			}
			if answer, err := dnsAnswer(buffer[:n], addresses, &count); err == nil {
				_, _ = conn.WriteTo(answer, from)
			}
		}
	}()
	t.Cleanup(func() {
		_ = conn.Close()
		<-done
	})
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp4", conn.LocalAddr().String())
	}}
}

func dnsAnswer(question []byte, addresses []string, count *atomic.Int32) ([]byte, error) {
	var m dnsmessage.Message
	if err := m.Unpack(question); err != nil || len(m.Questions) != 1 {
		return nil, errors.Join(err, errors.New("want one question"))
	}
	m.Response, m.Additionals = true, nil
	if q := m.Questions[0]; q.Type == dnsmessage.TypeA {
		i := min(int(count.Add(1)), len(addresses)) - 1
		m.Answers = []dnsmessage.Resource{{
			Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class},
			Body:   &dnsmessage.AResource{A: netip.MustParseAddr(addresses[i]).As4()},
		}}
	}
	return m.Pack()
}

// TestNames: what counts is what a name resolves to, each time it is connected to.
func TestNames(t *testing.T) {
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.Host, "public.test") {
			fmt.Fprint(w, "good")
			return
		}
		http.Redirect(w, r, strings.Replace("http://"+r.Host+"/", "redirect.test", "public.test", 1), http.StatusFound)
	})
	u, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	fetch := func(name string, addresses ...string) func() error {
		o := options(t.TempDir())
		o.Network.Resolver = resolver(t, addresses...)
		s, _ := sourceOf(t, o, "http://"+name+":"+u.Port()+"/")
		return func() error {
			_, err := s.fetch(t.Context())
			return err
		}
	}
	refused := func(err error, address string) {
		t.Helper()
		var refusal *AddressError
		if !errors.As(err, &refusal) || refusal.Address.String() != address {
			t.Errorf("got %v, want a refusal of %s", err, address)
		}
	}
	if err := fetch("public.test", "127.0.0.1")(); err != nil {
		t.Error(err)
	}
	for _, address := range []string{"10.0.0.1", "169.254.169.254", "192.168.1.1", "100.64.1.1", "0.0.0.0"} {
		refused(fetch("public.test", address)(), address)
	}
	// The name resolves to something else the second time.
	rebound := fetch("public.test", "127.0.0.1", "10.0.0.1")
	if err := rebound(); err != nil {
		t.Error(err)
	}
	refused(rebound(), "10.0.0.1")
	// The redirect leads to a name that resolves to something private.
	refused(fetch("redirect.test", "127.0.0.1", "10.0.0.1")(), "10.0.0.1")
}
