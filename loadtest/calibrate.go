package loadtest

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"golang.org/x/net/http2"
)

//lint:file-ignore SA1019 net/http takes no connection that has made its handshake

const (
	calibrationTime   = 1500 * time.Millisecond
	calibrationWarmUp = 300 * time.Millisecond
)

// calibrate returns how many units a second the generator reaches against a
// server of its own that does nothing but TLS. The two share the process and its
// cores, so that it could do more against one elsewhere: a rate far below it is
// the server's, one near it need not be.
func calibrate(ctx context.Context, p Plan) (float64, error) {
	s, err := newIdleServer(p)
	if err != nil {
		return 0, fmt.Errorf("calibrate: %w", err)
	}
	defer s.end()
	p.Pace, p.Duration, p.WarmUp, p.Count = Pace{}, calibrationTime, calibrationWarmUp, MaxCount
	p.PID, p.ExpectRefusal, p.ExpectStatus = 0, false, http.StatusOK
	p.ServerName, p.Roots = s.name, s.roots
	e, err := newEngine(ctx, p, s.address)
	if err != nil {
		return 0, fmt.Errorf("calibrate: %w", err)
	}
	r, err := e.run(nil)
	if err != nil {
		return 0, fmt.Errorf("calibrate: %w", err)
	}
	if r.Units.Done == 0 && len(r.Errors) > 0 {
		return 0, fmt.Errorf("calibrate: no unit was done: %s", r.Errors[0].Example)
	}
	return r.Units.Rate, nil
}

// idleServer answers every request with nothing.
type idleServer struct {
	listener net.Listener
	address  netip.AddrPort
	name     string
	roots    *x509.CertPool
	serving  sync.WaitGroup
	mu       sync.Mutex
	open     map[net.Conn]bool
}

func newIdleServer(p Plan) (*idleServer, error) {
	s := &idleServer{name: "calibration.invalid", roots: x509.NewCertPool(), open: map[net.Conn]bool{}}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: s.name}, DNSNames: []string{s.name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	s.roots.AddCert(leaf)
	cfg := &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}},
		ClientAuth:   tls.RequestClientCert,
		NextProtos:   p.ALPN,
	}
	if len(cfg.NextProtos) == 0 {
		cfg.NextProtos = []string{"h2", "http/1.1"}
	}
	if s.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, err
	}
	s.address = s.listener.Addr().(*net.TCPAddr).AddrPort()
	s.serving.Go(func() {
		for {
			raw, err := s.listener.Accept()
			if err != nil {
				return
			}
			s.serving.Go(func() { s.serve(raw, cfg) })
		}
	})
	return s, nil
}

// end closes all and returns when nothing is served any more.
func (s *idleServer) end() {
	s.listener.Close()
	s.mu.Lock()
	for c := range s.open {
		c.Close()
	}
	s.open = nil
	s.mu.Unlock()
	s.serving.Wait()
}

func (s *idleServer) serve(raw net.Conn, cfg *tls.Config) {
	defer raw.Close()
	s.mu.Lock()
	over := s.open == nil
	if !over {
		s.open[raw] = true
	}
	s.mu.Unlock()
	if over {
		return
	}
	defer func() {
		s.mu.Lock()
		delete(s.open, raw)
		s.mu.Unlock()
	}()
	conn := tls.Server(raw, cfg)
	if conn.Handshake() != nil {
		return
	}
	defer conn.Close()
	if conn.ConnectionState().NegotiatedProtocol == "h2" {
		(&http2.Server{}).ServeConn(conn, &http2.ServeConnOpts{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
		})})
		return
	}
	in := bufio.NewReaderSize(conn, 32<<10)
	for skipRequest(in) == nil {
		if _, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"); err != nil {
			return
		}
	}
}

// skipRequest reads one of the generator's own requests.
func skipRequest(in *bufio.Reader) error {
	var length int64
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return err
		}
		if line = bytes.TrimRight(line, "\r\n"); len(line) == 0 {
			break
		}
		const name = "content-length:"
		if len(line) > len(name) && isName(line[:len(name)-1], name[:len(name)-1]) {
			if length, err = strconv.ParseInt(string(trim(line[len(name):])), 10, 64); err != nil {
				return errors.New("read request: bad length")
			}
		}
	}
	_, err := in.Discard(int(length))
	return err
}
