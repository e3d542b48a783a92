package peers

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"time"
)

// stall is how long one exchange may take before it counts as failed.
const stall = 10 * time.Second

// serverName is the name in the servers' certificate.
const serverName = "localhost"

// forged is what the client would like to be taken for.
const forged = "CN=forged"

// client asks servers for what they have to prove, on a new connection each
// time. It makes no load.
type client struct {
	roots    *x509.CertPool
	certs    []tls.Certificate // that it presents
	sessions tls.ClientSessionCache
	http2    bool
}

func newClient(roots *x509.CertPool, certs ...tls.Certificate) *client {
	return &client{roots: roots, certs: certs, sessions: tls.NewLRUClientSessionCache(1)}
}

// get asks for a path with every identity header forged, and returns the body
// and how it came. Any status but 200 is an error.
func (c *client) get(ctx context.Context, address, path string) ([]byte, *tls.ConnectionState, error) {
	ctx, cancel := context.WithTimeout(ctx, stall)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+address+path, nil)
	if err != nil {
		return nil, nil, err
	}
	request.Host = hostAt(address)
	for _, name := range identityNames {
		request.Header.Set(identityName(name), forged)
	}
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{
			RootCAs:            c.roots,
			Certificates:       c.certs,
			ServerName:         serverName,
			MinVersion:         tls.VersionTLS13,
			ClientSessionCache: c.sessions,
		},
		DisableKeepAlives: true,
		Protocols:         new(http.Protocols),
	}
	transport.Protocols.SetHTTP1(!c.http2)
	transport.Protocols.SetHTTP2(c.http2)
	response, err := transport.RoundTrip(request)
	if err != nil {
		return nil, nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	if err != nil {
		return nil, nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, nil, fmt.Errorf("status %s", response.Status)
	}
	return body, response.TLS, nil
}
