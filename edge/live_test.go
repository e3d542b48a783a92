package edge

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/websocket"

	"github.com/sallyport/sallyport/edge/admin"
	"github.com/sallyport/sallyport/edge/connlog"
	"github.com/sallyport/sallyport/edge/reason"
	"github.com/sallyport/sallyport/loadtest/pki"
)

// gone waits until the edge has closed a connection, and returns how its log says
// it ended.
func (r *rig) gone(conn *tls.Conn) string {
	r.t.Helper()
	conn.SetReadDeadline(time.Now().Add(patience))
	if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
		r.t.Fatal("the connection is still open")
	}
	return r.end(conn.LocalAddr())
}

func (r *rig) dial(listener string, leaf *pki.Leaf) *tls.Conn {
	r.t.Helper()
	cert := leaf.TLSCertificate()
	conn, err := tls.Dial("tcp", r.address(listener), r.client(&cert))
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	if _, err := get(conn); err != nil {
		r.t.Fatal(err)
	}
	return conn
}

// TestLiveConnectionsEnd has the reason go for which a client was let in, in
// every way it can, and sees its connection end and another's stay.
func TestLiveConnectionsEnd(t *testing.T) {
	r := newRig(t)
	otherCA := pki.Must(pki.NewRoot())
	both := append(r.ca.CertPEM(), otherCA.CertPEM()...)
	r.write("ca.pem", both)
	r.write("crl.pem", pki.CRLPEM(pki.Must(r.ca.CRL()), pki.Must(otherCA.CRL())))
	sections := `
trust_stores: {clients: {ca_bundle: {file: ca.pem}, crls: [{file: crl.pem}]}}
listeners:
  verify:
    address: 127.0.0.1:0
    mutual_authentication: {mode: verify, trust_store: clients}
    default_action: {forward: app}
  aging:
    address: 127.0.0.2:0
    mutual_authentication: {mode: verify, trust_store: clients}
    timeouts: {max_connection_age: 2s}
    default_action: {forward: app}
`
	r.start(sections)
	bystander := r.dial("verify", pki.Must(r.ca.Issue()))
	want := func(conn *tls.Conn, end connlog.End) {
		t.Helper()
		if text := r.gone(conn); !strings.Contains(text, fmt.Sprintf(`"end":%q`, end)) {
			t.Errorf("want end %s: %s", end, text)
		}
	}

	brief := r.dial("verify", pki.Must(r.ca.Issue(pki.NotAfter(time.Now().Add(5*time.Second)))))
	want(brief, connlog.Expired)
	want(r.dial("aging", pki.Must(r.ca.Issue())), connlog.MaxAge)

	revoked := pki.Must(r.ca.Issue())
	conn := r.dial("verify", revoked)
	r.write("crl.pem", pki.CRLPEM(pki.Must(r.ca.CRL(pki.Number(two), pki.Revoke(revoked))), pki.Must(otherCA.CRL())))
	want(conn, connlog.Revoked)

	byHand := pki.Must(r.ca.Issue())
	conn = r.dial("verify", byHand)
	if _, err := r.server.generation.Load().stores["clients"].RevokeCertificate(byHand.Cert, "lost", time.Now()); err != nil {
		t.Fatal(err)
	}
	want(conn, connlog.Revoked)
	cert := byHand.TLSCertificate()
	if record, _ := r.try("verify", r.client(&cert)); record.Status != reason.ClientCertCrlHit {
		t.Errorf("the revoked comes again: %s", record.Status)
	}

	ofOther := r.dial("verify", pki.Must(otherCA.Issue()))
	r.write("ca.pem", r.ca.CertPEM())
	want(ofOther, connlog.AnchorRemoved)

	if _, err := get(bystander); err != nil {
		t.Errorf("the bystander: %v", err)
	}
	r.configure(strings.Replace(sections, "{mode: verify, trust_store: clients}", "{mode: verify, trust_store: clients, certificate_rules: strict}", 1))
	if err := r.server.Reload(); err != nil {
		t.Fatal(err)
	}
	want(bystander, connlog.PolicyChanged)
}

func TestRevokedWebSocketIsCut(t *testing.T) {
	r := newRig(t)
	r.target.Config.Handler = websocket.Handler(func(ws *websocket.Conn) { io.Copy(ws, ws) })
	r.start(verifying())
	leaf := pki.Must(r.ca.Issue())
	cert := leaf.TLSCertificate()
	conn, err := tls.Dial("tcp", r.address("verify"), r.client(&cert))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	ws, err := websocket.NewClient(must(websocket.NewConfig("wss://localhost/", "https://localhost/")), conn)
	if err != nil {
		t.Fatal(err)
	}
	ws.Write([]byte("ping"))
	if _, err := io.ReadFull(ws, make([]byte, 4)); err != nil {
		t.Fatal(err)
	}
	r.server.generation.Load().stores["clients"].RevokeCertificate(leaf.Cert, "stolen", time.Now())
	if text := r.gone(conn); !strings.Contains(text, `"end":"Revoked"`) {
		t.Errorf("ended as %s", text)
	}
}

// TestRevokedWhileDraining has a client be revoked whose connection is being
// drained, with patience, because its listener or the edge ends: patience is not
// for the revoked.
func TestRevokedWhileDraining(t *testing.T) {
	sections := verifying("timeouts: {drain: 60s}")
	for name, drain := range map[string]func(*rig){
		"the edge": func(r *rig) { r.server.Drain() },
		"its listener": func(r *rig) {
			// The trust store is made anew meanwhile.
			r.configure(strings.Replace(strings.Replace(sections, "127.0.0.1:0", "127.0.0.2:0", 1), "{ca_bundle: {file: ca.pem}}", "{ca_bundle: {file: ca.pem}, revocation: {scope: leaf}}", 1))
			if err := r.server.Reload(); err != nil {
				r.t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.target.Config.Handler = websocket.Handler(func(ws *websocket.Conn) { io.Copy(ws, ws) })
			r.start(sections)
			leaf := pki.Must(r.ca.Issue())
			cert := leaf.TLSCertificate()
			conn := must(tls.Dial("tcp", r.address("verify"), r.client(&cert)))
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(patience))
			ws := must(websocket.NewClient(must(websocket.NewConfig("wss://localhost/", "https://localhost/")), conn))
			ws.Write([]byte("ping"))
			if _, err := io.ReadFull(ws, make([]byte, 4)); err != nil {
				t.Fatal(err)
			}
			drain(r)
			r.await("draining", func() bool { return r.server.connections.all()[0].ending.Load() != nil })
			revoker, _ := adminView{r.server}.Revoker("clients")
			pem := string(leaf.CertPEM())
			if _, err := revoker.Revoke(t.Context(), admin.RevokeRequest{Certificate: pem}, time.Now()); err != nil {
				t.Fatal(err)
			}
			if text := r.gone(conn); !strings.Contains(text, `"end":"Revoked"`) {
				t.Errorf("ended as %s", text)
			}
		})
	}
}

// TestEndingTakesNoMoreRequests asks on a connection that is to end but has not
// been closed yet: for its client's sake, and nothing is served; for the edge's,
// and all is.
func TestEndingTakesNoMoreRequests(t *testing.T) {
	r := newRig(t)
	r.start(verifying())
	client := r.dial("verify", pki.Must(r.ca.Issue()))
	conn := r.server.connections.all()[0]
	for _, end := range connlog.Ends() {
		conn.ending.Store(&end)
		want := http.StatusMisdirectedRequest
		if end == connlog.Drained || end == connlog.MaxAge {
			want = http.StatusOK
		}
		response, err := get(client)
		if err != nil {
			t.Fatalf("%s: %v", end, err)
		}
		if response.StatusCode != want {
			t.Errorf("%s: %s, want %d", end, response.Status, want)
		}
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
