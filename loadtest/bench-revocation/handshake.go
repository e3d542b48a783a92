package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/sallyport/sallyport/loadtest/benchmark"
)

// body is what every server answers to every request.
const body = "admitted\n"

// stall is how long a handshake may take before it counts as failed; nginx goes
// through a CRL of a million entries in each.
const stall = 30 * time.Second

const request = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"

// handshake makes a connection with a full handshake and one small request, and
// returns without an error if the server has let the client in. The answer is
// needed to know: in TLS 1.3 the client has done its part before the server has
// looked at its certificate.
func handshake(ctx context.Context, c *clients, cert tls.Certificate, address string) error {
	ctx, cancel := context.WithTimeout(ctx, stall)
	defer cancel()
	var dialer net.Dialer
	raw, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer raw.Close()
	defer context.AfterFunc(ctx, func() { raw.Close() })()
	conn := tls.Client(raw, &tls.Config{
		RootCAs: c.roots, Certificates: []tls.Certificate{cert}, ServerName: "localhost",
		MinVersion: tls.VersionTLS13, CurvePreferences: []tls.CurveID{tls.X25519}, NextProtos: []string{"http/1.1"},
	})
	if err := conn.HandshakeContext(ctx); err != nil {
		return err
	}
	if _, err := io.WriteString(conn, request); err != nil {
		return err
	}
	answer, err := io.ReadAll(io.LimitReader(conn, 64<<10))
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(answer, []byte("HTTP/1.1 200 ")) || !bytes.HasSuffix(answer, []byte("\r\n\r\n"+body)) {
		return fmt.Errorf("answer %q: want status 200 and %q", answer, body)
	}
	return nil
}

// server is one that consults a CRL in each handshake.
type server struct {
	name    string
	address string
	process *benchmark.Process
	start   time.Duration // from its start until it let the first client in
}

// await waits for the server's first answer.
func (s *server) await(ctx context.Context, c *clients) (err error) {
	s.start, err = awaitAnswer(ctx, s.process, func(ctx context.Context) error {
		return handshake(ctx, c, c.good, s.address)
	})
	return err
}

// prove checks that the server does what it is measured for.
func (s *server) prove(ctx context.Context, c *clients) error {
	if err := handshake(ctx, c, c.revoked, s.address); err == nil {
		return errors.New("it let a revoked client in")
	}
	// After the refusal, so that a dead server does not pass for a strict one.
	return handshake(ctx, c, c.good, s.address)
}

// leastCPU is what a window must have cost the server, so that a tick lost at
// either end is 2.5 percent at most.
const leastCPU = 40 * tick

// settle is waited for before CPU time is read, so that what follows a handshake
// (closing, logging) is counted in its window.
const settle = 30 * time.Millisecond

// measureHandshakes returns the server's CPU time for one: of so many, and of as
// many more as it takes for the clock to tell.
func (s *server) measureHandshakes(ctx context.Context, c *clients, least int) (time.Duration, error) {
	for range min(least, 20) { // so that caches and pools are full
		if err := handshake(ctx, c, c.good, s.address); err != nil {
			return 0, err
		}
	}
	time.Sleep(settle)
	before, err := groupCPU(s.process.PID)
	if err != nil {
		return 0, err
	}
	for done := 0; ; {
		for range least {
			if err := handshake(ctx, c, c.good, s.address); err != nil {
				return 0, err
			}
		}
		done += least
		time.Sleep(settle)
		after, err := groupCPU(s.process.PID)
		if err != nil {
			return 0, err
		}
		if used := after - before; used >= leastCPU {
			return used / time.Duration(done), nil
		}
	}
}
