package health

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/sallyport/sallyport/edge/accesslog"
	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/http1"
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
func (p *prober) check(ctx context.Context, m *checker) result {
	r := result{began: time.Now()}
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	err := p.ask(ctx, m, &r)
	r.took = time.Since(r.began)
	p.judge(&r, err)
	return r
}

// ask gets the status of m into r. An error is that there is none.
func (p *prober) ask(ctx context.Context, m *checker, r *result) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", m.address)
	if err != nil {
		r.tried(err)
		return err
	}
	defer conn.Close()
	r.from, r.to = addrPort(conn.LocalAddr()).Addr(), addrPort(conn.RemoteAddr())
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

// tried keeps where a connect that failed went to, and came from: that socket is
// gone, but one of UDP, on which nothing is sent, has the same address.
func (r *result) tried(err error) {
	var failed *net.OpError
	if !errors.As(err, &failed) || failed.Op != "dial" || failed.Addr == nil {
		return // it has no address: its name was not found
	}
	if r.to = addrPort(failed.Addr); !r.to.IsValid() {
		return
	}
	if conn, err := net.Dial("udp", r.to.String()); err == nil {
		r.from = addrPort(conn.LocalAddr()).Addr()
		conn.Close()
	}
}

// addrPort is an address of TCP or UDP; not valid, if it is another.
func addrPort(a net.Addr) netip.AddrPort {
	if a, ok := a.(interface{ AddrPort() netip.AddrPort }); ok {
		return netip.AddrPortFrom(a.AddrPort().Addr().Unmap(), a.AddrPort().Port())
	}
	return netip.AddrPort{}
}

// authority is what Host says: m's, without the scheme's own port.
func (m *checker) authority() string {
	host, port, _ := net.SplitHostPort(m.address)
	if m.scheme == "http" && port != "80" || m.scheme == "https" && port != "443" {
		return m.address
	}
	if addr, err := netip.ParseAddr(host); err == nil && addr.Is6() {
		return "[" + host + "]"
	}
	return host
}

func (p *prober) askHTTP1(conn net.Conn, m *checker, r *result) error {
	request := "GET " + p.path + " HTTP/1.1\r\nHost: " + m.authority() + "\r\nConnection: close\r\nUser-Agent: " + userAgent + "\r\n\r\n"
	if _, err := io.WriteString(conn, request); err != nil {
		return err
	}
	code, err := readStatus(conn)
	r.code, r.answered = code, err == nil
	return err
}

// version1 is what a response begins with.
const version1 = "HTTP/1."

var heads = sync.Pool{New: func() any { return new([http1.MaxResponseHead]byte) }}

// readStatus reads up to the head of the final response, as strictly as that to a
// request is read: what could not be passed on is no answer.
func readStatus(from io.Reader) (int, error) {
	room := heads.Get().(*[http1.MaxResponseHead]byte)
	defer heads.Put(room)
	b, end := room[:], 0
	var scan http1.Scanner
	for seen := 0; seen < maxInterim; {
		n, oversized := scan.End(b[:end], http1.MaxResponseHead, http1.MaxResponseHead)
		switch {
		case oversized || n == 0 && end == len(b):
			return 0, fmt.Errorf("read response: head is larger than %d bytes", http1.MaxResponseHead)
		case n == 0:
			more, err := from.Read(b[end:])
			end += more
			switch begun := b[:min(end, len(version1))]; {
			case more == 0 && err != nil:
				return 0, fmt.Errorf("read response: %w", err)
			case string(begun) != version1[:len(begun)]: // it may say no more
				return 0, errors.New("read response: no HTTP/1")
			}
			continue
		}
		var r http1.Response
		if err := r.Parse(b[:n], http.MethodGet); err != nil {
			return 0, err
		}
		if r.Status >= 200 || r.Status == http.StatusSwitchingProtocols {
			return r.Status, nil
		}
		end = copy(b, b[n:end])
		scan, seen = http1.Scanner{}, seen+1
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
