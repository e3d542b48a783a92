package edge

import (
	"crypto/tls"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mholt/acmez/v3/acme"

	"github.com/sallyport/sallyport/edge/reason"
	"github.com/sallyport/sallyport/loadtest/pki"
)

// challenged is an edge on which a check of each kind is under way for
// shop.example, as another process on the same state would have begun it.
func challenged(t *testing.T) *rig {
	r := newRig(t)
	for kind, name := range map[string]string{"tls-alpn-01": "shop.example", "http-01": "the-token"} {
		challenge := acme.Challenge{Type: kind, Token: "the-token", KeyAuthorization: "the-token.thumbprint", Identifier: acme.Identifier{Type: "dns", Value: "shop.example"}}
		text := pki.Must(json.Marshal(map[string]any{"since": time.Now(), "challenge": challenge}))
		dir := filepath.Join(r.dir, "state", "certificates", "challenges", kind)
		if err := errors.Join(os.MkdirAll(dir, 0o700), os.Chmod(filepath.Join(r.dir, "state"), 0o700)); err != nil {
			t.Fatal(err)
		}
		r.write(filepath.Join("state", "certificates", "challenges", kind, name), text)
	}
	r.start(verifying() + `
  plain:
    address: "127.0.0.2:0"
    protocol: http
    default_action: {fixed_response: {status_code: 404, message_body: "mine: no"}}
`)
	return r
}

// TestACMEProtocol: a client that speaks acme-tls/1 gets the answer to a challenge,
// and nothing else.
func TestACMEProtocol(t *testing.T) {
	r := challenged(t)
	dial := func(name string, protocols ...string) (*tls.Conn, error) {
		asked := false
		raw := pki.Must(net.DialTimeout("tcp", r.address("verify"), patience))
		t.Cleanup(func() { raw.Close() })
		raw.SetDeadline(time.Now().Add(patience))
		conn := tls.Client(raw, &tls.Config{ServerName: name, NextProtos: protocols, InsecureSkipVerify: true,
			GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
				asked = true
				return &tls.Certificate{}, nil
			}})
		err := conn.Handshake()
		if err == nil && asked {
			return conn, errors.New("asked for a certificate")
		}
		return conn, err
	}

	conn, err := dial("Shop.Example", "acme-tls/1")
	if err != nil {
		t.Fatal(err)
	}
	state := conn.ConnectionState()
	leaf := state.PeerCertificates[0]
	proof := slices.ContainsFunc(leaf.Extensions, func(e pkix.Extension) bool {
		return e.Critical && e.Id.Equal(asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 31})
	})
	if state.NegotiatedProtocol != "acme-tls/1" || !proof || !slices.Equal(leaf.DNSNames, []string{"shop.example"}) {
		t.Errorf("protocol %q, certificate for %q, with proof: %v", state.NegotiatedProtocol, leaf.DNSNames, proof)
	}
	begun := time.Now().Add(-time.Minute)
	fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n") // may fail: the edge has closed
	if text, _ := io.ReadAll(conn); len(text) > 0 {
		t.Errorf("the edge answers: %q", text)
	}
	record := r.recordOf(conn.LocalAddr(), begun)
	if record.Status != reason.AcmeChallenge || record.ALPN != "acme-tls/1" || record.Authenticated {
		t.Errorf("logged as %+v", record)
	}

	for _, test := range []struct {
		what, name string
		protocols  []string
		want       string
	}{
		{"a name that no CA checks", "other.example", []string{"acme-tls/1"}, "no application protocol"},
		{"no name", "", []string{"acme-tls/1"}, "no application protocol"},
		{"a name that is a path", "../http-01/the-token", []string{"acme-tls/1"}, "no application protocol"},
		{"another protocol beside it", "shop.example", []string{"acme-tls/1", "http/1.1"}, "asked for a certificate"},
		{"another protocol", "shop.example", []string{"http/1.1"}, "asked for a certificate"},
	} {
		if _, err := dial(test.name, test.protocols...); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.what, err, test.want)
		}
	}
}

// TestHTTPChallenge: a plain listener answers a CA before its action does.
func TestHTTPChallenge(t *testing.T) {
	r := challenged(t)
	address := r.address("plain")
	for _, test := range []struct {
		method, host, path, want string
		status                   int
	}{
		{"GET", "shop.example", "/.well-known/acme-challenge/the-token", "the-token.thumbprint", 200},
		{"GET", "SHOP.example:80", "/.well-known/acme-challenge/the-token?x", "the-token.thumbprint", 200},
		{"HEAD", "shop.example", "/.well-known/acme-challenge/the-token", "", 200},
		{"POST", "shop.example", "/.well-known/acme-challenge/the-token", "mine: no", 404},
		{"GET", "other.example", "/.well-known/acme-challenge/the-token", "mine: no", 404},
		{"GET", "shop.example", "/.well-known/acme-challenge/other", "mine: no", 404},
		{"GET", "shop.example", "/.well-known/acme-challenge/", "mine: no", 404},
		{"GET", "shop.example", "/.well-known/acme-challenge/%2e%2e/tls-alpn-01/shop.example", "mine: no", 404},
		{"GET", "shop.example", "/x/.well-known/acme-challenge/the-token", "mine: no", 404},
	} {
		request := pki.Must(http.NewRequest(test.method, "http://"+address, nil))
		request.URL.Opaque = test.path
		request.Host = test.host
		response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(response.Body)
		response.Body.Close()
		if response.StatusCode != test.status || string(text) != test.want {
			t.Errorf("%s %s of %s: %d %q, want %d %q", test.method, test.path, test.host, response.StatusCode, text, test.status, test.want)
		}
	}
}
