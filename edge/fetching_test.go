package edge

import (
	"bytes"
	"crypto/tls"
	"encoding/asn1"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/edge/reason"
	"github.com/sallyport/sallyport/edge/truststore"
	"github.com/sallyport/sallyport/loadtest/pki"
)

// publisher is a CA's web server. It can do everything wrong.
type publisher struct {
	*httptest.Server
	mu     sync.Mutex
	answer http.HandlerFunc
	asked  int
}

func newPublisher(t *testing.T, list []byte) *publisher {
	p := &publisher{}
	p.serve(list)
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		answer := p.answer
		p.asked++
		p.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(func() {
		p.CloseClientConnections()
		p.Close()
	})
	return p
}

// publish has everybody answered so from now on.
func (p *publisher) publish(answer http.HandlerFunc) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answer = answer
}

func (p *publisher) serve(content []byte) {
	p.publish(func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
	})
}

func (p *publisher) requests() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked
}

// fetching is a configuration that fetches a CRL from url.
func fetching(url string, more string) string {
	return fmt.Sprintf("trust_stores: {clients: {ca_bundle: {file: ca.pem}, crls: [{url: %q}], limits: {crl_size: 1MiB}, revocation: {%sfetch: {allow: [127.0.0.0/8], interval: 1s}}}}\n", url, more) + verifyListener
}

func (r *rig) store() *truststore.Store { return r.server.generation.Load().stores["clients"] }

// source is how the first URL stands.
func (r *rig) source() truststore.SourceStatus { return r.store().Status().Sources[0] }

// code is what becomes of a client.
func (r *rig) code(leaf *pki.Leaf) reason.Code {
	r.t.Helper()
	cert := leaf.TLSCertificate()
	record, _ := r.try("verify", r.client(&cert))
	return record.Status
}

func (r *rig) admits(leaf *pki.Leaf) {
	r.t.Helper()
	cert := leaf.TLSCertificate()
	if record, _ := r.try("verify", r.client(&cert)); record.Status != reason.Success {
		r.t.Errorf("refused: %s: %s", record.Status, record.Cause)
	}
}

// generations waits until the trust store has had n contents.
func (r *rig) generations(n uint64) {
	r.t.Helper()
	r.await("in force", func() bool { return r.store().Generation() >= n })
}

func (r *rig) crl(n int64, revoked ...*pki.Leaf) []byte {
	options := []pki.CRLOption{pki.Number(big.NewInt(n))}
	for _, leaf := range revoked {
		options = append(options, pki.Revoke(leaf))
	}
	return pki.Must(r.ca.CRL(options...))
}

// TestFetchedListIsPutInForce has a fetched list change: the live connection of
// whom it revokes ends, and nobody else's.
func TestFetchedListIsPutInForce(t *testing.T) {
	r := newRig(t)
	p := newPublisher(t, r.crl(1))
	r.start(fetching(p.URL, ""))
	r.generations(2)
	victim, bystander := pki.Must(r.ca.Issue()), pki.Must(r.ca.Issue())
	conn, other := r.dial("verify", victim), r.dial("verify", bystander)
	p.serve(r.crl(2, victim))
	if end := r.gone(conn); !strings.Contains(end, `"end":"Revoked"`) {
		t.Errorf("ended as %s", end)
	}
	if got := r.code(victim); got != reason.ClientCertCrlHit {
		t.Errorf("comes again: %s", got)
	}
	if _, err := get(other); err != nil {
		t.Errorf("the bystander: %v", err)
	}
}

// TestNothingWrongIsTaken has a server do everything wrong that it can, first
// where there is a good list, which stays, then where there is none, and nobody
// is let in.
func TestNothingWrongIsTaken(t *testing.T) {
	r := newRig(t)
	revoked, good := pki.Must(r.ca.Issue()), pki.Must(r.ca.Issue())
	stranger := pki.Must(pki.NewRoot())
	impostor := pki.Must(r.ca.Impostor())
	list := r.crl(7, revoked)
	content := func(b []byte) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.Write(b) }
	}
	spoilt := slices.Clone(list)
	spoilt[len(spoilt)-5] ^= 1
	wrongs := map[string]struct {
		answer http.HandlerFunc
		want   string
		older  bool // wrong only beside what is there
	}{
		"stalls": {answer: func(w http.ResponseWriter, q *http.Request) {
			w.Write(list[:100])
			w.(http.Flusher).Flush()
			<-q.Context().Done()
		}, want: "deadline exceeded"},
		"cuts": {answer: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(len(list)))
			w.Write(list[:100])
		}, want: "download broke after 100 bytes"},
		"claims less": {answer: func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack() // net/http does not lie
			if err != nil {
				return
			}
			defer conn.Close()
			fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(list)-10, list)
		}, want: "load CRL"},
		"claims more than is taken": {answer: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "99999999999")
			w.Write(list)
		}, want: "want at most 1048576"},
		"a gigabyte of zeros": {answer: func(w http.ResponseWriter, _ *http.Request) {
			zeros := make([]byte, 1<<20)
			for range 1 << 10 {
				if _, err := w.Write(zeros); err != nil {
					return
				}
			}
		}, want: "larger than 1048576 bytes"},
		"older":            {answer: content(r.crl(6)), want: "is older than", older: true},
		"of a stranger":    {answer: content(pki.Must(stranger.CRL())), want: "want one of a CA of the bundle"},
		"in the CA's name": {answer: content(pki.Must(impostor.CRL(pki.Number(big.NewInt(9))))), want: "load CRL"},
		"signature spoilt": {answer: content(spoilt), want: "load CRL"},
		"from the future":  {answer: content(pki.Must(r.ca.CRL(pki.Number(big.NewInt(9)), pki.ThisUpdate(time.Now().Add(time.Hour))))), want: "from the future"},
		"not a CRL":        {answer: content([]byte("<html>moved</html>")), want: "load CRL"},
		"empty":            {answer: content(nil), want: "load CRL"},
		"compressed": {answer: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			w.Write(list)
		}, want: "content encoding"},
		"an error": {answer: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }, want: "500"},
		"leads to metadata": {answer: func(w http.ResponseWriter, q *http.Request) {
			http.Redirect(w, q, "http://169.254.169.254/latest/", http.StatusFound)
		}, want: "169.254.169.254 is refused"},
		"leads to itself": {answer: func(w http.ResponseWriter, q *http.Request) {
			http.Redirect(w, q, "http://"+q.Host+q.URL.Path, http.StatusFound)
		}, want: "more than 2 redirects"},
		"leads to a file": {answer: func(w http.ResponseWriter, q *http.Request) {
			w.Header().Set("Location", "file:///etc/passwd")
			w.WriteHeader(302)
		}, want: `scheme "file"`},
		"says it is the same": {answer: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(304) }, want: "304"},
	}
	// One edge fetches from all of these at once: what takes time is waiting.
	names := slices.Sorted(maps.Keys(wrongs))
	p := newPublisher(t, nil)
	first := true
	serve := func(wrongly bool) {
		before := first
		first = false
		p.publish(func(w http.ResponseWriter, q *http.Request) {
			wrong := wrongs[strings.ReplaceAll(strings.Trim(q.URL.Path, "/"), "-", " ")]
			if before && wrong.older { // it would be the only list, and right
				w.WriteHeader(503)
				return
			}
			if wrongly && wrong.answer != nil {
				wrong.answer(w, q)
				return
			}
			http.ServeContent(w, q, "", time.Time{}, bytes.NewReader(list))
		})
	}
	var sources []string
	for _, name := range names {
		sources = append(sources, fmt.Sprintf("{url: %q}", p.URL+"/"+strings.ReplaceAll(name, " ", "-")))
	}
	serve(true)
	r.start("trust_stores: {clients: {ca_bundle: {file: ca.pem}, crls: [" + strings.Join(sources, ", ") +
		"], limits: {crl_size: 1MiB}, revocation: {fetch: {allow: [127.0.0.0/8], interval: 1s, timeout: 2s}}}}\n" + verifyListener)

	shown := func(when string, but func(string) bool) {
		t.Helper()
		for i, name := range names {
			if but(name) {
				continue
			}
			field := fmt.Sprintf("crls[%d]", i)
			r.await(fmt.Sprintf("the reason shown of what %q %s: %s", name, when, r.store().Status().Errors[field]), func() bool {
				status := r.store().Status()
				return strings.Contains(status.Errors[field], wrongs[name].want) && status.Sources[i].Failures > 0 && !status.Sources[i].NextAttempt.IsZero()
			})
		}
	}
	shown("from the first", func(name string) bool { return wrongs[name].older })
	cert := good.TLSCertificate()
	record, _ := r.try("verify", r.client(&cert))
	if record.Status != reason.ClientCertCrlProcessingError || !strings.Contains(record.Cause, "nothing has come from "+p.URL) {
		t.Errorf("with lists missing: %s: %s", record.Status, record.Cause)
	}

	well := func() bool { return len(r.store().Status().Errors) == 0 }
	serve(false)
	r.await("all fetched", func() bool { return well() && len(r.store().Status().CRLs) == len(names) })
	r.await("in force", func() bool { return r.code(good) == reason.Success })
	if got := r.code(revoked); got != reason.ClientCertCrlHit {
		t.Errorf("the revoked: %s", got)
	}
	generation := r.store().Generation()

	serve(true)
	shown("afterwards", func(name string) bool { return name == "says it is the same" }) // now it may
	if got := r.store().Generation(); got != generation {
		t.Errorf("generation %d is in force, was %d", got, generation)
	}
	r.admits(good)
	if got := r.code(revoked); got != reason.ClientCertCrlHit {
		t.Errorf("the revoked: %s", got)
	}
	serve(false)
	r.await("well again", well)
}

// TestFetchedListOutlastsARestart starts again with the server gone: the last
// list is in force from the first handshake on. An older one is refused then,
// too.
func TestFetchedListOutlastsARestart(t *testing.T) {
	r := newRig(t)
	revoked, good := pki.Must(r.ca.Issue()), pki.Must(r.ca.Issue())
	p := newPublisher(t, r.crl(5, revoked))
	sections := fetching(p.URL, "")
	t.Run("first", func(t *testing.T) {
		first := *r
		first.t = t
		first.start(sections)
		first.generations(2)
	})
	p.publish(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) })
	r.start(sections)
	if got := r.code(revoked); got != reason.ClientCertCrlHit {
		t.Errorf("the revoked: %s", got)
	}
	r.admits(good)
	p.serve(r.crl(4))
	r.await("refused", func() bool { return strings.Contains(r.source().LastError, "is older than") })
	if got := r.code(revoked); got != reason.ClientCertCrlHit {
		t.Errorf("the revoked: %s", got)
	}
}

// TestCAOfAFetchedList has only the root in the bundle: what the intermediate
// signs is taken only where the configuration names it.
func TestCAOfAFetchedList(t *testing.T) {
	r := newRig(t)
	issuing := pki.Must(r.ca.NewIntermediate())
	revoked, good := pki.Must(issuing.Issue()), pki.Must(issuing.Issue())
	list := pki.CRLPEM(pki.Must(issuing.CRL(pki.Revoke(revoked))), r.crl(1))
	p := newPublisher(t, list)
	r.write("issuing.pem", issuing.CertPEM())
	r.start(fetching(p.URL, ""))
	r.await("refused", func() bool { return strings.Contains(r.source().LastError, "want one of a CA of the bundle") })
	if got := r.code(good); got != reason.ClientCertCrlProcessingError {
		t.Errorf("before: %s", got)
	}
	r.configure(strings.Replace(fetching(p.URL, ""), `"}]`, `", ca: issuing.pem}]`, 1))
	if err := r.server.Reload(); err != nil {
		t.Fatal(err)
	}
	r.generations(2)
	r.admits(good)
	if got := r.code(revoked); got != reason.ClientCertCrlHit {
		t.Errorf("the revoked: %s", got)
	}
}

// TestDistributionPoints takes lists from where verified certificates say, on
// hosts that are allowed and from nobody else, and remembers that.
func TestDistributionPoints(t *testing.T) {
	r := newRig(t)
	asked := newPublisher(t, nil)
	elsewhere := pki.Must(r.ca.Issue(pki.CRLDistributionPoints(strings.Replace(asked.URL, "127.0.0.1", "127.0.0.2", 1) + "/x.crl")))
	stranger := pki.Must(pki.Must(pki.NewRoot()).Issue(pki.CRLDistributionPoints(asked.URL + "/stranger.crl")))
	good, revoked := pki.Must(r.ca.Issue(pki.CRLDistributionPoints(asked.URL+"/ca.crl"))), pki.Must(r.ca.Issue(pki.CRLDistributionPoints(asked.URL+"/ca.crl")))
	asked.serve(r.crl(3, revoked))
	sections := "trust_stores: {clients: {ca_bundle: {file: ca.pem}, revocation: {distribution_points: [127.0.0.1], fetch: {allow: [127.0.0.0/8], interval: 1s}}}}\n" + verifyListener
	t.Run("first", func(t *testing.T) {
		first := *r
		first.t = t
		first.start(sections)
		first.admits(elsewhere) // names no host that is allowed: as if it named none
		if got := first.code(stranger); got != reason.ClientCertUntrusted {
			t.Errorf("the stranger: %s", got)
		}
		if n := asked.requests(); n != 0 {
			t.Fatalf("asked %d times for whom nobody knows", n)
		}
		if got := first.code(good); got != reason.ClientCertCrlProcessingError {
			t.Errorf("before its list has come: %s", got)
		}
		first.generations(2)
		first.admits(good)
		if got := first.code(revoked); got != reason.ClientCertCrlHit {
			t.Errorf("the revoked: %s", got)
		}
	})
	asked.publish(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) })
	r.start(sections)
	r.admits(good)
	if got := r.code(revoked); got != reason.ClientCertCrlHit {
		t.Errorf("the revoked, after a restart: %s", got)
	}
	from := r.source()
	if !from.Point || from.URL != asked.URL+"/ca.crl" {
		t.Errorf("source %+v", from)
	}
}

// freshest is the extension by which a list names its delta (RFC 5280 section
// 5.2.6).
func freshest(url string) pki.CRLOption {
	name := asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 6, Bytes: []byte(url)}
	wrap := func(tag int, v any) asn1.RawValue {
		return asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: tag, IsCompound: true, Bytes: must(asn1.Marshal(v))}
	}
	points := []struct{ Name asn1.RawValue }{{wrap(0, wrap(0, name))}}
	return pki.Extension(asn1.ObjectIdentifier{2, 5, 29, 46}, false, must(asn1.Marshal(points)))
}

// TestFreshestCRL follows a complete list to its delta.
func TestFreshestCRL(t *testing.T) {
	r := newRig(t)
	revoked, good := pki.Must(r.ca.Issue()), pki.Must(r.ca.Issue())
	delta := newPublisher(t, pki.Must(r.ca.CRL(pki.Number(big.NewInt(8)), pki.DeltaTo(big.NewInt(7)), pki.Revoke(revoked))))
	full := newPublisher(t, pki.Must(r.ca.CRL(pki.Number(big.NewInt(7)), freshest(delta.URL+"/delta.crl"))))
	r.start(fetching(full.URL, "distribution_points: [127.0.0.1], "))
	r.generations(3)
	r.admits(good)
	if got := r.code(revoked); got != reason.ClientCertCrlHit {
		t.Errorf("whom the delta revokes: %s", got)
	}
}

// TestFetchGuard has the address be one that is not allowed.
func TestFetchGuard(t *testing.T) {
	r := newRig(t)
	p := newPublisher(t, r.crl(1))
	r.start(strings.Replace(fetching(p.URL, ""), "allow: [127.0.0.0/8], ", "", 1))
	r.await("refused", func() bool { return strings.Contains(r.source().LastError, "loopback") })
	if n := p.requests(); n != 0 {
		t.Errorf("asked %d times", n)
	}
}

// TestSweptSessions has a list revoke a client with a session that it could
// resume.
func TestSweptSessions(t *testing.T) {
	r := newRig(t)
	p := newPublisher(t, r.crl(1))
	r.start(fetching(p.URL, ""))
	r.generations(2)
	leaf := pki.Must(r.ca.Issue())
	cert := leaf.TLSCertificate()
	conf := r.client(&cert)
	conf.ClientSessionCache = tls.NewLRUClientSessionCache(4)
	if record, _ := r.try("verify", conf); record.Status != reason.Success {
		t.Fatal(record.Status)
	}
	p.serve(r.crl(2, leaf))
	r.generations(3)
	if record, body := r.try("verify", conf); record.Status != reason.ClientCertCrlHit || body != "" {
		t.Errorf("%s, %q", record.Status, body)
	}
}
