package edge

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/edge/admin"
	"github.com/sallyport/sallyport/edge/pluginhost"
	"github.com/sallyport/sallyport/edge/reason"
	"github.com/sallyport/sallyport/loadtest/pki"
	"github.com/sallyport/sallyport/sdk"
)

// scripted is a plugin in this process, to which an edge attaches. It has every
// hook; the configuration says which are asked, and one without a function allows.
type scripted struct {
	needs      []sdk.Field
	connection func(sdk.Connection) sdk.Verdict
	request    func(sdk.Request) sdk.Verdict
	response   func(context.Context, sdk.Response) sdk.Verdict
	background func(*sdk.Host)
	ends       chan error // what is sent here ends the plugin's process, so to speak
}

func (p *scripted) Manifest() sdk.Manifest { return sdk.Manifest{Name: "scripted", Needs: p.needs} }

func (p *scripted) AuthorizeConnection(_ context.Context, c sdk.Connection) sdk.Verdict {
	if p.connection == nil {
		return sdk.Allow()
	}
	return p.connection(c)
}

func (p *scripted) AuthorizeRequest(_ context.Context, r sdk.Request) sdk.Verdict {
	if p.request == nil {
		return sdk.Allow()
	}
	return p.request(r)
}

func (p *scripted) ShapeResponse(ctx context.Context, r sdk.Response) sdk.Verdict {
	if p.response == nil {
		return sdk.Allow()
	}
	return p.response(ctx, r)
}

func (p *scripted) Run(ctx context.Context, host *sdk.Host) error {
	if p.background != nil {
		p.background(host)
	}
	select {
	case <-ctx.Done():
		return nil
	case err := <-p.ends:
		return err
	}
}

// restart ends a plugin, and waits until the edge has it again.
func (r *rig) restart(p *scripted) {
	r.t.Helper()
	before := r.server.plugins.Status()[0].Restarts
	p.ends <- errors.New("the test ends it")
	r.await("started again", func() bool {
		s := r.server.plugins.Status()[0]
		return s.Restarts > before && s.State == pluginhost.Serving
	})
}

// listen serves a plugin on the socket NAME.sock, for every edge that comes. It
// must be called before the edge starts, so as to outlive it.
func (r *rig) listen(name string, p *scripted) {
	r.t.Helper()
	l, err := net.Listen("unix", filepath.Join(r.dir, name+".sock"))
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	group.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			group.Go(func() { sdk.ServeConn(ctx, conn, p) })
		}
	})
	r.t.Cleanup(func() {
		l.Close()
		cancel()
		group.Wait()
	})
}

// attached is the section of a plugin p that listens on the socket NAME.sock. A
// slow machine must not look like a plugin that does not answer.
func attached(name, hooks string) string {
	return fmt.Sprintf("plugins: {p: {attach: %s.sock, hooks: [%s], timeout: 20s, cache: {ttl: 1h}}}\n", name, hooks)
}

// reload puts another configuration in force.
func (r *rig) reload(sections string) {
	r.t.Helper()
	r.configure(sections)
	if err := r.server.Reload(); err != nil {
		r.t.Fatal(err)
	}
}

// told is what a plugin is told of who the client is.
type told struct {
	verified bool
	subject  string
	sha256   [32]byte
	chain    int
}

// TestPluginsAreToldOfVerifiedClients has clients come in on every way that the edge
// knows. Only whom it has verified may a plugin take for somebody.
func TestPluginsAreToldOfVerifiedClients(t *testing.T) {
	r := newRig(t)
	var mu sync.Mutex
	heard := map[string][]told{}
	hear := func(hook string, p sdk.Peer) sdk.Verdict {
		mu.Lock()
		defer mu.Unlock()
		heard[hook] = append(heard[hook], told{p.Verified(), p.Subject(), p.SHA256(), len(p.Chain())})
		return sdk.Allow()
	}
	r.listen("p", &scripted{
		needs:      []sdk.Field{sdk.CertVerified, sdk.CertSubject, sdk.CertSHA256, sdk.CertChain},
		connection: func(c sdk.Connection) sdk.Verdict { return hear("connection", c.Peer()) },
		request:    func(q sdk.Request) sdk.Verdict { return hear("request", q.Peer()) },
		response:   func(_ context.Context, q sdk.Response) sdk.Verdict { return hear("response", q.Peer()) },
	})
	sections := attached("p", "connection, request, shape_response") + "trust_stores: {clients: {ca_bundle: {file: ca.pem}}}\nlisteners:\n"
	for i, listener := range []struct{ name, authentication string }{
		{"verify", "{mode: verify, trust_store: clients}"},
		{"optional", "{mode: optional, trust_store: clients}"},
		{"passthrough", "{mode: passthrough}"},
		{"off", `{mode: "off"}`},
	} {
		sections += fmt.Sprintf("  %s: {address: 127.0.0.%d:0, mutual_authentication: %s, plugins: [p], default_action: {forward: app}}\n",
			listener.name, i+1, listener.authentication)
	}
	r.start(sections)

	leaf, stranger := pki.Must(r.ca.Issue()), pki.Must(pki.SelfSigned())
	known := told{verified: true, subject: "", sha256: sha256.Sum256(leaf.Cert.Raw), chain: 2}
	for _, test := range []struct {
		mode string
		leaf *pki.Leaf
		want told
	}{
		{"verify", leaf, known},
		{"optional", leaf, known},
		{"optional", nil, told{}},
		{"passthrough", leaf, told{}},
		{"passthrough", stranger, told{}},
		{"off", nil, told{}},
	} {
		mu.Lock()
		clear(heard)
		mu.Unlock()
		var cert *tls.Certificate
		if test.leaf != nil {
			c := test.leaf.TLSCertificate()
			cert = &c
		}
		record, body := r.try(test.mode, r.client(cert))
		if record.Status != reason.Success || body == "" {
			t.Fatalf("%s: %s: %s, body %q", test.mode, record.Status, record.Cause, body)
		}
		for _, hook := range []string{"connection", "request", "response"} {
			mu.Lock()
			got := heard[hook]
			mu.Unlock()
			if len(got) != 1 {
				t.Fatalf("%s: asked %d times at hook %s", test.mode, len(got), hook)
			}
			subject := got[0].subject
			if got[0].subject = ""; got[0] != test.want || (subject != "") != test.want.verified {
				t.Errorf("%s, with a certificate: %t, hook %s: told %+v and subject %q, want %+v", test.mode, cert != nil, hook, got[0], subject, test.want)
			}
		}
	}
}

// TestKeptVerdictsEndWithTheTrustStore has a plugin allow for an hour. Its verdict
// is kept while clients are judged by the same things, and no longer.
func TestKeptVerdictsEndWithTheTrustStore(t *testing.T) {
	r := newRig(t)
	var requests, connections atomic.Int64
	r.listen("p", &scripted{
		needs:      []sdk.Field{sdk.CertSHA256},
		connection: func(sdk.Connection) sdk.Verdict { connections.Add(1); return sdk.Allow().For(time.Hour) },
		request:    func(sdk.Request) sdk.Verdict { requests.Add(1); return sdk.Allow().For(time.Hour) },
	})
	sections := attached("p", "connection, request") + verifying("plugins: [p]")
	r.start(sections)
	store := func() uint64 { return r.server.generation.Load().stores["clients"].Generation() }
	leaf := pki.Must(r.ca.Issue())

	// asked makes two requests on a connection that is open, and two connections: for
	// the first of each the plugin may have been asked, for the second it was not.
	asked := func(what string, conn *tls.Conn, want int64) {
		t.Helper()
		for range 2 {
			if response, err := get(conn); err != nil || response.StatusCode != http.StatusOK {
				t.Fatalf("%s: %v, %v", what, response, err)
			}
			if got := requests.Load(); got != want {
				t.Errorf("%s: the plugin was asked %d times about requests, want %d", what, got, want)
			}
		}
		for range 2 {
			r.dial("verify", leaf)
			if got := connections.Load(); got != want {
				t.Errorf("%s: the plugin was asked %d times about connections, want %d", what, got, want)
			}
		}
	}
	conn := r.dial("verify", leaf)
	asked("at first", conn, 1)
	r.reload(sections)
	asked("after a reload that changes nothing", conn, 1)

	// A store in its place, whose contents have the same number.
	before := store()
	r.reload(strings.Replace(sections, "{ca_bundle: {file: ca.pem}}", "{ca_bundle: {file: ca.pem}, revocation: {scope: leaf}}", 1))
	if store() != before {
		t.Fatalf("the new trust store is at generation %d, the old one was at %d: they cannot be mistaken", store(), before)
	}
	asked("with another trust store", conn, 2)

	revoker, _ := adminView{r.server}.Revoker("clients")
	other := string(pki.Must(r.ca.Issue()).CertPEM())
	if _, err := revoker.Revoke(t.Context(), admin.RevokeRequest{Certificate: other}, time.Now()); err != nil {
		t.Fatal(err)
	}
	asked("once somebody is revoked", conn, 3)

	before = store()
	r.write("ca.pem", append(r.ca.CertPEM(), pki.Must(pki.NewRoot()).CertPEM()...))
	r.awaitGeneration(before + 1)
	asked("with another bundle", conn, 4)
}

// TestRefusedResponses has a plugin not let a target's response through: nothing of
// it may reach the client.
func TestRefusedResponses(t *testing.T) {
	r := newRig(t)
	r.target.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Of-Target", "yes")
		io.WriteString(w, "of the target")
	})
	r.listen("p", &scripted{
		needs: []sdk.Field{sdk.Path, sdk.Status},
		response: func(ctx context.Context, q sdk.Response) sdk.Verdict {
			switch q.Path() {
			case "/denied":
				return sdk.Deny(http.StatusUnavailableForLegalReasons, "not for you").SetHeader("X-Why", "law")
			case "/panics":
				panic("a mistake")
			case "/forbidden":
				return sdk.Allow().SetHeader("Content-Length", "1")
			case "/late":
				<-ctx.Done()
			}
			return sdk.Allow().SetHeader("X-Shaped", fmt.Sprint(q.Status()))
		},
	})
	r.start(strings.Replace(attached("p", "shape_response"), "timeout: 20s", "timeout: 2s", 1) + verifying("plugins: [p]"))
	cert := pki.Must(r.ca.Issue()).TLSCertificate()
	for _, http2 := range []bool{false, true} {
		transport := &http.Transport{TLSClientConfig: r.client(&cert), ForceAttemptHTTP2: http2}
		defer transport.CloseIdleConnections()
		client := http.Client{Transport: transport, Timeout: patience}
		for _, test := range []struct {
			path   string
			status int
			field  string
		}{
			{"/", http.StatusOK, "X-Shaped"},
			{"/denied", http.StatusUnavailableForLegalReasons, "X-Why"},
			{"/panics", http.StatusInternalServerError, ""},
			{"/late", http.StatusServiceUnavailable, "Retry-After"},
			{"/", http.StatusOK, "X-Shaped"},
			{"/forbidden", http.StatusServiceUnavailable, "Retry-After"},
		} {
			response, err := client.Get("https://" + r.address("verify") + test.path)
			if err != nil {
				t.Fatalf("%s: %v", test.path, err)
			}
			body, err := io.ReadAll(response.Body)
			response.Body.Close()
			if err != nil || response.StatusCode != test.status || (response.ProtoMajor == 2) != http2 {
				t.Errorf("%s: %s %s, %v, want %d", test.path, response.Proto, response.Status, err, test.status)
			}
			let := test.status == http.StatusOK
			if (string(body) == "of the target") != let || (response.Header.Get("X-Of-Target") != "") != let {
				t.Errorf("%s: %s with header %v and body %q", test.path, response.Status, response.Header, body)
			}
			if test.field != "" && response.Header.Get(test.field) == "" {
				t.Errorf("%s: %s without %s: %v", test.path, response.Status, test.field, response.Header)
			}
		}
	}
}
