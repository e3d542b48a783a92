package securitypolicy

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/edge/config"
)

// serverCertificates are one of each kind of key, so that no suite fails for want
// of a certificate.
var serverCertificates = sync.OnceValue(func() []tls.Certificate {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	ecdsaKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	var certificates []tls.Certificate
	for _, key := range []crypto.Signer{rsaKey, ecdsaKey} {
		template := &x509.Certificate{
			SerialNumber: big.NewInt(1),
			Subject:      pkix.Name{CommonName: "test"},
			DNSNames:     []string{"test"},
			NotBefore:    time.Now().Add(-time.Hour),
			NotAfter:     time.Now().Add(time.Hour),
		}
		der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
		if err != nil {
			panic(err)
		}
		certificates = append(certificates, tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key})
	}
	return certificates
})

// serve makes handshakes under p at the returned address until the test ends.
// Loopback, since a handshake with a HelloRetryRequest hangs over net.Pipe.
func serve(t *testing.T, p *Policy) string {
	t.Helper()
	server := &tls.Config{Certificates: serverCertificates(), SessionTicketsDisabled: true}
	p.Apply(server)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var handshakes sync.WaitGroup
	handshakes.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			handshakes.Go(func() {
				ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
				defer cancel()
				s := tls.Server(conn, server)
				if s.HandshakeContext(ctx) == nil {
					_ = s.Close()
				}
				_ = conn.Close()
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		handshakes.Wait()
	})
	return l.Addr().String()
}

// accepts says whether the server makes a handshake with a client that offers
// nothing but what is given. A failure that is not the server's refusal fails the
// test.
func accepts(t *testing.T, address string, version uint16, suites []uint16, curves []tls.CurveID) bool {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	client := tls.Client(conn, &tls.Config{
		ServerName:         "test",
		InsecureSkipVerify: true, // the certificate is not what is tested
		MinVersion:         version,
		MaxVersion:         version,
		CipherSuites:       suites,
		CurvePreferences:   curves,
	})
	err = client.HandshakeContext(ctx)
	if err == nil {
		return true
	}
	var alert *net.OpError
	if errors.As(err, &alert) && alert.Op == "remote error" {
		return false
	}
	t.Fatalf("%s with suites %x and groups %v: %v", VersionName(version), suites, curves, err)
	return false
}

// implemented are all suites of crypto/tls below TLS 1.3.
func implemented() []*tls.CipherSuite {
	return slices.DeleteFunc(slices.Concat(tls.CipherSuites(), tls.InsecureCipherSuites()), func(s *tls.CipherSuite) bool {
		return isTLS13(s.ID)
	})
}

// TestHandshakes asks every policy that can be had for every version, suite and
// group that crypto/tls has, one at a time.
func TestHandshakes(t *testing.T) {
	policies := []*Policy{}
	for _, name := range Names() {
		if p, err := Lookup(name); err == nil {
			policies = append(policies, p)
		}
	}
	if len(policies) != 22 {
		t.Errorf("%d policies can be had, want 22", len(policies))
	}
	for name, cfg := range map[string]config.SecurityPolicy{
		"old":    {Protocols: []string{"TLSv1.1", "TLSv1.0"}, CipherSuites: []string{"ECDHE-RSA-AES128-SHA", "AES256-SHA"}, Groups: []string{"P-256"}},
		"odd":    {Protocols: []string{"TLSv1.2"}, CipherSuites: []string{"ECDHE-RSA-CHACHA20-POLY1305", "AES128-SHA256"}, Groups: []string{"P-384", "P-521"}},
		"hybrid": {Protocols: []string{"TLSv1.3"}, Groups: []string{"SecP256r1MLKEM768"}},
	} {
		p, err := Custom(name, cfg)
		if err != nil {
			t.Fatal(err)
		}
		policies = append(policies, p)
	}
	for _, p := range policies {
		t.Run(p.Name, func(t *testing.T) {
			t.Parallel()
			address := serve(t, p)
			for version := uint16(tls.VersionTLS10); version <= tls.VersionTLS12; version++ {
				probeSuites(t, address, p, version)
			}
			probeTLS13Suites(t, address, p)
			probeGroups(t, address, p)
		})
	}
}

func probeSuites(t *testing.T, address string, p *Policy, version uint16) {
	for _, suite := range implemented() {
		if !slices.Contains(suite.SupportedVersions, version) {
			continue // TestHandshakes would only learn that the client cannot
		}
		want := p.MinVersion <= version && version <= p.MaxVersion && slices.Contains(p.CipherSuites, suite.ID)
		if got := accepts(t, address, version, []uint16{suite.ID}, classicalGroups); got != want {
			t.Errorf("%s with %s: got %v, want %v", VersionName(version), CipherSuiteName(suite.ID), got, want)
		}
	}
}

func probeGroups(t *testing.T, address string, p *Policy) {
	for _, g := range groups {
		hybrid := slices.Contains(hybridGroups, g.id)
		want := p.MaxVersion == tls.VersionTLS13 && slices.Contains(p.Curves, g.id)
		if got := accepts(t, address, tls.VersionTLS13, nil, []tls.CurveID{g.id}); got != want {
			t.Errorf("TLSv1.3 with group %s: got %v, want %v", GroupName(g.id), got, want)
		}
		below := min(p.MaxVersion, tls.VersionTLS12)
		if p.MinVersion > below || hybrid {
			continue
		}
		// RSA suites need no group. Nor does the server care which of its ECDHE
		// suites it is, nor which certificate.
		ecdhe := []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256}
		want = slices.Contains(p.Curves, g.id)
		if got := accepts(t, address, below, ecdhe, []tls.CurveID{g.id}); got != want {
			t.Errorf("%s with group %s: got %v, want %v", VersionName(below), GroupName(g.id), got, want)
		}
	}
}

// probeTLS13Suites sends ClientHellos in which all suites but one are blotted
// out, since a tls.Client always offers all three, and looks at the ServerHello.
func probeTLS13Suites(t *testing.T, address string, p *Policy) {
	for _, c := range ciphers[:tls13Suites] {
		want := uint16(0)
		if slices.Contains(p.CipherSuites, c.id) {
			want = c.id
		}
		got, err := negotiated(address, clientHello(t, p, c.id))
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if got != want {
			t.Errorf("TLSv1.3 with %s: got %#04x, want %#04x", c.name, got, want)
		}
	}
}

var errRecorded = errors.New("recorded")

// recorder is a connection that keeps the first thing written to it.
type recorder struct {
	net.Conn
	written []byte
}

func (r *recorder) Write(b []byte) (int, error) {
	r.written = append(r.written, b...)
	return 0, errRecorded
}

func (*recorder) SetWriteDeadline(time.Time) error { return nil }

// Offsets in a record that holds a hello (RFC 8446, sections 4.1.2 and 5.1):
// record header, handshake header, version, random, then the session ID.
const helloSessionID = 5 + 4 + 2 + 32

func clientHello(t *testing.T, p *Policy, only uint16) []byte {
	t.Helper()
	conn := &recorder{}
	client := tls.Client(conn, &tls.Config{ServerName: "test", MinVersion: tls.VersionTLS13, CurvePreferences: p.Curves})
	if err := client.HandshakeContext(t.Context()); !errors.Is(err, errRecorded) {
		t.Fatal(err)
	}
	hello := conn.written
	at := helloSessionID
	at += 1 + int(hello[at])
	n := int(binary.BigEndian.Uint16(hello[at:]))
	kept := 0
	for suites := hello[at+2 : at+2+n]; len(suites) > 0; suites = suites[2:] {
		if binary.BigEndian.Uint16(suites) == only {
			kept++
			continue
		}
		binary.BigEndian.PutUint16(suites, 0x0A0A) // reserved to mean nothing, by RFC 8701
	}
	if kept != 1 {
		t.Fatalf("ClientHello offers %#04x %d times", only, kept)
	}
	return hello
}

// negotiated returns the suite that the server's answer to hello chooses, or zero
// if the server refuses it.
func negotiated(address string, hello []byte) (uint16, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return 0, err
	}
	if _, err := conn.Write(hello); err != nil {
		return 0, err
	}
	header := make([]byte, 5)
	if _, err := io.ReadFull(conn, header); err != nil {
		return 0, err
	}
	const alert, handshake = 21, 22
	record := make([]byte, 5+int(binary.BigEndian.Uint16(header[3:])))
	if _, err := io.ReadFull(conn, record[5:]); err != nil {
		return 0, err
	}
	switch header[0] {
	case alert:
		return 0, nil
	case handshake:
		at := helloSessionID
		at += 1 + int(record[at])
		return binary.BigEndian.Uint16(record[at:]), nil
	}
	return 0, fmt.Errorf("record of type %d", header[0])
}

// TestZeroPolicyOffersNothing: one forgotten must not open the way.
func TestZeroPolicyOffersNothing(t *testing.T) {
	for name, p := range map[string]*Policy{
		"zero":      {},
		"no groups": {MinVersion: v12, MaxVersion: v13, CipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}},
		"no limits": {CipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}, Curves: classicalGroups},
	} {
		t.Run(name, func(t *testing.T) {
			address := serve(t, p)
			for version := uint16(tls.VersionTLS10); version <= tls.VersionTLS13; version++ {
				if accepts(t, address, version, nil, nil) {
					t.Errorf("%s is accepted", VersionName(version))
				}
			}
		})
	}
}
