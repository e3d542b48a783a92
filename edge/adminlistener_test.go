package edge

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/edge/reason"
	"github.com/sallyport/sallyport/loadtest/pki"
)

// operated is a configuration with the clients' and the operators' trust stores.
const operated = `trust_stores:
  clients: {ca_bundle: {file: ca.pem}}
  operators: {ca_bundle: {file: ops.pem}, crls: [{file: ops.crl}]}
` + verifyListener

// operate writes the operators' PKI.
func (r *rig) operate() *pki.CA {
	r.t.Helper()
	ca := pki.Must(pki.NewRoot())
	r.write("ops.pem", ca.CertPEM())
	r.write("ops.crl", pki.CRLPEM(pki.Must(ca.CRL())))
	return ca
}

// startAdmin starts the edge with an admin listener.
func (r *rig) startAdmin(more string) {
	r.t.Helper()
	r.configureAdmin(more)
	r.run()
}

func (r *rig) configureAdmin(more string) {
	r.t.Helper()
	r.configure(operated)
	name := filepath.Join(r.dir, "sallyport.yaml")
	text, err := os.ReadFile(name)
	if err != nil {
		r.t.Fatal(err)
	}
	listener := `listener: {address: "127.0.0.1:0", certificate: localhost, trust_store: operators, identity_filters: {subject: {common_name: [ops]}}` + more + `}`
	r.write("sallyport.yaml", []byte(strings.Replace(string(text), "admin: {", "admin: {"+listener+", ", 1)))
}

// browser is an HTTP client that shows a certificate.
func (r *rig) browser(leaf *pki.Leaf) *http.Client {
	conf := r.client(nil)
	if leaf != nil {
		cert := leaf.TLSCertificate()
		conf = r.client(&cert)
	}
	transport := &http.Transport{TLSClientConfig: conf}
	r.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func operator(ca *pki.CA, name string, more ...pki.Option) *pki.Leaf {
	return pki.Must(ca.Issue(append([]pki.Option{pki.CommonName(name)}, more...)...))
}

// TestAdminListener has operators see the page and nothing else of the API, and
// everybody else get nothing but a refused handshake.
func TestAdminListener(t *testing.T) {
	r := newRig(t)
	ops := r.operate()
	revoked := operator(ops, "ops")
	r.write("ops.crl", pki.CRLPEM(pki.Must(ops.CRL(pki.Revoke(revoked)))))
	r.startAdmin("")
	at := r.address(adminListenerName)

	client := r.browser(operator(ops, "ops"))
	for path, want := range map[string]int{"/": 200, "/page/page.js": 200, "/status": 404, "/bans": 404, "/debug/pprof/": 404, "/metrics": 404, "/connections": 404} {
		response, err := client.Get("https://" + at + path)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(response.Body)
		response.Body.Close()
		if response.StatusCode != want || path == "/" && !strings.Contains(string(body), "app/sallyport/") {
			t.Errorf("%s: %s", path, response.Status)
		}
	}
	for path, form := range map[string]string{"/page/unban": "prefix=192.0.2.7%2F32", "/drain": "", "/reload": ""} {
		response, err := client.Post("https://"+at+path, "application/x-www-form-urlencoded", strings.NewReader(form))
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode < 400 {
			t.Errorf("POST %s: %s", path, response.Status)
		}
	}
	request, _ := http.NewRequest("GET", "https://"+at+"/", nil)
	request.Host = "evil.example"
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusMisdirectedRequest {
		t.Errorf("by a name of another's: %s", response.Status)
	}

	for _, test := range []struct {
		name string
		leaf *pki.Leaf
		code reason.Code
	}{
		{"nobody", nil, reason.ClientCertMissing},
		{"a client of another store", pki.Must(r.ca.Issue(pki.CommonName("ops"))), reason.ClientCertUntrusted},
		{"another name", operator(ops, "intern"), reason.ClientCertRejected},
		{"revoked", revoked, reason.ClientCertCrlHit},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := r.within(t)
			begun := time.Now()
			raw, err := net.DialTimeout("tcp", at, patience)
			if err != nil {
				t.Fatal(err)
			}
			defer raw.Close()
			raw.SetDeadline(time.Now().Add(patience))
			conf := r.client(nil)
			if test.leaf != nil {
				cert := test.leaf.TLSCertificate()
				conf = r.client(&cert)
			}
			conn := tls.Client(raw, conf)
			conn.Handshake() // of TLS 1.3 it is over before the client is judged
			fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
			if got, err := io.ReadAll(conn); len(got) > 0 || err == nil {
				t.Errorf("got %q, %v", got, err)
			}
			if record := r.recordOf(raw.LocalAddr(), begun); record.Status != test.code || record.Listener != adminListenerName {
				t.Errorf("%s on %s: %s, want %s", record.Status, record.Listener, record.Cause, test.code)
			}
		})
	}
}

// TestAdminListenerIsLive has an operator follow the page's stream, whose connection
// ends when the certificate is revoked, and actions come and go with a reload.
func TestAdminListenerIsLive(t *testing.T) {
	r := newRig(t)
	ops := r.operate()
	r.startAdmin("")
	at := r.address(adminListenerName)
	unban := func(client *http.Client) int {
		t.Helper()
		response, err := client.Post("https://"+at+"/page/unban", "application/x-www-form-urlencoded", strings.NewReader("prefix=nonsense"))
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		return response.StatusCode
	}
	leaf := operator(ops, "ops")
	client := r.browser(leaf)
	if status := unban(client); status != http.StatusNotFound {
		t.Errorf("without actions: %d", status)
	}
	r.configureAdmin(", actions: true")
	if err := r.server.Reload(); err != nil {
		t.Fatal(err)
	}
	if status := unban(client); status != http.StatusBadRequest {
		t.Errorf("with actions, on the same connection: %d", status)
	}
	response, err := client.Get("https://" + at + "/page/stream")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	lines := bufio.NewReader(response.Body)
	if line, err := lines.ReadString('\n'); err != nil || !strings.HasPrefix(line, "data: {") {
		t.Fatalf("%v %.40q", err, line)
	}
	r.write("ops.crl", pki.CRLPEM(pki.Must(ops.CRL(pki.Revoke(leaf), pki.Number(two)))))
	if _, err := io.Copy(io.Discard, lines); err == nil {
		t.Error("the stream came to an end of its own")
	}
	r.await("closed", func() bool { return len(r.server.connections.all()) == 0 })
	if _, err := client.Get("https://" + at + "/"); err == nil {
		t.Error("revoked, and let in again")
	}
}

// TestAdminListenerDrains has the edge end while somebody follows the stream.
func TestAdminListenerDrains(t *testing.T) {
	r := newRig(t)
	ops := r.operate()
	r.startAdmin("")
	response, err := r.browser(operator(ops, "ops")).Get("https://" + r.address(adminListenerName) + "/page/stream")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	begun := time.Now()
	r.server.Drain()
	io.Copy(io.Discard, response.Body)
	r.await("ended", func() bool { return len(r.server.connections.all()) == 0 })
	if took := time.Since(begun); took > 20*time.Second {
		t.Errorf("ended after %s", took)
	}
}

// A client that was let in as the edge began to drain has its first request answered,
// and the connection ends with that.
func TestAdminListenerDrainsAfterAnswer(t *testing.T) {
	r := newRig(t)
	ops := r.operate()
	r.startAdmin("")
	cert := operator(ops, "ops").TLSCertificate()
	conn, err := tls.Dial("tcp", r.address(adminListenerName), r.client(&cert))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	r.await("admitted", func() bool {
		all := r.server.connections.all()
		return len(all) == 1 && all[0].onFinish.Load() != nil
	})
	c := r.server.connections.all()[0]
	r.server.Drain()
	r.await("told", c.finished.Load)
	conn.SetDeadline(time.Now().Add(patience))
	io.WriteString(conn, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil || response.StatusCode != http.StatusOK || !response.Close {
		t.Errorf("%s, close: %v, %v", response.Status, response.Close, err)
	}
	r.await("ended", func() bool { return len(r.server.connections.all()) == 0 })
}

// TestAdminListenerWithCurl has another program's TLS try.
func TestAdminListenerWithCurl(t *testing.T) {
	curl, err := exec.LookPath("curl")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("curl is missing, and CI must not skip")
		}
		t.Skip("curl is not installed")
	}
	r := newRig(t)
	ops := r.operate()
	r.startAdmin("")
	r.write("server-ca.pem", r.serverCA.CertPEM())
	if err := operator(ops, "ops").WriteFiles(r.dir, "ops"); err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(r.address(adminListenerName))
	args := []string{"--silent", "--show-error", "--max-time", "25", "--cacert", filepath.Join(r.dir, "server-ca.pem"), "https://localhost:" + port + "/"}
	out, err := exec.Command(curl, append(args, "--cert", filepath.Join(r.dir, "ops.crt"), "--key", filepath.Join(r.dir, "ops.key"))...).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "<html") {
		t.Errorf("with a certificate: %v: %.300s", err, out)
	}
	out, err = exec.Command(curl, append(args, "--include")...).CombinedOutput()
	if err == nil || strings.Contains(string(out), "HTTP/") || !strings.Contains(string(out), "alert") {
		t.Errorf("without: %v: %s", err, out)
	}
}
