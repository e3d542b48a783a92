package edge

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/edge/reason"
	"github.com/sallyport/sallyport/loadtest/pki"
)

const byHost = `
trust_stores:
  clients: {ca_bundle: {file: ca.pem}}
  others: {ca_bundle: {file: other-ca.pem}}
listeners:
  verify:
    address: 127.0.0.1:0
    mutual_authentication: {mode: verify, trust_store: clients}
    hosts:
      open.example.com: {mutual_authentication: {mode: off}}
      "*.open.example.com": {mutual_authentication: {mode: off}}
      secure.open.example.com: {mutual_authentication: {mode: verify, trust_store: clients}}
      other.example.com: {mutual_authentication: {mode: verify, trust_store: others}}
      maybe.example.com: {mutual_authentication: {mode: optional, trust_store: clients}}
      chain.example.com: {mutual_authentication: {mode: passthrough}}
    default_action: {forward: app}
`

// hostRig runs byHost, with a client of each CA.
func hostRig(t *testing.T) (r *rig, client, other tls.Certificate) {
	r = newRig(t)
	otherCA := pki.Must(pki.NewRoot())
	r.write("other-ca.pem", otherCA.CertPEM())
	r.start(byHost)
	return r, pki.Must(r.ca.Issue(pki.CommonName("mine"))).TLSCertificate(), pki.Must(otherCA.Issue()).TLSCertificate()
}

// named is a client's configuration with a server name of its own.
func (r *rig) named(name string, cert *tls.Certificate) *tls.Config {
	conf := r.client(cert)
	conf.ServerName, conf.InsecureSkipVerify = name, true
	return conf
}

func TestAdmissionByServerName(t *testing.T) {
	r, client, other := hostRig(t)
	stranger := pki.Must(pki.SelfSigned()).TLSCertificate()
	for _, test := range []struct {
		sni  string
		cert *tls.Certificate
		want reason.Code
		told string // what the target is told, "" nothing
	}{
		{"default.example.com", &client, reason.Success, "X-Amzn-Mtls-Clientcert-Subject: CN=mine"},
		{"default.example.com", nil, reason.ClientCertMissing, ""},
		{"", nil, reason.ClientCertMissing, ""},
		{"open.example.com", nil, reason.Success, ""},
		{"OPEN.Example.COM", nil, reason.Success, ""},
		{"open.example.com", &stranger, reason.Success, ""},
		{"a.open.example.com", nil, reason.Success, ""},
		{"a.b.open.example.com", nil, reason.ClientCertMissing, ""},
		{"notopen.example.com", nil, reason.ClientCertMissing, ""},
		{"secure.open.example.com", nil, reason.ClientCertMissing, ""},
		{"other.example.com", &client, reason.ClientCertUntrusted, ""},
		{"other.example.com", &other, reason.Success, "X-Amzn-Mtls-Clientcert-Subject: CN="},
		{"maybe.example.com", nil, reason.Success, ""},
		{"maybe.example.com", &client, reason.Success, "X-Amzn-Mtls-Clientcert-Subject: CN=mine"},
		{"maybe.example.com", &stranger, reason.ClientCertUntrusted, ""},
		{"chain.example.com", &stranger, reason.Success, "X-Amzn-Mtls-Clientcert: -----BEGIN"},
		{"chain.example.com", nil, reason.ClientCertMissing, ""},
	} {
		conf := r.named(test.sni, test.cert)
		begun := time.Now()
		raw, err := net.DialTimeout("tcp", r.address("verify"), patience)
		if err != nil {
			t.Fatal(err)
		}
		conn := tls.Client(raw, conf)
		var body string
		if err := conn.Handshake(); err == nil {
			host := test.sni
			if host == "" {
				host = "localhost"
			}
			fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", host)
			if response, err := http.ReadResponse(bufio.NewReader(conn), nil); err == nil {
				text, _ := io.ReadAll(response.Body)
				body = string(text)
			}
		}
		raw.Close()
		record := r.recordOf(raw.LocalAddr(), begun)
		if record.Status != test.want {
			t.Errorf("%q with certificate %v: %s: %s, want %s", test.sni, test.cert != nil, record.Status, record.Cause, test.want)
		}
		if (test.want == reason.Success) != (body != "") || !strings.Contains(body, test.told) ||
			test.told == "" && strings.Contains(body, "X-Amzn-Mtls") {
			t.Errorf("%q with certificate %v: the target was told\n%s\nwant %q", test.sni, test.cert != nil, body, test.told)
		}
	}
}

// TestMisdirected comes in by one name and asks for another (GHSA-hrhx-6h34-j5hc,
// GHSA-5r4w-85f3-pw66, GHSA-9cr8-q42q-g8m7): only a host that is judged as the
// connection was is served.
func TestMisdirected(t *testing.T) {
	r, client, _ := hostRig(t)
	for _, test := range []struct {
		sni, host string
		cert      *tls.Certificate
		want      int
	}{
		{"open.example.com", "open.example.com", nil, 200},
		{"open.example.com", "OPEN.example.com", nil, 200},
		{"open.example.com", "open.example.com.", nil, 200},
		{"open.example.com", "open.example.com:8443", nil, 200},
		{"open.example.com", "x.open.example.com", nil, 200},
		{"open.example.com", "secure.open.example.com", nil, 421},
		{"open.example.com", "SECURE.open.example.com", nil, 421},
		{"open.example.com", "secure.open.example.com.", nil, 421},
		{"open.example.com", "secure.open.example.com:443", nil, 421},
		{"open.example.com", "default.example.com", nil, 421},
		{"open.example.com", "127.0.0.1", nil, 421},
		{"open.example.com", "[::1]:8443", nil, 421},
		{"open.example.com", "other.example.com", nil, 421},
		{"open.example.com", "maybe.example.com", nil, 421},
		{"x.open.example.com", "secure.open.example.com", nil, 421},
		{"maybe.example.com", "default.example.com", nil, 421},
		{"default.example.com", "default.example.com", &client, 200},
		{"default.example.com", "another.example.com", &client, 200},
		{"default.example.com", "secure.open.example.com", &client, 200}, // judged alike
		{"default.example.com", "127.0.0.1", &client, 200},
		{"default.example.com", "other.example.com", &client, 421},
		{"default.example.com", "open.example.com", &client, 421},
		{"", "default.example.com", &client, 200},
		{"", "other.example.com", &client, 421},
	} {
		ask := map[string]func() (*http.Response, error){
			"Host": func() (*http.Response, error) {
				return r.request(test.sni, test.cert, "GET / HTTP/1.1\r\nHost: "+test.host+"\r\n\r\n")
			},
			"absolute form": func() (*http.Response, error) {
				return r.request(test.sni, test.cert, "GET https://"+test.host+"/ HTTP/1.1\r\nHost: "+test.host+"\r\n\r\n")
			},
			"absolute form, other Host": func() (*http.Response, error) {
				return r.request(test.sni, test.cert, "GET https://"+test.host+"/ HTTP/1.1\r\nHost: "+test.sni+"\r\n\r\n")
			},
			"h2": func() (*http.Response, error) { return r.request2(test.sni, test.host, test.cert) },
		}
		for name, do := range ask {
			response, err := do()
			if err != nil {
				t.Errorf("SNI %q, %s %q: %v", test.sni, name, test.host, err)
				continue
			}
			if response.StatusCode != test.want && (name != "absolute form, other Host" || response.StatusCode != 400) {
				t.Errorf("SNI %q, %s %q: %s, want %d", test.sni, name, test.host, response.Status, test.want)
			}
		}
	}
}

// request sends these bytes on a connection with this server name.
func (r *rig) request(sni string, cert *tls.Certificate, text string) (*http.Response, error) {
	conn, err := tls.Dial("tcp", r.address("verify"), r.named(sni, cert))
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	io.WriteString(conn, text)
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err == nil {
		io.Copy(io.Discard, response.Body)
	}
	return response, err
}

// request2 asks for host over HTTP/2 on a connection with this server name, as a
// browser does that coalesces connections.
func (r *rig) request2(sni, host string, cert *tls.Certificate) (*http.Response, error) {
	conf := r.named(sni, cert)
	conf.NextProtos = []string{"h2"}
	transport := &http.Transport{
		ForceAttemptHTTP2: true,
		DialTLSContext: func(context.Context, string, string) (net.Conn, error) {
			return tls.Dial("tcp", r.address("verify"), conf)
		},
	}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequest("GET", "https://placeholder/", nil)
	if err != nil {
		return nil, err
	}
	request.Host = host
	response, err := transport.RoundTrip(request)
	if err == nil {
		io.Copy(io.Discard, response.Body)
		response.Body.Close()
		if response.ProtoMajor != 2 {
			return nil, fmt.Errorf("spoke %s", response.Proto)
		}
	}
	return response, err
}
