package edge

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/edge/connlog"
	"github.com/sallyport/sallyport/edge/reason"
	"github.com/sallyport/sallyport/loadtest/pki"
	"github.com/sallyport/sallyport/sdk"
)

// stuck makes a plugin that answers nothing about connections until it is let go.
func stuck(v sdk.Verdict) (p *scripted, letGo func(), asked *atomic.Int64) {
	asked = new(atomic.Int64)
	free := make(chan struct{})
	p = &scripted{connection: func(sdk.Connection) sdk.Verdict {
		asked.Add(1)
		<-free
		return v
	}}
	return p, sync.OnceFunc(func() { close(free) }), asked
}

// letIn is how many connections were let in without a verdict.
func (r *rig) letIn() uint64 { return r.server.plugins.Status()[0].Stats["connection"].AllowedOnError }

func failingOpen() string {
	return strings.Replace(attached("p", "connection"), "timeout: 20s", "timeout: 200ms, on_error: allow", 1) + verifying("plugins: [p]")
}

// TestLetInWithoutAVerdictIsAskedAgain has a plugin stand still while a client comes,
// and go on: what it says then is what counts, for the same connection.
func TestLetInWithoutAVerdictIsAskedAgain(t *testing.T) {
	t.Run("denied", func(t *testing.T) {
		r := newRig(t)
		p, letGo, _ := stuck(sdk.Deny(http.StatusForbidden, "nobody"))
		r.listen("p", p)
		t.Cleanup(letGo)
		r.start(failingOpen())
		conn := r.dial("verify", pki.Must(r.ca.Issue()))
		for n := range 3 {
			before := r.letIn()
			if status, _ := r.ask(conn); status != http.StatusOK {
				t.Fatalf("request %d, while the plugin stands still: %d", n, status)
			}
			if again := r.letIn() - before; again != 1 {
				t.Errorf("request %d was let in without a verdict %d times", n, again)
			}
		}
		letGo()
		r.await("denied", func() bool { status, _ := r.ask(conn); return status == http.StatusForbidden })
		if text := r.gone(conn); !strings.Contains(text, fmt.Sprintf(`"end":%q`, connlog.PolicyChanged)) || !strings.Contains(text, "nobody") {
			t.Errorf("it ended so: %s", text)
		}
	})
	t.Run("allowed", func(t *testing.T) {
		r := newRig(t)
		p, letGo, asked := stuck(sdk.Allow().SetHeader("X-Judged", "yes"))
		r.listen("p", p)
		t.Cleanup(letGo)
		r.start(failingOpen())
		conn := r.dial("verify", pki.Must(r.ca.Issue()))
		letGo()
		r.await("a verdict", func() bool { _, text := r.ask(conn); return strings.Contains(text, "X-Judged: yes") })
		letIn, before := r.letIn(), asked.Load()
		for range 3 {
			if status, text := r.ask(conn); status != http.StatusOK || !strings.Contains(text, "X-Judged: yes") {
				t.Errorf("with a verdict: %d, the target was told\n%s", status, text)
			}
		}
		if r.letIn() != letIn || asked.Load() != before {
			t.Error("asked again although there was a verdict")
		}
	})
}

// TestRequestsShareOneQuestion: of many requests that find their connection without a
// verdict, not each waits in turn for a plugin that is late.
func TestRequestsShareOneQuestion(t *testing.T) {
	r := newRig(t)
	p, letGo, _ := stuck(sdk.Allow())
	r.listen("p", p)
	t.Cleanup(letGo)
	r.start(failingOpen())
	cert := pki.Must(r.ca.Issue()).TLSCertificate()
	transport := &http.Transport{TLSClientConfig: r.client(&cert), ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	client := http.Client{Transport: transport, Timeout: patience}
	get := func() {
		response, err := client.Get("https://" + r.address("verify") + "/")
		if err != nil {
			t.Error(err)
			return
		}
		defer response.Body.Close()
		if _, err := io.Copy(io.Discard, response.Body); err != nil || response.StatusCode != http.StatusOK || response.ProtoMajor != 2 {
			t.Errorf("%s %s, %v", response.Proto, response.Status, err)
		}
	}
	get()
	before := r.letIn()
	const requests = 20
	var group sync.WaitGroup
	for range requests {
		group.Go(get)
	}
	group.Wait()
	if n := r.letIn() - before; n == 0 || n >= requests {
		t.Errorf("%d requests at once: %d questions, want some, and fewer than requests", requests, n)
	}
}

// TestNoVerdictAnewIsNotTheOld has a plugin take back what it has said, and then say
// nothing that makes sense: the request does not pass by the old verdict, and the
// connection stays for the next one.
func TestNoVerdictAnewIsNotTheOld(t *testing.T) {
	r := newRig(t)
	hosts := make(chan *sdk.Host, 1)
	var nonsense atomic.Bool
	r.listen("p", &scripted{
		background: func(host *sdk.Host) { hosts <- host },
		connection: func(sdk.Connection) sdk.Verdict {
			if nonsense.Load() {
				return sdk.Allow().SetHeader("Content-Length", "1")
			}
			return sdk.Allow()
		},
	})
	r.start(attached("p", "connection") + verifying("plugins: [p]"))
	conn := r.dial("verify", pki.Must(r.ca.Issue()))
	if status, _ := r.ask(conn); status != http.StatusOK {
		t.Fatalf("at first: %d", status)
	}
	nonsense.Store(true)
	(<-hosts).InvalidateAll()
	r.await("refused", func() bool { status, _ := r.ask(conn); return status == http.StatusServiceUnavailable })
	if status, text := r.ask(conn); status != http.StatusServiceUnavailable || strings.Contains(text, "X-Forwarded-For") {
		t.Errorf("the next request: %d\n%s", status, text)
	}
	nonsense.Store(false)
	if status, _ := r.ask(conn); status != http.StatusOK {
		t.Errorf("once there is a verdict: %d", status)
	}
}

// TestTakenBackWhileAsked has a plugin take back all that it has said just before it
// answers: the answer does not outlive that.
func TestTakenBackWhileAsked(t *testing.T) {
	r := newRig(t)
	hosts := make(chan *sdk.Host, 1)
	var asked atomic.Int64
	r.listen("p", &scripted{
		background: func(host *sdk.Host) { hosts <- host },
		connection: func(sdk.Connection) sdk.Verdict {
			if asked.Add(1) > 1 {
				return sdk.Deny(http.StatusForbidden, "thought better of it")
			}
			(<-hosts).InvalidateAll() // in the stream before the verdict
			return sdk.Allow()
		},
	})
	r.start(attached("p", "connection") + verifying("plugins: [p]"))
	cert := pki.Must(r.ca.Issue()).TLSCertificate()
	conn, err := tls.Dial("tcp", r.address("verify"), r.client(&cert))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	if status, _ := r.ask(conn); status != http.StatusForbidden || asked.Load() != 2 {
		t.Errorf("%d, asked %d times, want 403 and 2", status, asked.Load())
	}
}

// TestHintsOfOneConnection has a plugin see more and less in a connection each time
// it is asked: what counts in all is the most that it has seen.
func TestHintsOfOneConnection(t *testing.T) {
	r := newRig(t)
	weights := []int{20, 45, 30, 48, 60}
	var asked atomic.Int64
	p := &scripted{ends: make(chan error), connection: func(sdk.Connection) sdk.Verdict {
		return sdk.Allow().Ban(weights[min(int(asked.Add(1)), len(weights))-1])
	}}
	r.listen("p", p)
	r.start("ban: {mode: enforce, datapath: userspace, failures: 50, success_credit: 0}\n" +
		attached("p", "connection") + verifying("plugins: [p]", "proxy_protocol: {from: [127.0.0.2]}"))
	cert := pki.Must(r.ca.Issue()).TLSCertificate()
	addr := netip.MustParseAddr("192.0.2.1")
	conn := r.openFrom(addr.String(), &cert)
	for i := range weights[:len(weights)-1] {
		if status, _ := r.ask(conn); status != http.StatusOK || asked.Load() != int64(i+1) {
			t.Fatalf("process %d: %d, asked %d times", i+1, status, asked.Load())
		}
		if b, banned := r.banOf(addr); banned {
			t.Fatalf("banned after weights %v: %+v", weights[:i+1], b)
		}
		r.restart(p)
	}
	get(conn) // who is banned meanwhile may get no answer
	r.await("banned", func() bool { _, banned := r.banOf(addr); return banned })
	if b, _ := r.banOf(addr); b.Score != 60 || b.Reason != reason.ClientCertRejected.String() {
		t.Errorf("got %+v, want a score of 60", b)
	}
}
