package health

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"syscall"
	"time"

	"github.com/sallyport/sallyport/edge/accesslog"
	"github.com/sallyport/sallyport/edge/config"
)

// prober asks targets, each time on a new connection, as that a target takes new
// ones is part of what is asked. It follows no redirect and reads no body but what
// is in front of gRPC's status.
type prober struct {
	version config.ProtocolVersion
	path    string
	codes   config.StatusCodes
	timeout time.Duration
	tls     *tls.Config
	http2   *http.Transport // makes connections of HTTP/2; it keeps none
}

const (
	// userAgent is ALB's: applications know it, and leave it out of their logs.
	userAgent = "ELB-HealthChecker/2.0"
	// maxHead bounds a response's head, and maxMessage what gRPC may say before its
	// status. Nobody authenticates a target by http.
	maxHead    = 64 << 10
	maxMessage = 64 << 10
	// maxInterim is how many 1xx responses may come before the real one.
	maxInterim = 16
)

// newProber makes one for a group whose checks are on; for another, one that is
// never called.
func newProber(cfg config.TargetGroup, base *tls.Config) (*prober, error) {
	if !cfg.HealthCheck.Enabled {
		return &prober{}, nil
	}
	codes, err := config.ParseMatcher(cfg.HealthCheck.Matcher, cfg.ProtocolVersion == config.GRPC)
	if err != nil {
		return nil, fmt.Errorf("matcher %w", err)
	}
	p := &prober{version: cfg.ProtocolVersion, path: cfg.HealthCheck.Path, codes: codes, timeout: cfg.HealthCheck.Timeout.Std()}
	if base == nil {
		base = &tls.Config{MinVersion: tls.VersionTLS12, ServerName: cfg.HTTPS.ServerName}
	}
	p.tls = base.Clone()
	p.tls.ClientSessionCache = nil // each check is to see the certificate
	p.tls.NextProtos = []string{"http/1.1"}
	if p.version == config.HTTP2 || p.version == config.GRPC {
		p.tls.NextProtos = []string{"h2"}
		p.http2 = newHTTP2()
	}
	return p, nil
}

// check asks m once.
func (p *prober) check(ctx context.Context, m *member) result {
	r := result{began: time.Now()}
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	err := p.ask(ctx, m, &r)
	r.took = time.Since(r.began)
	p.judge(&r, err)
	return r
}

// ask gets the status of m into r. An error is that there is none.
func (p *prober) ask(ctx context.Context, m *member, r *result) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", m.address)
	if err != nil {
		return err
	}
	defer conn.Close()
	r.from = conn.LocalAddr().(*net.TCPAddr).AddrPort().Addr().Unmap()
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })()
	if m.scheme == "https" {
		cfg := p.tls
		if cfg.ServerName == "" {
			cfg = cfg.Clone()
			cfg.ServerName = m.host
		}
		secure := tls.Client(conn, cfg)
		if err := secure.HandshakeContext(ctx); err != nil {
			return err
		}
		conn = secure
		if got := secure.ConnectionState().NegotiatedProtocol; p.http2 != nil && got != "h2" {
			return fmt.Errorf("target agreed on protocol %q in TLS: want h2", got)
		}
	}
	if p.http2 != nil {
		return p.askHTTP2(ctx, conn, m, r)
	}
	return p.askHTTP1(conn, m, r)
}

// authority is what Host says: m's, without the scheme's own port.
func (m *member) authority() string {
	host, port, _ := net.SplitHostPort(m.address)
	if m.scheme == "http" && port != "80" || m.scheme == "https" && port != "443" {
		return m.address
	}
	if addr, err := netip.ParseAddr(host); err == nil && addr.Is6() {
		return "[" + host + "]"
	}
	return host
}

func (p *prober) askHTTP1(conn net.Conn, m *member, r *result) error {
	request := "GET " + p.path + " HTTP/1.1\r\nHost: " + m.authority() + "\r\nConnection: close\r\nUser-Agent: " + userAgent + "\r\n\r\n"
	if _, err := io.WriteString(conn, request); err != nil {
		return err
	}
	limited := &io.LimitedReader{R: conn, N: maxHead}
	code, err := readStatus(bufio.NewReader(limited))
	if err != nil && limited.N <= 0 {
		err = fmt.Errorf("response head is larger than %d bytes", maxHead)
	}
	r.code, r.answered = code, err == nil
	return err
}

// readStatus reads up to the head of the final response.
func readStatus(from *bufio.Reader) (int, error) {
	for range maxInterim {
		response, err := http.ReadResponse(from, &http.Request{Method: http.MethodGet})
		switch {
		case err != nil:
			return 0, fmt.Errorf("read response: %w", err)
		case response.StatusCode >= 200 || response.StatusCode == http.StatusSwitchingProtocols:
			return response.StatusCode, nil
		}
	}
	return 0, errors.New("read response: too many 1xx responses")
}

// judge says what err or the status in r means.
func (p *prober) judge(r *result, err error) {
	switch {
	case err != nil:
		r.code, r.answered, r.detail = 0, false, err.Error()
		r.reason = reasonOfError(err)
	case p.codes.Has(r.code):
		r.pass = true
	case p.version == config.GRPC:
		r.reason, r.detail = accesslog.CheckGRPCUnexpectedStatus, fmt.Sprintf("gRPC status %d", r.code)
	case r.code >= 500:
		r.reason, r.detail = accesslog.CheckTargetError, fmt.Sprintf("status code %d", r.code)
	default:
		r.reason, r.detail = accesslog.CheckResponseCodeMismatch, fmt.Sprintf("status code %d", r.code)
	}
}

var errNoStatus = errors.New("response without grpc-status")

func reasonOfError(err error) string {
	var timeout net.Error
	switch {
	case errors.Is(err, errNoStatus):
		return accesslog.CheckGRPCStatusHeaderEmpty
	case isOurs(err):
		return accesslog.CheckInternalError
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return accesslog.CheckTimedOut
	}
	return accesslog.CheckConnectionReset
}

// isOurs says whether it is this host that could not connect: it had no file
// descriptor, port or memory left.
func isOurs(err error) bool {
	for _, errno := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EADDRNOTAVAIL} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}
