package demo

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/sallyport/sallyport/edge/admin"
)

// attempt is one client's try, and what should come of it.
type attempt struct {
	what     string
	address  string
	client   *tls.Certificate // nil shows none
	http2    bool
	forge    string // a header that the client sends to pass for somebody else
	expected string // a status of the connection log
	check    func(body string) error
}

// forged is what a client claims to be in a header that only the edge may send.
const forged = "CN=admin"

// tryAll tries every kind of client as a real TLS client, compares what the
// edge's connection log says with what was expected, and prints both.
func (d *demo) tryAll(ctx context.Context) error {
	own := func(body string) error { return hasHeaders(body, d.verifiedHeaders()...) }
	chain := func(body string) error {
		return hasHeaders(body, "X-Amzn-Mtls-Clientcert: "+url.PathEscape("-----BEGIN CERTIFICATE-----")+"%0A")
	}
	client, revoked := d.pki.client.TLSCertificate(), d.pki.revoked.TLSCertificate()
	expired, untrusted := d.pki.expired.TLSCertificate(), d.pki.untrusted.TLSCertificate()
	stolen := d.pki.stolen.TLSCertificate()
	attempts := []attempt{
		{what: "verify: a client of the CA", address: d.verify, client: &client, expected: "Success", check: own},
		{what: "verify: the same over HTTP/2", address: d.verify, client: &client, http2: true, expected: "Success", check: own},
		{what: "verify: the same, forging a header", address: d.verify, client: &client, forge: "X-Amzn-Mtls-Clientcert-Subject", expected: "Success", check: own},
		{what: "verify: a revoked client", address: d.verify, client: &revoked, expected: "Failed:ClientCertCrlHit"},
		{what: "verify: an expired client", address: d.verify, client: &expired, expected: "Failed:ClientCertExpired"},
		{what: "verify: a client of another CA", address: d.verify, client: &untrusted, expected: "Failed:ClientCertUntrusted"},
		{what: "verify: no certificate", address: d.verify, expected: "Failed:ClientCertMissing"},
		{what: "verify: somebody's certificate, another key", address: d.verify, client: &stolen, expected: "Failed:ClientCertIntentInvalid"},
		{what: "passthrough: a client of another CA", address: d.passthrough, client: &untrusted, expected: "Success", check: chain},
		{what: "passthrough: no certificate", address: d.passthrough, expected: "Failed:ClientCertMissing"},
	}
	fromPage, err := d.generate(ctx)
	if err != nil {
		return fmt.Errorf("generate a certificate on the page: %w", err)
	}
	attempts = append(attempts, attempt{what: "verify: a client made on the page", address: d.verify, client: fromPage, expected: "Success"})

	table := tabwriter.NewWriter(d.options.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "TRIED\tEXPECTED\tHAPPENED\t")
	failed := 0
	for _, a := range attempts {
		happened, err := d.try(ctx, a)
		verdict := "ok"
		switch {
		case err != nil:
			verdict = "WRONG: " + err.Error()
		case happened != a.expected:
			verdict = "WRONG"
		}
		if verdict != "ok" {
			failed++
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", a.what, a.expected, happened, verdict)
	}
	table.Flush()
	if failed > 0 {
		fmt.Fprintf(d.options.Out, "\n%d of %d did not go as expected\n", failed, len(attempts))
		return ErrDisagrees
	}
	fmt.Fprintf(d.options.Out, "\nall %d as expected\n", len(attempts))
	return nil
}

// verifiedHeaders are what the target must have been told of the client, made
// here from the certificate without the edge's code.
func (d *demo) verifiedHeaders() []string {
	cert := d.pki.client.Cert
	stamp := func(t time.Time) string { return t.UTC().Format(time.RFC3339) }
	return []string{
		fmt.Sprintf("X-Amzn-Mtls-Clientcert-Serial-Number: %X\n", cert.SerialNumber.Bytes()),
		"X-Amzn-Mtls-Clientcert-Issuer: CN=Sallyport demo client CA\n",
		"X-Amzn-Mtls-Clientcert-Subject: CN=demo client\n",
		fmt.Sprintf("X-Amzn-Mtls-Clientcert-Validity: NotBefore=%s;NotAfter=%s\n", stamp(cert.NotBefore), stamp(cert.NotAfter)),
		"X-Amzn-Mtls-Clientcert-Leaf: -----BEGIN%20CERTIFICATE-----%0A",
	}
}

// hasHeaders checks that the target received each header, and received it once.
func hasHeaders(body string, headers ...string) error {
	for _, want := range headers {
		name, _, _ := strings.Cut(want, ":")
		if !strings.Contains(body, "\n"+want) {
			return fmt.Errorf("the target did not receive %q", strings.TrimSpace(want))
		}
		if n := strings.Count(strings.ToLower(body), "\n"+strings.ToLower(name)+":"); n != 1 {
			return fmt.Errorf("the target received %s %d times", name, n)
		}
	}
	return nil
}

// try makes one request and returns what the connection log says of its
// connection. An error says that client, target and log do not agree.
func (d *demo) try(ctx context.Context, a attempt) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	var local string
	transport := &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			var dialer net.Dialer
			conn, err := dialer.DialContext(ctx, network, address)
			if err == nil {
				local = conn.LocalAddr().String()
			}
			return conn, err
		},
		TLSClientConfig: &tls.Config{
			RootCAs:    d.pki.serverCA.Pool(),
			ServerName: "localhost",
			GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
				if a.client == nil {
					return &tls.Certificate{}, nil
				}
				return a.client, nil
			},
		},
		ForceAttemptHTTP2: a.http2,
	}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+a.address+"/", nil)
	if err != nil {
		return "", err
	}
	if a.forge != "" {
		request.Header[strings.ToLower(a.forge)] = []string{forged}
		request.Header.Set(strings.ReplaceAll(a.forge, "-", "_"), forged)
	}
	response, err := transport.RoundTrip(request)
	answered := err == nil
	var body []byte
	if answered {
		body, err = io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil {
			return "", fmt.Errorf("read the answer: %w", err)
		}
	}
	if local == "" {
		return "", fmt.Errorf("connect: %w", err)
	}
	status, logErr := d.logged(ctx, local)
	switch {
	case logErr != nil:
		return "", logErr
	case answered != (status == "Success"):
		return status, fmt.Errorf("the log says %s, but the client got %v", status, errors.Join(err, fmt.Errorf("answered=%v", answered)))
	case answered && response.StatusCode != http.StatusOK:
		return status, fmt.Errorf("the client got %s", response.Status)
	case answered && a.http2 && response.ProtoMajor != 2:
		return status, fmt.Errorf("the client got %s", response.Proto)
	case answered && a.forge != "" && strings.Contains(string(body), forged):
		return status, errors.New("the target received the forged header")
	case answered && a.check != nil:
		return status, a.check(string(body))
	}
	return status, nil
}

// verdictIn finds the tls_verify_status of ALB's connection log in a line.
var verdictIn = regexp.MustCompile(` (Success|Failed:\w+) TID_`)

// logged waits for the connection log's record of the connection that came from
// local, and returns its status.
func (d *demo) logged(ctx context.Context, local string) (string, error) {
	host, port, err := net.SplitHostPort(local)
	if err != nil {
		return "", err
	}
	for {
		data, err := os.ReadFile(d.file("connection.log"))
		if err != nil {
			return "", err
		}
		for line := range bytes.Lines(data) {
			if !bytes.Contains(line, []byte(" "+host+" "+port+" ")) {
				continue
			}
			if m := verdictIn.FindSubmatch(line); m != nil {
				return string(m[1]), nil
			}
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("the connection log has no record of the connection from %s", local)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// generate does what the page's button does.
func (d *demo) generate(ctx context.Context) (*tls.Certificate, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+d.page.address+"/certificate", nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	var made credential
	if err := json.NewDecoder(response.Body).Decode(&made); err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair([]byte(made.Certificate), []byte(made.PrivateKey))
	return &pair, err
}

// awaitReady waits until the edge says that it is ready.
func (d *demo) awaitReady(ctx context.Context, ended <-chan error) error {
	client := admin.NewClient(d.file("admin.sock"))
	for {
		var status admin.Status
		if err := client.Get(ctx, "/status", &status); err == nil && status.State == admin.Ready {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-ended:
			return fmt.Errorf("the edge ended before it was ready: %w", err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (d *demo) printWhatToTry() {
	fmt.Fprintf(d.options.Out, `A mutual-TLS edge is running. Its files are in %[1]s.

In a browser, a client certificate of your own, and what the target receives:
  http://%[2]s/

A good client is let in, and the target is told who it is:
  curl --cacert %[1]s/server-ca.pem --cert %[1]s/client.crt --key %[1]s/client.key https://localhost:%[3]s/

These are refused: revoked, expired, untrusted (in place of client), and no certificate at all.
  curl --cacert %[1]s/server-ca.pem --cert %[1]s/revoked.crt --key %[1]s/revoked.key https://localhost:%[3]s/

The passthrough listener takes any certificate and hands the chain to the target:
  curl --cacert %[1]s/server-ca.pem --cert %[1]s/untrusted.crt --key %[1]s/untrusted.key https://localhost:%[4]s/

Why a client was refused:
  sallyport failures -c %[1]s/sallyport.yaml
  tail %[1]s/connection.log

Ctrl-C ends it.
`, d.dir, d.page.address, portOf(d.verify), portOf(d.passthrough))
}
