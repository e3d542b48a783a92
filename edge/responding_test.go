package edge

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	xocsp "golang.org/x/crypto/ocsp"

	"github.com/sallyport/sallyport/edge/connlog"
	"github.com/sallyport/sallyport/edge/reason"
	"github.com/sallyport/sallyport/loadtest/pki"
)

// responder answers OCSP questions about a CA's certificates. It can do it wrongly.
type responder struct {
	*httptest.Server
	t      *testing.T
	ca     *pki.CA
	mu     sync.Mutex
	change func(*xocsp.Response) // of each answer; nil: it is good
	signer signer                // the zero one: the CA
	hold   bool                  // hangs until the questioner is gone
	gate   chan struct{}         // answers wait for it; nil: for nothing
	asked  int
}

// signer signs answers; with is what is sent along for its sake.
type signer struct {
	cert, with *x509.Certificate
	key        crypto.Signer
}

func newResponder(t *testing.T, ca *pki.CA) *responder {
	o := &responder{t: t, ca: ca}
	o.Server = httptest.NewServer(o)
	t.Cleanup(func() {
		o.CloseClientConnections()
		o.Close()
	})
	return o
}

func (o *responder) set(change func(*xocsp.Response)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.change = change
}

func (o *responder) questions() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.asked
}

// ServeHTTP is for GET and POST, RFC 6960 appendix A.1.
func (o *responder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	der, err := io.ReadAll(r.Body)
	if r.Method == http.MethodGet {
		var text string
		if text, err = url.PathUnescape(strings.TrimPrefix(r.URL.EscapedPath(), "/")); err == nil {
			der, err = base64.StdEncoding.DecodeString(text)
		}
	}
	var question *xocsp.Request
	if err == nil {
		question, err = xocsp.ParseRequest(der)
	}
	if err != nil {
		w.Write(xocsp.MalformedRequestErrorResponse)
		return
	}
	o.mu.Lock()
	o.asked++
	hold, gate := o.hold, o.gate
	o.mu.Unlock()
	if hold {
		<-r.Context().Done()
		return
	}
	if gate != nil {
		select {
		case <-gate:
		case <-r.Context().Done():
			return
		}
	}
	w.Write(o.response(&xocsp.Response{SerialNumber: question.SerialNumber, IssuerHash: question.HashAlgorithm}))
}

// response is the DER of an answer about a serial number.
func (o *responder) response(about *xocsp.Response) []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now().UTC().Truncate(time.Second)
	about.ThisUpdate, about.NextUpdate, about.RevokedAt = now.Add(-time.Minute), now.Add(time.Hour), now
	if o.change != nil {
		o.change(about)
	}
	by := o.signer
	if by.key == nil {
		by = signer{cert: o.ca.Cert, key: o.ca.Key}
	}
	about.Certificate = by.with
	der, err := xocsp.CreateResponse(o.ca.Cert, by.cert, *about, by.key)
	if err != nil {
		o.t.Error(err)
	}
	return der
}

// staple is an answer about leaf to be stapled.
func (o *responder) staple(leaf *pki.Leaf) []byte {
	return o.response(&xocsp.Response{SerialNumber: leaf.Cert.SerialNumber, IssuerHash: crypto.SHA1})
}

func revokedThen(r *xocsp.Response) {
	r.Status, r.RevocationReason = xocsp.Revoked, xocsp.KeyCompromise
}
func unknownThen(r *xocsp.Response) { r.Status = xocsp.Unknown }
func outOfDate(r *xocsp.Response) {
	r.ThisUpdate, r.NextUpdate = r.ThisUpdate.Add(-4*time.Hour), r.NextUpdate.Add(-4*time.Hour)
}
func notYet(r *xocsp.Response) {
	r.ThisUpdate, r.NextUpdate = r.ThisUpdate.Add(4*time.Hour), r.NextUpdate.Add(4*time.Hour)
}
func ofAnother(r *xocsp.Response)  { r.SerialNumber = two }
func withoutEnd(r *xocsp.Response) { r.NextUpdate = time.Time{} }

// asking is a configuration whose trust store has these keys of revocation.
func asking(revocation string) string {
	return "trust_stores: {clients: {ca_bundle: {file: ca.pem}, revocation: {" + revocation + ", fetch: {allow: [127.0.0.0/8]}}}}\n" + verifyListener
}

func (r *rig) come(leaf *pki.Leaf, staple []byte) connlog.Record {
	r.t.Helper()
	cert := leaf.TLSCertificate()
	cert.OCSPStaple = staple
	record, body := r.try("verify", r.client(&cert))
	if (record.Status == reason.Success) != (body != "") {
		r.t.Errorf("%s, and the body is %q", record.Status, body)
	}
	return record
}

// TestOCSPAnswers has responders say all that they can, rightly and wrongly.
func TestOCSPAnswers(t *testing.T) {
	r := newRig(t)
	o := newResponder(t, r.ca)
	r.start(asking(fmt.Sprintf("ocsp: require, ocsp_wait: 20s, ocsp_responder: %q", o.URL)))
	impostor, client := pki.Must(r.ca.Impostor()), pki.Must(r.ca.Issue())
	for name, test := range map[string]struct {
		change func(*xocsp.Response)
		signer signer
		want   reason.Code
		cause  string
	}{
		"good":               {want: reason.Success},
		"revoked":            {change: revokedThen, want: reason.ClientCertOcspDenied, cause: "keyCompromise"},
		"unknown":            {change: unknownThen, want: reason.ClientCertOcspProcessingError, cause: "not known to its OCSP responder"},
		"out of date":        {change: outOfDate, want: reason.ClientCertOcspProcessingError, cause: "out of date"},
		"to come":            {change: notYet, want: reason.ClientCertOcspProcessingError, cause: "to come"},
		"of another":         {change: ofAnother, want: reason.ClientCertOcspProcessingError, cause: "other certificates"},
		"without an end":     {change: withoutEnd, want: reason.ClientCertOcspProcessingError, cause: "no nextUpdate"},
		"signed by another":  {signer: signer{cert: impostor.Cert, key: impostor.Key}, want: reason.ClientCertOcspProcessingError, cause: "issuer's key"},
		"signed by a client": {signer: signer{client.Cert, client.Cert, client.Key}, want: reason.ClientCertOcspProcessingError, cause: "OCSPSigning"},
	} {
		t.Run(name, func(t *testing.T) {
			o.mu.Lock()
			o.change, o.signer = test.change, test.signer
			o.mu.Unlock()
			for range 2 { // the second time from memory
				record := r.come(pki.Must(r.ca.Issue()), nil)
				if record.Status != test.want || !strings.Contains(record.Cause, test.cause) {
					t.Errorf("got %s: %s; want %s with %q", record.Status, record.Cause, test.want, test.cause)
				}
			}
		})
	}
}

// TestOCSPModes has each mode meet a certificate that no CRL covers, one that a
// CRL covers, and staples.
func TestOCSPModes(t *testing.T) {
	r := newRig(t)
	covered := pki.Must(pki.NewRoot())
	r.write("ca.pem", append(r.ca.CertPEM(), covered.CertPEM()...))
	r.write("crl.pem", pki.CRLPEM(pki.Must(covered.CRL())))
	open, under := newResponder(t, r.ca), newResponder(t, covered)
	for _, test := range []struct {
		mode          string
		answer        func(*xocsp.Response) // of the responder
		staple        func(*xocsp.Response)
		stapled       bool
		open, covered reason.Code
	}{
		{mode: "off", stapled: true, staple: revokedThen, open: reason.Success, covered: reason.Success},
		{mode: "staple", open: reason.Success, covered: reason.Success},
		{mode: "staple", stapled: true, open: reason.Success, covered: reason.Success},
		{mode: "staple", stapled: true, staple: revokedThen, open: reason.ClientCertOcspDenied, covered: reason.Success},
		{mode: "staple", stapled: true, staple: outOfDate, open: reason.Success, covered: reason.Success},
		{mode: "fallback", open: reason.Success, covered: reason.Success},
		{mode: "fallback", answer: revokedThen, open: reason.ClientCertOcspDenied, covered: reason.Success},
		{mode: "fallback", answer: ofAnother, open: reason.ClientCertOcspProcessingError, covered: reason.Success},
		{mode: "fallback", answer: ofAnother, stapled: true, open: reason.Success, covered: reason.Success},
		{mode: "fallback, ocsp_soft_fail: true", answer: ofAnother, open: reason.Success, covered: reason.Success},
		{mode: "fallback, ocsp_soft_fail: true", answer: unknownThen, open: reason.ClientCertOcspProcessingError, covered: reason.Success},
		{mode: "fallback, ocsp_soft_fail: true", answer: revokedThen, open: reason.ClientCertOcspDenied, covered: reason.Success},
		{mode: "require", open: reason.Success, covered: reason.Success},
		{mode: "require", answer: revokedThen, open: reason.ClientCertOcspDenied, covered: reason.ClientCertOcspDenied},
		{mode: "require", answer: ofAnother, open: reason.ClientCertOcspProcessingError, covered: reason.ClientCertOcspProcessingError},
		{mode: "require", answer: ofAnother, stapled: true, open: reason.Success, covered: reason.Success},
		{mode: "require", answer: ofAnother, stapled: true, staple: outOfDate, open: reason.ClientCertOcspProcessingError, covered: reason.ClientCertOcspProcessingError},
	} {
		t.Run(test.mode, func(t *testing.T) {
			r := *r
			r.t = t
			keys := "ocsp: " + test.mode
			if !strings.HasPrefix(test.mode, "off") && test.mode != "staple" {
				keys += ", ocsp_wait: 20s, ocsp_hosts: [127.0.0.1]"
			}
			r.start(strings.Replace(asking(keys), "revocation:", "crls: [{file: crl.pem}], revocation:", 1))
			for _, one := range []struct {
				*responder
				want reason.Code
			}{{open, test.open}, {under, test.covered}} {
				leaf := pki.Must(one.ca.Issue(pki.OCSPServer(one.URL)))
				var staple []byte
				if test.stapled {
					one.set(test.staple)
					staple = one.staple(leaf)
				}
				one.set(test.answer)
				if record := r.come(leaf, staple); record.Status != one.want {
					t.Errorf("%+v: got %s: %s; want %s", test, record.Status, record.Cause, one.want)
				}
			}
			if soft := strings.Contains(test.mode, "soft") && test.open == reason.Success; soft {
				if n := r.store().Status().OCSP.SoftFailed; n != 1 {
					t.Errorf("%d counted as let in without an answer", n)
				}
			}
		})
	}
}

// TestOCSPWaitIsBounded has a responder hang: the handshake goes on without the
// client when the wait is over, and not only when its own time is.
func TestOCSPWaitIsBounded(t *testing.T) {
	r := newRig(t)
	o := newResponder(t, r.ca)
	o.hold = true
	r.start(asking(fmt.Sprintf("ocsp: require, ocsp_responder: %q", o.URL)) + "    limits: {handshake_timeout: 120s}\n")
	record := r.come(pki.Must(r.ca.Issue()), nil)
	if record.Status != reason.ClientCertOcspProcessingError || !strings.Contains(record.Cause, "has not answered yet") {
		t.Errorf("%s: %s", record.Status, record.Cause)
	}
}

// TestOCSPHosts asks nobody whom the configuration does not allow.
func TestOCSPHosts(t *testing.T) {
	r := newRig(t)
	o := newResponder(t, r.ca)
	r.start(asking("ocsp: require, ocsp_hosts: [ocsp.example]"))
	record := r.come(pki.Must(r.ca.Issue(pki.OCSPServer(o.URL))), nil)
	if record.Status != reason.ClientCertOcspProcessingError || !strings.Contains(record.Cause, "names no OCSP responder that may be asked") || o.questions() != 0 {
		t.Errorf("%s: %s; asked %d times", record.Status, record.Cause, o.questions())
	}
}

// TestStapleOnResumption comes back with a session whose staple has grown old
// meanwhile: crypto/tls shows the same bytes, which no longer count.
func TestStapleOnResumption(t *testing.T) {
	r := newRig(t)
	o := newResponder(t, r.ca)
	o.set(ofAnother) // nobody else vouches
	r.start(asking(fmt.Sprintf("ocsp: require, ocsp_responder: %q", o.URL)))
	leaf := pki.Must(r.ca.Issue())
	o.set(lapsing())
	staple := o.staple(leaf)
	o.set(ofAnother)
	cert := leaf.TLSCertificate()
	cert.OCSPStaple = staple
	conf := r.client(&cert)
	conf.ClientSessionCache = tls.NewLRUClientSessionCache(4)
	over := time.Now().Add(lapse)
	if record, _ := r.try("verify", conf); record.Status != reason.Success {
		t.Fatalf("the first time: %s: %s", record.Status, record.Cause)
	}
	for i := 0; ; i++ {
		record, _ := r.try("verify", conf)
		if record.Status == reason.ClientCertOcspProcessingError && strings.Contains(record.Cause, "OCSP") {
			if !record.Resumed && i == 0 {
				t.Error("it was not resumed")
			}
			break
		}
		if record.Status != reason.Success || !record.Resumed {
			t.Fatalf("%s: %s, resumed %v", record.Status, record.Cause, record.Resumed)
		}
		if i > 1000 {
			t.Fatal("an old staple still counts")
		}
		r.await("over", func() bool { return time.Now().After(over) })
	}
}

// TestOCSPEndsLiveConnections has a responder revoke a client that is in.
func TestOCSPEndsLiveConnections(t *testing.T) {
	r := newRig(t)
	o := newResponder(t, r.ca)
	// Answers end at once, but for the skew that is granted: each sweep asks anew.
	brief := func(a *xocsp.Response) {
		a.NextUpdate = time.Now().Add(-5*time.Minute + 5*time.Second)
		a.ThisUpdate = a.NextUpdate.Add(-time.Hour)
	}
	o.set(brief)
	r.start(asking(fmt.Sprintf("ocsp: require, ocsp_wait: 20s, ocsp_responder: %q", o.URL)))
	leaf := pki.Must(r.ca.Issue())
	conn := r.dial("verify", leaf)
	o.set(revokedThen)
	gate := make(chan struct{})
	o.mu.Lock()
	o.gate = gate
	o.mu.Unlock()
	r.await("asked again", func() bool {
		r.server.sweepLater()
		return o.questions() > 1
	})
	// From here on nobody looks at the connections but for the answer's sake.
	r.await("swept", func() bool { return len(r.server.sweeps) == 0 })
	close(gate)
	if end := r.gone(conn); !strings.Contains(end, `"end":"Revoked"`) || !strings.Contains(end, "says OCSP") {
		t.Errorf("ended as %s", end)
	}
}

// TestKnownRevocationOutweighsStaple comes with a good response of before the
// revocation that the edge knows of.
func TestKnownRevocationOutweighsStaple(t *testing.T) {
	r := newRig(t)
	o := newResponder(t, r.ca)
	r.start(asking(fmt.Sprintf("ocsp: fallback, ocsp_wait: 20s, ocsp_responder: %q", o.URL)))
	leaf := pki.Must(r.ca.Issue())
	o.set(func(a *xocsp.Response) { a.ThisUpdate = a.ThisUpdate.Add(-time.Minute) })
	staple := o.staple(leaf)
	if record := r.come(leaf, staple); record.Status != reason.Success || o.questions() != 0 {
		t.Fatalf("%s: %s; asked %d times", record.Status, record.Cause, o.questions())
	}
	o.set(revokedThen)
	if record := r.come(leaf, nil); record.Status != reason.ClientCertOcspDenied {
		t.Fatalf("%s: %s", record.Status, record.Cause)
	}
	if record := r.come(leaf, staple); record.Status != reason.ClientCertOcspDenied {
		t.Errorf("with the staple: %s: %s", record.Status, record.Cause)
	}
	// One that is newer too: whether a hold is over, the responder is to say.
	o.set(func(a *xocsp.Response) { a.ThisUpdate = a.ThisUpdate.Add(30 * time.Second) })
	if record := r.come(leaf, o.staple(leaf)); record.Status != reason.ClientCertOcspDenied {
		t.Errorf("with a newer staple: %s: %s", record.Status, record.Cause)
	}
}
