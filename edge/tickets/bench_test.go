package tickets

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"net"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// sealed is the other way to keep sessions, for comparison: everything in the
// ticket, under AES-256-GCM, with the binding and the lineage in Extra.
type sealed struct {
	aead    cipher.AEAD
	binding [32]byte
	extra   []byte
}

func newSealed() *sealed {
	key := make([]byte, 32)
	rand.Read(key)
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return &sealed{aead: aead, extra: make([]byte, 32+16+8)}
}

func (s *sealed) wrap(_ tls.ConnectionState, state *tls.SessionState) ([]byte, error) {
	state.Extra = append(state.Extra, s.extra)
	data, err := state.Bytes()
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, s.aead.NonceSize(), s.aead.NonceSize()+len(data)+s.aead.Overhead())
	rand.Read(nonce)
	return s.aead.Seal(nonce, nonce, data, s.binding[:]), nil
}

func (s *sealed) unwrap(ticket []byte, _ tls.ConnectionState) (*tls.SessionState, error) {
	if len(ticket) < s.aead.NonceSize() {
		return nil, nil
	}
	data, err := s.aead.Open(nil, ticket[:s.aead.NonceSize()], ticket[s.aead.NonceSize():], s.binding[:])
	if err != nil {
		return nil, nil
	}
	return tls.ParseSessionState(data)
}

func (s *sealed) attach(c *tls.Config) { c.WrapSession, c.UnwrapSession = s.wrap, s.unwrap }

// BenchmarkSession is a ticket taken and another one issued, without TLS around
// it.
func BenchmarkSession(b *testing.B) {
	state, cs := handshaken(b)
	cs.DidResume = true

	b.Run("stored", func(b *testing.B) {
		store := New(Options{})
		first := store.For([32]byte{})
		conf := &tls.Config{ClientAuth: tls.RequireAnyClientCert}
		first.Attach(conf)
		full := cs
		full.DidResume = false
		ticket, err := conf.WrapSession(full, state)
		if err != nil {
			b.Fatal(err)
		}
		first.Complete(true)
		b.ReportAllocs()
		for b.Loop() {
			session := store.For([32]byte{})
			session.Attach(conf)
			resumed, err := conf.UnwrapSession(ticket, cs)
			if err != nil || resumed == nil {
				b.Fatal(resumed, err)
			}
			if ticket, err = conf.WrapSession(cs, resumed); err != nil {
				b.Fatal(err)
			}
			session.Complete(true)
		}
		b.ReportMetric(float64(len(ticket)), "ticket-B")
	})
	b.Run("sealed", func(b *testing.B) {
		s := newSealed()
		ticket, err := s.wrap(cs, state)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			resumed, err := s.unwrap(ticket, cs)
			if err != nil || resumed == nil {
				b.Fatal(resumed, err)
			}
			resumed.Extra = nil
			if ticket, err = s.wrap(cs, resumed); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(len(ticket)), "ticket-B")
	})
}

// BenchmarkHandshake is whole connections over loopback, client and server in
// one process: full, and resumed by each kind of ticket. cpu-µs is of both
// ends; up-B and down-B are what travels to and from the server.
func BenchmarkHandshake(b *testing.B) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, kind := range []string{"full", "crypto-tls", "sealed", "stored"} {
			b.Run(fmt.Sprintf("%s/%s", tls.VersionName(version), kind), func(b *testing.B) {
				e := serve(b, Options{})
				e.verify = func(tls.ConnectionState) error { return nil }
				other := newSealed()
				var builtin tls.Config
				builtin.SetSessionTicketKeys([][32]byte{{1}})
				switch kind {
				case "sealed":
					e.attached = other.attach
				case "crypto-tls":
					e.attached = func(c *tls.Config) {
						c.WrapSession = func(_ tls.ConnectionState, s *tls.SessionState) ([]byte, error) {
							return builtin.EncryptTicket(tls.ConnectionState{}, s)
						}
						c.UnwrapSession = builtin.DecryptTicket
					}
				}
				conf := client(version, people().alice)
				if kind == "full" {
					conf.ClientSessionCache = nil
				}
				var up, down atomic.Int64
				connect := func() outcome {
					raw, err := net.Dial("tcp", e.listener.Addr().String())
					if err != nil {
						b.Fatal(err)
					}
					c := tls.Client(&counted{raw, &up, &down}, conf)
					if n, err := c.Read(make([]byte, 1)); n != 1 {
						b.Fatal(err)
					}
					c.Close()
					return <-e.outcomes
				}
				connect()
				up.Store(0)
				down.Store(0)
				before := cpu(b)
				b.ReportAllocs()
				for b.Loop() {
					if o := connect(); o.err != nil || o.resumed != (kind != "full") {
						b.Fatalf("%+v", o)
					}
				}
				b.ReportMetric(float64((cpu(b)-before).Microseconds())/float64(b.N), "cpu-µs/op")
				b.ReportMetric(float64(up.Load())/float64(b.N), "up-B/op")
				b.ReportMetric(float64(down.Load())/float64(b.N), "down-B/op")
			})
		}
	}
}

type counted struct {
	net.Conn
	up, down *atomic.Int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.down.Add(int64(n))
	return n, err
}

func (c *counted) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.up.Add(int64(n))
	return n, err
}

func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
