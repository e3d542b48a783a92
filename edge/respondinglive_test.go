package edge

import (
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	xocsp "golang.org/x/crypto/ocsp"

	"github.com/sallyport/sallyport/edge/connlog"
	"github.com/sallyport/sallyport/edge/reason"
	"github.com/sallyport/sallyport/loadtest/pki"
)

// dialStapled is dial for a client that brings an OCSP response.
func (r *rig) dialStapled(leaf *pki.Leaf, staple []byte) *tls.Conn {
	r.t.Helper()
	cert := leaf.TLSCertificate()
	cert.OCSPStaple = staple
	conn, err := tls.Dial("tcp", r.address("verify"), r.client(&cert))
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

// lapse is how long a response of lapsing counts: long enough for a handshake on a
// busy machine.
const lapse = 5 * time.Second

// lapsing is of a response that counts for some time more, by the skew granted.
func lapsing() func(*xocsp.Response) {
	end := time.Now().Add(lapse - 5*time.Minute)
	return func(a *xocsp.Response) { a.ThisUpdate, a.NextUpdate = end.Add(-time.Hour), end }
}

// TestReloadKeepsOCSPAnswers changes a trust store: what its responder has said
// still outweighs a staple from before, and nobody has to be asked again.
func TestReloadKeepsOCSPAnswers(t *testing.T) {
	r := newRig(t)
	o := newResponder(t, r.ca)
	keys := "ocsp: require, ocsp_wait: %s, ocsp_responder: %q"
	r.start(asking(fmt.Sprintf(keys, "20s", o.URL)))
	leaf, other := pki.Must(r.ca.Issue()), pki.Must(r.ca.Issue())
	o.set(func(a *xocsp.Response) { a.ThisUpdate = a.ThisUpdate.Add(-time.Minute) })
	staple := o.staple(leaf)
	o.set(revokedThen)
	if record := r.come(leaf, nil); record.Status != reason.ClientCertOcspDenied {
		t.Fatalf("%s: %s", record.Status, record.Cause)
	}
	asked := o.questions()
	before := r.store()
	elsewhere := newResponder(t, r.ca)
	r.reload(asking(fmt.Sprintf(keys, "10s", elsewhere.URL)))
	if r.store() == before {
		t.Fatal("the trust store is the same: nothing is shown")
	}
	if record := r.come(leaf, staple); record.Status != reason.ClientCertOcspDenied {
		t.Errorf("with an old staple: %s: %s", record.Status, record.Cause)
	}
	if record := r.come(other, nil); record.Status != reason.Success {
		t.Errorf("%s: %s", record.Status, record.Cause)
	}
	if o.questions() != asked || elsewhere.questions() != 1 {
		t.Errorf("asked the old responder %d times more, the new one %d times; want 0 and 1", o.questions()-asked, elsewhere.questions())
	}
	// A reload that is refused changes nobody's settings.
	r.configure("trust_stores: {clients: {ca_bundle: {file: missing.pem}, revocation: {ocsp: require, ocsp_responder: \"http://127.0.0.1:1/\"}}}\n" + verifyListener)
	if err := r.server.Reload(); err == nil {
		t.Fatal("a bundle that is not there was taken")
	}
	if record := r.come(pki.Must(r.ca.Issue()), nil); record.Status != reason.Success {
		t.Errorf("after a reload that was refused: %s: %s", record.Status, record.Cause)
	}
}

// TestReloadAsksAboutLiveConnections turns OCSP on while a client is in.
func TestReloadAsksAboutLiveConnections(t *testing.T) {
	r := newRig(t)
	o := newResponder(t, r.ca)
	r.start(asking("ocsp: staple"))
	leaf := pki.Must(r.ca.Issue())
	conn := r.dial("verify", leaf)
	o.set(revokedThen)
	r.reload(asking(fmt.Sprintf("ocsp: fallback, ocsp_responder: %q", o.URL)))
	if end := r.gone(conn); !strings.Contains(end, `"end":"Revoked"`) || !strings.Contains(end, "says OCSP") {
		t.Errorf("ended as %s", end)
	}
}

// TestStapleLapses while its client is in: then the responder is asked.
func TestStapleLapses(t *testing.T) {
	for _, test := range []struct {
		keys   string
		answer func(*xocsp.Response)
		end    connlog.End // ClientClosed: it stays
	}{
		{"require, ocsp_grace: 0s", revokedThen, connlog.Revoked},
		{"require, ocsp_grace: 0s", unknownThen, connlog.Unvouched},
		{"require, ocsp_grace: 0s", ofAnother, connlog.Unvouched},
		{"require, ocsp_grace: 0s", nil, connlog.ClientClosed},
		{"require", ofAnother, connlog.ClientClosed},
		{"require, ocsp_grace: 0s, ocsp_soft_fail: true", ofAnother, connlog.ClientClosed},
		{"fallback", revokedThen, connlog.Revoked},
		{"fallback", ofAnother, connlog.ClientClosed},
	} {
		t.Run(test.keys, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			o := newResponder(t, r.ca)
			r.start(asking(fmt.Sprintf("ocsp: %s, ocsp_responder: %q", test.keys, o.URL)))
			leaf := pki.Must(r.ca.Issue())
			o.set(lapsing())
			staple := o.staple(leaf)
			o.set(test.answer)
			conn := r.dialStapled(leaf, staple)
			if n := o.questions(); n != 0 {
				t.Errorf("asked %d times while the staple was fresh", n)
			}
			r.await("asked", func() bool {
				r.server.sweepLater()
				return o.questions() > 0
			})
			answered := func() bool {
				status := r.server.generation.Load().responders["clients"].Status()
				return status.Asked > 0
			}
			r.await("answered", answered)
			if test.end == connlog.ClientClosed {
				for range 3 { // the last one to be seen has begun after the answer
					r.server.sweepLater()
					r.await("swept", func() bool { return len(r.server.sweeps) == 0 })
				}
				if _, err := get(conn); err != nil {
					t.Errorf("%s: %v", test.end, err)
				}
				return
			}
			r.await("seen to end", func() bool {
				r.server.sweepLater()
				return len(r.server.connections.all()) == 0
			})
			if end := r.gone(conn); !strings.Contains(end, fmt.Sprintf(`"end":%q`, test.end)) {
				t.Errorf("ended as %s, want %s", end, test.end)
			}
		})
	}
}

// TestOCSPWaitTakesNoTurn has one turn for handshakes, and a client in its
// handshake whose responder does not answer: another one comes in meanwhile.
func TestOCSPWaitTakesNoTurn(t *testing.T) {
	r := newRig(t)
	o := newResponder(t, r.ca)
	gate := make(chan struct{})
	o.mu.Lock()
	o.gate = gate
	o.mu.Unlock()
	listener := strings.Replace(verifyListener, "    default_action", "    limits: {handshakes: 1, handshake_timeout: 20s}\n    default_action", 1)
	r.start(strings.Replace(asking(fmt.Sprintf("ocsp: require, ocsp_wait: 50s, ocsp_responder: %q", o.URL)), verifyListener, listener, 1))
	waiting := pki.Must(r.ca.Issue()).TLSCertificate()
	came := make(chan error, 1)
	go func() {
		conn, err := tls.Dial("tcp", r.address("verify"), r.client(&waiting))
		if err == nil {
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(patience))
			_, err = get(conn)
		}
		came <- err
	}()
	r.await("asked", func() bool { return o.questions() == 1 })
	leaf := pki.Must(r.ca.Issue())
	if record := r.come(leaf, o.staple(leaf)); record.Status != reason.Success {
		t.Errorf("beside one that waits: %s: %s", record.Status, record.Cause)
	}
	select {
	case err := <-came:
		t.Errorf("the first one is through: %v", err)
	default:
	}
	close(gate)
	if err := <-came; err != nil {
		t.Errorf("when the answer had come: %v", err)
	}
}

// TestOutOfTurn gives the turn back for the wait, and has it again afterwards.
func TestOutOfTurn(t *testing.T) {
	turn := &handshakeTurn{turns: make(turns, 1), deadline: time.Now().Add(time.Minute)}
	c := &Conn{wire: &wire{shaking: turn}}
	if err := turn.work(); err != nil {
		t.Fatal(err)
	}
	ran := false
	c.outOfTurn(func() {
		ran = true
		if len(turn.turns) != 0 {
			t.Error("the turn is kept while waiting")
		}
	})
	if !ran || len(turn.turns) != 1 || !turn.working {
		t.Errorf("ran %t; %d turns taken afterwards, want 1", ran, len(turn.turns))
	}
	turn.deadline = time.Now()
	c.outOfTurn(func() { turn.turns <- struct{}{} })
	if err := turn.work(); !errors.Is(err, errNoTurn) {
		t.Errorf("past its deadline: %v", err)
	}
}
