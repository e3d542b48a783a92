package fetch

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"syscall"
	"time"
)

// Network is how the outside is reached, with everything refused that a URL out
// of a certificate could be meant to reach: loopback, link-local, private and
// shared addresses, metadata services, multicast, the unspecified and the
// reserved ones, also where an IPv6 address (mapped, 6to4, NAT64 with the
// well-known prefix) stands for such an IPv4 address. What is judged is the address that is connected to, at the
// moment it is: neither a name that resolves to something else the second time
// nor a redirect leads around it.
type Network struct {
	// Allow are prefixes that may be connected to although they are refused by
	// default: say 10.1.2.0/24, where the company's own CA publishes.
	Allow []netip.Prefix

	// Roots verify https servers; nil: the system's.
	Roots *x509.CertPool

	// Resolver looks names up; nil: the system's.
	Resolver *net.Resolver

	// ConnectTimeout is for the look-up of a name and the connection, and again
	// for the TLS handshake. 0: 10 s.
	ConnectTimeout time.Duration

	// IdleTimeout is how long the other side may be silent at any moment. 0: 30 s.
	IdleTimeout time.Duration
}

const (
	defaultConnectTimeout = 10 * time.Second
	defaultIdleTimeout    = 30 * time.Second
	maxHeader             = 64 << 10
	maxRedirects          = 2
)

// Client makes a client for that network. It speaks HTTP/1.1, keeps neither
// connections nor cookies, asks for no compression and undoes none, follows at
// most two redirects with the method unchanged, and has no timeout for a whole
// exchange: give each request a context with a deadline.
func (n Network) Client() *http.Client {
	if n.ConnectTimeout == 0 {
		n.ConnectTimeout = defaultConnectTimeout
	}
	if n.IdleTimeout == 0 {
		n.IdleTimeout = defaultIdleTimeout
	}
	dialer := &net.Dialer{Timeout: n.ConnectTimeout, Resolver: n.Resolver, Control: n.control}
	return &http.Client{
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				conn, err := dialer.DialContext(ctx, network, address)
				if err != nil {
					return nil, err
				}
				return &impatient{conn, n.IdleTimeout}, nil
			},
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: n.Roots},
			TLSHandshakeTimeout:    n.ConnectTimeout,
			ResponseHeaderTimeout:  n.IdleTimeout,
			MaxResponseHeaderBytes: maxHeader,
			DisableKeepAlives:      true,
			DisableCompression:     true,
		},
		CheckRedirect: checkRedirect,
	}
}

// control runs between socket() and connect(), with the address in numbers.
func (n Network) control(network, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil || network != "tcp4" && network != "tcp6" {
		return fmt.Errorf("address %s %s is refused: want TCP to an IP address and port", network, address)
	}
	return checkAddress(to.Addr(), n.Allow)
}

func checkRedirect(next *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return fmt.Errorf("more than %d redirects", maxRedirects)
	}
	first, last := via[0], via[len(via)-1]
	if last.URL.Scheme == "https" && next.URL.Scheme != "https" {
		return fmt.Errorf("redirect from https to %s is refused", next.URL.Scheme)
	}
	if next.Method != first.Method {
		return fmt.Errorf("redirect makes %s of a %s", next.Method, first.Method)
	}
	next.Header.Del("Referer") // whom else we ask is nobody's business
	return CheckURL(next.URL)
}

// CheckURL is an error unless u is one that can be fetched: http or https, a host,
// neither a user name nor a password.
func CheckURL(u *url.URL) error {
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("scheme %q: want http or https", u.Scheme)
	case u.User != nil:
		return errors.New("URL has a user name or password: want none")
	case u.Hostname() == "":
		return errors.New("URL has no host")
	}
	return nil
}

// impatient is a connection whose other side may not be silent for too long.
type impatient struct {
	net.Conn
	timeout time.Duration
}

func (c *impatient) Read(b []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(c.timeout)); err != nil {
		return 0, err
	}
	return c.Conn.Read(b)
}

func (c *impatient) Write(b []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(c.timeout)); err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}
