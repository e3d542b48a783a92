package main

import (
	"crypto/tls"
	"net"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/loadtest/pki"
)

// TestFailHandshake has an attacker and a server meet: the server must have done
// its part, with a signature, before it fails.
func TestFailHandshake(t *testing.T) {
	ca := pki.Must(pki.NewRoot())
	server := pki.Must(ca.Issue(pki.Server("localhost")))
	hello, err := clientHello()
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	signed := false
	failed := make(chan error, 2)
	go func() {
		for range 2 { // the same ClientHello does for more than one
			conn, err := l.Accept()
			if err != nil {
				failed <- err
				return
			}
			c := tls.Server(conn, &tls.Config{
				ClientAuth: tls.RequireAnyClientCert,
				GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
					signed = true
					cert := server.TLSCertificate()
					return &cert, nil
				},
			})
			failed <- c.Handshake()
			c.Close()
		}
	}()
	for range 2 {
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if !failHandshake(conn, hello) {
			t.Error("the server did not answer")
		}
		if err := <-failed; err == nil || !strings.Contains(err.Error(), "bad record MAC") || !signed {
			t.Errorf("the server's handshake: %v, asked for its certificate: %t; want it failed by nonsense after that", err, signed)
		}
	}
}

func TestFailHandshakeUnanswered(t *testing.T) {
	ours, theirs := net.Pipe()
	go func() {
		_, _ = theirs.Read(make([]byte, 1<<12))
		_, _ = theirs.Write([]byte{21, 3, 3, 0, 2, 2, 40}) // an alert
		theirs.Close()
	}()
	if failHandshake(ours, []byte("hello")) {
		t.Error("an alert was taken for an answer")
	}
}
