package edge

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/edge/connlog"
	"github.com/sallyport/sallyport/edge/reason"
	"github.com/sallyport/sallyport/loadtest/pki"
	"github.com/sallyport/sallyport/sdk"
)

// ask makes one request on an open connection. What the target was told is in text.
func (r *rig) ask(conn *tls.Conn) (status int, text string) {
	r.t.Helper()
	fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		r.t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

// counting makes a plugin that says one thing of each connection, and counts how
// often it was asked.
func counting(v sdk.Verdict) (*scripted, *atomic.Int64) {
	asked := new(atomic.Int64)
	return &scripted{connection: func(sdk.Connection) sdk.Verdict {
		asked.Add(1)
		return v
	}}, asked
}

// TestOpenConnectionsAreJudgedAnew has reloads change the listener's plugins under a
// connection: those in force decide about its next request, and each is asked once.
func TestOpenConnectionsAreJudgedAnew(t *testing.T) {
	r := newRig(t)
	old, askedOld := counting(sdk.Allow().SetHeader("X-Judged", "old"))
	changed, askedChanged := counting(sdk.Allow().SetHeader("X-Judged", "changed"))
	denying, askedDenying := counting(sdk.Deny(http.StatusUnavailableForLegalReasons, "not any more"))
	r.listen("old", old)
	r.listen("changed", changed)
	r.listen("denying", denying)
	with := func(name string) string { return attached(name, "connection") + verifying("plugins: [p]") }
	r.start(verifying())
	leaf := pki.Must(r.ca.Issue())
	conn := r.dial("verify", leaf)

	for _, test := range []struct {
		name, sections, judged string
		asked                  *atomic.Int64
	}{
		{"the first plugin", with("old"), "X-Judged: old\r\n", askedOld},
		{"the same", with("old"), "X-Judged: old\r\n", askedOld},
		{"the plugin changed", with("changed"), "X-Judged: changed\r\n", askedChanged},
		{"no plugin", verifying(), "", nil},
	} {
		r.reload(test.sections)
		for range 2 {
			status, text := r.ask(conn)
			if got := strings.Count(text, "X-Judged"); status != http.StatusOK || !strings.Contains(text, test.judged) || (test.judged == "") != (got == 0) {
				t.Errorf("%s: %d, the target was told\n%s\nwant %q", test.name, status, text, test.judged)
			}
			if test.asked != nil && test.asked.Load() != 1 {
				t.Errorf("%s: asked %d times about one connection", test.name, test.asked.Load())
			}
		}
	}

	r.reload(with("denying"))
	if status, text := r.ask(conn); status != http.StatusUnavailableForLegalReasons || strings.Contains(text, "X-Forwarded-For") {
		t.Errorf("denied after it was let in: %d\n%s", status, text)
	}
	if text := r.gone(conn); !strings.Contains(text, fmt.Sprintf(`"end":%q`, connlog.PolicyChanged)) || !strings.Contains(text, "not any more") {
		t.Errorf("it ended so: %s", text)
	}
	if n := askedDenying.Load(); n != 1 {
		t.Errorf("the plugin that denies was asked %d times", n)
	}
}

// TestInvalidatedConnections has a plugin take back what it has said.
func TestInvalidatedConnections(t *testing.T) {
	r := newRig(t)
	hosts := make(chan *sdk.Host, 1)
	var denies atomic.Bool
	p, asked := counting(sdk.Allow())
	p.background = func(host *sdk.Host) { hosts <- host }
	allow := p.connection
	p.connection = func(c sdk.Connection) sdk.Verdict {
		if v := allow(c); !denies.Load() {
			return v
		}
		return sdk.Deny(http.StatusForbidden, "thought better of it")
	}
	r.listen("p", p)
	r.start(attached("p", "connection") + verifying("plugins: [p]"))
	conn := r.dial("verify", pki.Must(r.ca.Issue()))
	denies.Store(true)
	if status, _ := r.ask(conn); status != http.StatusOK || asked.Load() != 1 {
		t.Fatalf("before: %d, asked %d times", status, asked.Load())
	}
	(<-hosts).InvalidateAll()
	r.await("denied", func() bool { status, _ := r.ask(conn); return status == http.StatusForbidden })
	if text := r.gone(conn); !strings.Contains(text, fmt.Sprintf(`"end":%q`, connlog.PolicyChanged)) {
		t.Errorf("it ended so: %s", text)
	}
	if n := asked.Load(); n != 2 {
		t.Errorf("asked %d times, want 2", n)
	}
}

// TestAnotherProcessJudgesAnew has a plugin's process end under an open connection.
// The next one is asked about the connection, once, before its next request passes.
func TestAnotherProcessJudgesAnew(t *testing.T) {
	r := newRig(t)
	var denies atomic.Bool
	p, asked := counting(sdk.Allow().SetHeader("X-Judged", "yes"))
	p.ends = make(chan error)
	allow := p.connection
	p.connection = func(c sdk.Connection) sdk.Verdict {
		if v := allow(c); !denies.Load() {
			return v
		}
		return sdk.Deny(http.StatusForbidden, "another list now")
	}
	r.listen("p", p)
	r.start(attached("p", "connection") + verifying("plugins: [p]"))
	conn := r.dial("verify", pki.Must(r.ca.Issue()))
	for round := int64(1); round <= 2; round++ {
		for range 3 {
			if status, text := r.ask(conn); status != http.StatusOK || !strings.Contains(text, "X-Judged: yes") || asked.Load() != round {
				t.Fatalf("process %d: %d, asked %d times; the target was told\n%s", round, status, asked.Load(), text)
			}
		}
		denies.Store(round == 2)
		r.restart(p)
	}
	if status, _ := r.ask(conn); status != http.StatusForbidden || asked.Load() != 3 {
		t.Errorf("denied by the third process: %d, asked %d times", status, asked.Load())
	}
	if text := r.gone(conn); !strings.Contains(text, fmt.Sprintf(`"end":%q`, connlog.PolicyChanged)) || !strings.Contains(text, "another list now") {
		t.Errorf("it ended so: %s", text)
	}
}

// TestDeniedConnections has a plugin deny a client whose handshake was good: the
// answer to its first request says so, and is the last.
func TestDeniedConnections(t *testing.T) {
	r := newRig(t)
	p, asked := counting(sdk.Deny(http.StatusUnavailableForLegalReasons, "not for you").SetHeader("X-Why", "law"))
	r.listen("p", p)
	r.start(attached("p", "connection") + verifying("plugins: [p]"))
	cert := pki.Must(r.ca.Issue()).TLSCertificate()
	begun := time.Now()
	conn, err := tls.Dial("tcp", r.address("verify"), r.client(&cert))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	response, err := get(conn)
	if err != nil || response.StatusCode != http.StatusUnavailableForLegalReasons || response.Header.Get("X-Why") != "law" {
		t.Errorf("got %v, %v", response, err)
	}
	if n, err := conn.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("after the answer: %d bytes, %v, want the end", n, err)
	}
	record := r.recordOf(conn.LocalAddr(), begun)
	if record.Status != reason.ClientCertRejected || !strings.Contains(record.Cause, "not for you") || asked.Load() != 1 {
		t.Errorf("%s: %s, asked %d times", record.Status, record.Cause, asked.Load())
	}
}
