package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"time"
)

// stall is how long a unit may take before it counts as failed.
const stall = 10 * time.Second

// request is one as a simple client sends it.
const request = "GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: bench-edge\r\nAccept: */*\r\n\r\n"

// client makes the load. It is safe for concurrent use.
type client struct {
	tls *tls.Config
}

// newClient returns a client that presents the good certificate with its
// intermediate. It never resumes a session, and offers one version, one group and
// one protocol, so that all servers do the same work.
func newClient(f *files) *client {
	return &client{tls: &tls.Config{
		RootCAs:          f.roots,
		Certificates:     []tls.Certificate{f.client},
		ServerName:       "localhost",
		MinVersion:       tls.VersionTLS13,
		CurvePreferences: []tls.CurveID{tls.X25519},
		NextProtos:       []string{"http/1.1"},
	}}
}

// conn is a client's connection on which a handshake has been completed, as far
// as the client can tell: the server may yet refuse its certificate.
type conn struct {
	tls    *tls.Conn
	reader *bufio.Reader
	forget func() bool
}

// dial connects to a server. When ctx ends, the connection breaks. reader is
// used for the connection from now on.
func (c *client) dial(ctx context.Context, address string, reader *bufio.Reader) (*conn, error) {
	dialer := net.Dialer{Timeout: stall}
	raw, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	forget := context.AfterFunc(ctx, func() { raw.Close() })
	conn := &conn{tls: tls.Client(raw, c.tls), reader: reader, forget: forget}
	if err := conn.handshake(); err != nil {
		conn.close()
		return nil, err
	}
	reader.Reset(conn.tls)
	return conn, nil
}

func (c *conn) handshake() error {
	if err := c.tls.SetDeadline(time.Now().Add(stall)); err != nil {
		return err
	}
	if err := c.tls.Handshake(); err != nil {
		return err
	}
	state := c.tls.ConnectionState()
	if state.Version != tls.VersionTLS13 || state.CurveID != tls.X25519 || state.DidResume {
		return fmt.Errorf("handshake is %s, %s, resumed %t: want a full one of TLS 1.3 with X25519",
			tls.VersionName(state.Version), state.CurveID, state.DidResume)
	}
	return nil
}

// roundTrip sends the request and reads the whole answer, which must be the
// backend's.
func (c *conn) roundTrip() error {
	if err := c.tls.SetDeadline(time.Now().Add(stall)); err != nil {
		return err
	}
	if _, err := c.tls.Write([]byte(request)); err != nil {
		return err
	}
	return readAnswer(c.reader)
}

func (c *conn) close() {
	c.forget()
	c.tls.Close()
}

// openHandshakes returns workers whose unit is a connection: handshake, one
// request, close.
func (c *client) openHandshakes(ctx context.Context, address string, workers int) ([]worker, func(), error) {
	all := make([]worker, workers)
	for i := range all {
		reader := bufio.NewReader(nil)
		all[i] = func() error {
			conn, err := c.dial(ctx, address, reader)
			if err != nil {
				return err
			}
			defer conn.close()
			return conn.roundTrip()
		}
	}
	return all, func() {}, nil
}

// openKeepAlive returns workers with a connection each, whose unit is a request
// on it, and a function that closes the connections.
func (c *client) openKeepAlive(ctx context.Context, address string, workers int) ([]worker, func(), error) {
	var conns []*conn
	closeAll := func() {
		for _, conn := range conns {
			conn.close()
		}
	}
	all := make([]worker, workers)
	for i := range all {
		conn, err := c.dial(ctx, address, bufio.NewReader(nil))
		if err != nil {
			closeAll()
			return nil, nil, err
		}
		conns = append(conns, conn)
		all[i] = conn.roundTrip
	}
	return all, closeAll, nil
}
