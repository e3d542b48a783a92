package edge

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	xocsp "golang.org/x/crypto/ocsp"

	"github.com/sallyport/sallyport/edge/reason"
	"github.com/sallyport/sallyport/loadtest/pki"
)

// TestRestartKeepsOCSPAnswers starts an edge anew whose responder does not answer any
// more: who was revoked stays out, also softly and with a staple from before.
func TestRestartKeepsOCSPAnswers(t *testing.T) {
	r := newRig(t)
	o := newResponder(t, r.ca)
	sections := func(mode string) string {
		return asking(fmt.Sprintf("ocsp: %s, ocsp_wait: 20s, ocsp_responder: %q", mode, o.URL))
	}
	good, revoked, damaged := pki.Must(r.ca.Issue()), pki.Must(r.ca.Issue()), pki.Must(r.ca.Issue())
	o.set(func(a *xocsp.Response) { a.ThisUpdate = a.ThisUpdate.Add(-time.Minute) })
	staple := o.staple(revoked)
	kept := func() []string {
		files, err := filepath.Glob(filepath.Join(r.dir, "state", "trust_stores", "clients", "ocsp", "*"))
		if err != nil {
			t.Fatal(err)
		}
		return files
	}
	want := func(r *rig, leaf *pki.Leaf, staple []byte, want reason.Code) {
		r.t.Helper()
		if record := r.come(leaf, staple); record.Status != want {
			r.t.Errorf("%s: %s; want %s", record.Status, record.Cause, want)
		}
	}
	life := func(name, sections string, do func(r *rig)) {
		t.Run(name, func(t *testing.T) {
			in := *r
			in.t = t
			in.start(sections)
			do(&in)
		})
	}
	life("first", sections("fallback"), func(r *rig) {
		o.set(revokedThen)
		want(r, damaged, nil, reason.ClientCertOcspDenied)
		r.await("one answer kept", func() bool { return len(kept()) == 1 })
		if err := os.WriteFile(kept()[0], []byte("damaged"), 0o600); err != nil {
			t.Fatal(err)
		}
		want(r, revoked, nil, reason.ClientCertOcspDenied)
		o.set(nil)
		want(r, good, nil, reason.Success)
	})
	if n := len(kept()); n != 3 {
		t.Fatalf("%d answers are kept", n)
	}
	asked := o.questions()
	life("fails softly", sections("fallback, ocsp_soft_fail: true"), func(r *rig) {
		o.CloseClientConnections()
		o.Close()
		want(r, revoked, nil, reason.ClientCertOcspDenied)
		want(r, revoked, staple, reason.ClientCertOcspDenied)
		want(r, good, nil, reason.Success)
		want(r, damaged, nil, reason.Success) // softly: nothing is known of it
	})
	life("requires", sections("require"), func(r *rig) {
		want(r, revoked, staple, reason.ClientCertOcspDenied)
		want(r, good, nil, reason.Success)
		want(r, damaged, nil, reason.ClientCertOcspProcessingError)
	})
	if n := o.questions(); n != asked {
		t.Errorf("asked %d times more", n-asked)
	}
}
