package pluginhost

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/http1"
	"github.com/sallyport/sallyport/sdk/frame"
)

// TestOrder: plugins are asked in the order of the configuration, each sees what
// those before it have made of the header, and a denial ends the asking.
func TestOrder(t *testing.T) {
	var saw atomic.Pointer[[]string]
	first := &fake{hello: frame.HelloBody{Name: "a", Hooks: frame.HookRequest}}
	first.answer = func(p *peer, f frame.Frame) {
		p.verdict(f.ID, frame.VerdictBody{Decision: frame.Allow, Ban: 1, Edits: []frame.Edit{
			{Op: frame.SetHeader, Name: "X-Role", Value: "user"}, {Op: frame.RemoveHeader, Name: "X-Old"}, {Op: frame.AddHeader, Name: "X-List", Value: "2"}}})
	}
	second := &fake{hello: frame.HelloBody{Name: "b", Hooks: frame.HookRequest, Needs: []string{"header:x-role", "header:x-old", "header:x-list"}}}
	second.answer = func(p *peer, f frame.Frame) {
		list := fields(f)
		saw.Store(&list)
		p.verdict(f.ID, frame.VerdictBody{Decision: frame.Deny, Status: 403, Reason: "no", Ban: 2})
	}
	third := &fake{hello: frame.HelloBody{Name: "c", Hooks: frame.HookRequest}, answer: func(p *peer, f frame.Frame) { t.Error("asked behind a denial") }}
	r := newRig(t, map[string]*fake{"a": first, "b": second, "c": third})
	all := map[string]config.Plugin{"a": pluginConfig(nil), "b": pluginConfig(nil), "c": pluginConfig(nil)}
	if err := r.configure(all, "a", "b", "c"); err != nil {
		t.Fatal(err)
	}
	d := r.ask(connection(), get("/", "X_Role", "root", "X-Role", "admin", "X-Old", "1", "X-List", "1"))
	r.wants(d, Denied, 0)
	if d.Plugin != "b" || d.Ban != 3 || len(d.Edits) != 0 {
		t.Errorf("got %+v", d)
	}
	want := []string{"headers=x-role\x00user", "headers=x-list\x001", "headers=x-list\x002"}
	if got := *saw.Load(); !slices.Equal(got, want) {
		t.Errorf("the second plugin saw %q, want %q", got, want)
	}
}

// TestFields: exactly what was declared is told, and of a client that nobody has
// verified nothing.
func TestFields(t *testing.T) {
	var saw atomic.Pointer[[]string]
	f := &fake{hello: frame.HelloBody{Needs: frame.FieldNames(), Hooks: frame.HookConnection | frame.HookRequest | frame.HookShapeResponse}}
	f.answer = func(p *peer, f frame.Frame) {
		list := fields(f)
		saw.Store(&list)
		allow(p, f)
	}
	r := one(t, f, nil)
	told := func() string { return strings.Join(*saw.Load(), "\n") }
	req := get("/p", "Accept", "*/*")
	req.Head.Query = "q=1"
	var d Decision
	r.chain.Connection(connection(), &d)
	if got := told(); strings.Contains(got, "request.") || !strings.Contains(got, "cert.verified=\x00") || strings.Count(got, "cert.") != 1 {
		t.Errorf("of a connection without a certificate:\n%q", got)
	}
	conn := connection()
	conn.Chain = []*x509.Certificate{{Raw: []byte("DER"), Subject: pkix.Name{CommonName: "cn", OrganizationalUnit: []string{"a", "b"}}, DNSNames: []string{"d"}}}
	r.ask(conn, req)
	for _, want := range []string{
		"connection.id=TID_1", "connection.client_ip=192.0.2.1", "connection.listener=public", "connection.server_name=example.com",
		"cert.verified=\x01", "cert.der=DER", "cert.chain=DER", "cert.common_name=cn", "cert.organizational_units=a", "cert.organizational_units=b", "cert.dns_names=d",
		"request.method=GET", "request.scheme=https", "request.host=example.com", "request.path=/p", "request.query=q=1", "request.version=HTTP/1.1",
		"headers=accept\x00*/*",
	} {
		if !strings.Contains(told(), want) {
			t.Errorf("not told %q of a request:\n%q", want, told())
		}
	}
	if strings.Contains(told(), "response") {
		t.Errorf("told of a response that is not there:\n%q", told())
	}
	response := &http1.Response{Status: 418, Fields: []http1.Field{{Name: "A", Value: "1"}, {Name: "Connection", Value: "close", Kind: http1.Connection}}}
	r.chain.Response(conn, req, response, &d)
	if got := told(); !strings.Contains(got, "response.status=\xa2\x01") || !strings.Contains(got, "response_headers=a\x001") || strings.Contains(got, "close") {
		t.Errorf("of a response:\n%q", got)
	}
}

// TestHiddenFields: what does not go on to the target is not told either.
func TestHiddenFields(t *testing.T) {
	var saw atomic.Pointer[[]string]
	f := &fake{hello: frame.HelloBody{Needs: []string{"headers", "header:x-client-subject"}}}
	f.answer = func(p *peer, f frame.Frame) {
		list := fields(f)
		saw.Store(&list)
		allow(p, f)
	}
	r := one(t, f, nil)
	req := get("/", "X-Client-Subject", "forged", "X-Plain", "1")
	req.Passed = passOnly("X-Plain")
	r.ask(connection(), req)
	if got := *saw.Load(); !slices.Equal(got, []string{"headers=x-plain\x001"}) {
		t.Errorf("told %q", got)
	}
}

type passOnly string

func (p passOnly) Passes(f *http1.Field) bool { return f.Name == string(p) }

func TestObserve(t *testing.T) {
	f := &fake{hello: frame.HelloBody{Hooks: frame.HookObserve, Needs: []string{"request.path", "response.status"}}}
	r := one(t, f, nil)
	r.wants(r.ask(connection(), get("/")), Admitted, 0) // by nobody: it is not asked
	r.chain.Observe(connection(), get("/seen"), &http1.Response{Status: 200})
	r.await("told", func() bool { return f.peer().saw(frame.Observe) })
	f.deaf.Store(true)
	big := get("/" + strings.Repeat("x", 100_000))
	r.await("dropped", func() bool {
		r.chain.Observe(connection(), big, nil)
		return r.host.Status()[0].NotObserved > 0
	})
	f.deaf.Store(false)
}

func TestGrants(t *testing.T) {
	f := &fake{answer: func(p *peer, f frame.Frame) {
		p.verdict(f.ID, frame.VerdictBody{Decision: frame.Allow, Edits: []frame.Edit{{Op: frame.SetHeader, Name: "X-Client-Subject", Value: "CN=a"}, {Op: frame.AddHeader, Name: "X-Forwarded-For", Value: "b"}}})
	}}
	r := one(t, f, func(p *config.Plugin) { p.Grants = []string{"x-client-subject"} })
	r.wants(r.ask(connection(), get("/")), Unavailable, Malformed)
	if err := r.configure(map[string]config.Plugin{"p": pluginConfig(func(p *config.Plugin) { p.Grants = []string{"x-client-subject", "X-Forwarded-For"} })}, "p"); err != nil {
		t.Fatal(err)
	}
	r.wants(r.ask(connection(), get("/")), Admitted, 0)
}

func TestRules(t *testing.T) {
	r := rules{others: []string{"x-role"}}
	if r.check("X-Free", true) == nil {
		t.Error("rules that know no identity headers let one through")
	}
	if err := r.check("Set-Cookie", false); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"Content-Length", "TRANSFER_ENCODING", "connection", "Host", "Upgrade", "Te", "Trailer", "Keep-Alive"} {
		for _, ofRequest := range []bool{true, false} {
			if r.check(name, ofRequest) == nil {
				t.Errorf("%s may be changed", name)
			}
		}
	}
}

func TestBreaker(t *testing.T) {
	late := func(b *breaker, outcomes string) (opened bool) {
		for _, o := range outcomes {
			ok, canary := b.enter()
			if !ok {
				return true
			}
			opened = b.leave(canary, o == 'x') || opened
		}
		return opened
	}
	for _, test := range []struct {
		outcomes string
		opens    bool
	}{
		{"xxxx", false}, {"xxxxx", true}, {"xxxx.xxxx.xx.x", true}, {"xxxx.xxxx.xx", false},
		{strings.Repeat("x.", 50), false}, {strings.Repeat("xx.", 7), true}, {strings.Repeat(".", 40) + "xxxx", false},
	} {
		if got := late(new(breaker), test.outcomes); got != test.opens {
			t.Errorf("%s: open is %t", test.outcomes, got)
		}
	}
	var b breaker
	late(&b, "xxxxx")
	if ok, _ := b.enter(); ok {
		t.Fatal("asked while open")
	}
	b.answered()
	ok, canary := b.enter()
	if again, _ := b.enter(); !ok || !canary || again {
		t.Fatal("want one canary and no more")
	}
	b.leave(true, true)
	if ok, _ := b.enter(); ok {
		t.Error("closed by a canary that was late")
	}
	b.answered()
	_, canary = b.enter()
	b.leave(canary, false)
	if ok, canary := b.enter(); !ok || canary {
		t.Error("not closed by a canary that was answered")
	}
}

func TestBackoff(t *testing.T) {
	var b backoff
	now := time.Duration(0)
	for i, want := range []time.Duration{50, 100, 200, 400} {
		if got, degraded := b.next(now, time.Second, 0.5); got != want*time.Millisecond || degraded {
			t.Errorf("end %d: wait %v, degraded is %t", i, got, degraded)
		}
		now += time.Second
	}
	if got, degraded := b.next(now, time.Second, 0.5); got != longestWait || !degraded {
		t.Errorf("the fifth within a minute: wait %v, degraded is %t", got, degraded)
	}
	now += time.Hour
	if got, degraded := b.next(now, time.Hour, 0.5); got != firstWait || degraded {
		t.Errorf("after an hour: wait %v, degraded is %t", got, degraded)
	}
	for i := range 40 {
		now += 20 * time.Second
		low, _ := b.next(now, 0, 0)
		if low > longestWait || low <= 0 {
			t.Fatalf("end %d: wait %v", i, low)
		}
	}
	if high, _ := new(backoff).next(0, 0, 1); high != 60*time.Millisecond {
		t.Errorf("with the most of chance: %v, want 60ms", high)
	}
}

func TestCancelled(t *testing.T) {
	var c cancelled
	for id := uint32(1); id <= mostCancelled; id++ {
		c.add(id)
	}
	if !c.take(7) || c.full && c.take(1<<20) {
		t.Error("an id that was given up is not known, or one that was not is")
	}
	for id := uint32(mostCancelled + 1); id <= 3*mostCancelled; id++ {
		c.add(id)
	}
	if !c.take(2*mostCancelled+5) || c.take(2*mostCancelled+5) {
		t.Error("want each answered once")
	}
	if !c.take(9) {
		t.Error("one that is too old to remember counts as known")
	}
	if c.take(4 * mostCancelled) {
		t.Error("one that was never given up is known")
	}
	if len(c.ids) > mostCancelled {
		t.Errorf("%d remembered", len(c.ids))
	}
}
