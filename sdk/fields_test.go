package sdk_test

import (
	"context"
	"crypto/sha256"
	"net/http"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/sdk"
	"github.com/sallyport/sallyport/sdk/frame"
	"github.com/sallyport/sallyport/sdk/sdktest"
)

// all are all fields that there are.
func all() (fields []sdk.Field) {
	for _, name := range frame.FieldNames() {
		fields = append(fields, sdk.Field(name))
	}
	return fields
}

// TestEveryField asks for everything that can be asked for.
func TestEveryField(t *testing.T) {
	peer := sdktest.NewPeer(t, sdktest.WithCN("a.example"), sdktest.WithOrganization("Bank"),
		sdktest.WithOU("payments"), sdktest.WithOU("treasury"), sdktest.WithDNS("a.example"), sdktest.WithEmail("a@example.com"),
		sdktest.WithURI("spiffe://example.com/a"), sdktest.WithIP(netip.MustParseAddr("2001:db8::1")), sdktest.WithSerial(0x3A5B1),
		sdktest.WithNotAfter(time.Date(2050, 1, 2, 3, 4, 5, 0, time.UTC)))
	var got []any
	p := allowing(1)
	p.manifest.Needs = all()
	p.response = func(_ context.Context, r sdk.Response) sdk.Verdict {
		c := r.Peer()
		got = []any{r.ID(), r.ClientIP(), r.ClientPort(), r.ServerPort(), r.Listener(), r.ServerName(), r.ALPN(), r.TLSVersion(),
			r.CipherSuite(), r.JA4(), r.Resumed(),
			c.Verified(), c.Certificate().Equal(peer.Certificate), len(c.Chain()), c.SHA256(), c.Subject(), c.Issuer(), c.Serial(),
			c.NotBefore(), c.NotAfter(), c.CommonName(), c.Organizations(), c.OrganizationalUnits(), c.DNSNames(), c.Emails(), c.URIs(), c.IPs(),
			r.Method(), r.Scheme(), r.Host(), r.Path(), r.Query(), r.Version(), r.RequestID(),
			r.Header("ACCEPT"), r.HeaderValues("accept"), r.Header("None"), pairs(r.Headers()),
			r.Status(), r.ResponseHeader("content-type"), r.ResponseHeaderValues("Via"), pairs(r.ResponseHeaders())}
		return sdk.Allow()
	}
	plugin := sdktest.Start(t, p, nil)
	plugin.ShapeResponse(sdktest.Response{
		Request: sdktest.Request{
			Connection: sdktest.Connection{ID: "TID_1", ClientIP: netip.MustParseAddr("198.51.100.7"), ClientPort: 1, ServerPort: 8443,
				Listener: "l", ServerName: "s", ALPN: "h2", TLSVersion: "TLSv1.2", CipherSuite: "c", JA4: "j", Resumed: true, Peer: peer},
			Method: "PUT", Scheme: "http", Host: "h:1", Path: "/a%2fb", Query: "a=b", Version: "HTTP/2.0", RequestID: "Root=1",
			Header: http.Header{"Accept": {"a", "b\xff"}},
		},
		Status: 404, ResponseHeader: http.Header{"Content-Type": {"text/plain"}, "Via": {"1", "2"}},
	})
	want := []any{"TID_1", netip.MustParseAddr("198.51.100.7"), uint16(1), uint16(8443), "l", "s", "h2", "TLSv1.2",
		"c", "j", true,
		true, true, 2, sha256.Sum256(peer.Certificate.Raw), peer.Certificate.Subject.String(), "CN=Test CA", "03A5B1",
		time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2050, 1, 2, 3, 4, 5, 0, time.UTC), "a.example", []string{"Bank"},
		[]string{"payments", "treasury"}, []string{"a.example"}, []string{"a@example.com"}, []string{"spiffe://example.com/a"},
		[]netip.Addr{netip.MustParseAddr("2001:db8::1")},
		"PUT", "http", "h:1", "/a%2fb", "a=b", "HTTP/2.0", "Root=1",
		"a", []string{"a", "b\xff"}, "", []string{"accept: a", "accept: b\xff"},
		404, "text/plain", []string{"1", "2"}, []string{"content-type: text/plain", "via: 1", "via: 2"}}
	if len(got) != len(want) {
		t.Fatalf("the hook got %d values, want %d", len(got), len(want))
	}
	for i := range want {
		if !reflect.DeepEqual(got[i], want[i]) {
			t.Errorf("value %d: %#v, want %#v", i, got[i], want[i])
		}
	}
}

func pairs(seq func(func(string, string) bool)) (list []string) {
	for name, value := range seq {
		list = append(list, name+": "+value)
	}
	return list
}

// methods are all methods that ask for a field, by their field.
var methods = map[sdk.Field]func(sdk.Response) any{
	sdk.ConnectionID:            func(r sdk.Response) any { return r.ID() },
	sdk.ClientIP:                func(r sdk.Response) any { return r.ClientIP() },
	sdk.ClientPort:              func(r sdk.Response) any { return r.ClientPort() },
	sdk.ServerPort:              func(r sdk.Response) any { return r.ServerPort() },
	sdk.Listener:                func(r sdk.Response) any { return r.Listener() },
	sdk.ServerName:              func(r sdk.Response) any { return r.ServerName() },
	sdk.ALPN:                    func(r sdk.Response) any { return r.ALPN() },
	sdk.TLSVersion:              func(r sdk.Response) any { return r.TLSVersion() },
	sdk.CipherSuite:             func(r sdk.Response) any { return r.CipherSuite() },
	sdk.JA4:                     func(r sdk.Response) any { return r.JA4() },
	sdk.Resumed:                 func(r sdk.Response) any { return r.Resumed() },
	sdk.CertVerified:            func(r sdk.Response) any { return r.Peer().Verified() },
	sdk.CertDER:                 func(r sdk.Response) any { return r.Peer().Certificate() },
	sdk.CertChain:               func(r sdk.Response) any { return r.Peer().Chain() },
	sdk.CertSHA256:              func(r sdk.Response) any { return r.Peer().SHA256() },
	sdk.CertSubject:             func(r sdk.Response) any { return r.Peer().Subject() },
	sdk.CertIssuer:              func(r sdk.Response) any { return r.Peer().Issuer() },
	sdk.CertSerial:              func(r sdk.Response) any { return r.Peer().Serial() },
	sdk.CertNotBefore:           func(r sdk.Response) any { return r.Peer().NotBefore() },
	sdk.CertNotAfter:            func(r sdk.Response) any { return r.Peer().NotAfter() },
	sdk.CertCommonName:          func(r sdk.Response) any { return r.Peer().CommonName() },
	sdk.CertOrganizations:       func(r sdk.Response) any { return r.Peer().Organizations() },
	sdk.CertOrganizationalUnits: func(r sdk.Response) any { return r.Peer().OrganizationalUnits() },
	sdk.CertDNSNames:            func(r sdk.Response) any { return r.Peer().DNSNames() },
	sdk.CertEmails:              func(r sdk.Response) any { return r.Peer().Emails() },
	sdk.CertURIs:                func(r sdk.Response) any { return r.Peer().URIs() },
	sdk.CertIPs:                 func(r sdk.Response) any { return r.Peer().IPs() },
	sdk.Method:                  func(r sdk.Response) any { return r.Method() },
	sdk.Scheme:                  func(r sdk.Response) any { return r.Scheme() },
	sdk.RequestHost:             func(r sdk.Response) any { return r.Host() },
	sdk.Path:                    func(r sdk.Response) any { return r.Path() },
	sdk.Query:                   func(r sdk.Response) any { return r.Query() },
	sdk.HTTPVersion:             func(r sdk.Response) any { return r.Version() },
	sdk.RequestID:               func(r sdk.Response) any { return r.RequestID() },
	sdk.AllHeaders:              func(r sdk.Response) any { return len(pairs(r.Headers())) },
	sdk.Header("x-a"):           func(r sdk.Response) any { return r.Header("X-A") },
	sdk.Status:                  func(r sdk.Response) any { return r.Status() },
	sdk.AllResponseHeaders:      func(r sdk.Response) any { return len(pairs(r.ResponseHeaders())) },
	sdk.ResponseHeader("x-a"):   func(r sdk.Response) any { return r.ResponseHeader("X-A") },
}

// TestFieldsThatWereNotDeclared holds that each method works with its own field
// declared, and denies with only other ones declared.
func TestFieldsThatWereNotDeclared(t *testing.T) {
	if missing := len(frame.FieldNames()) + 2 - len(methods); missing != 0 {
		t.Fatalf("%d fields have no method here", missing)
	}
	ask := func(needs []sdk.Field, method func(sdk.Response) any) sdktest.Verdict {
		p := allowing(1)
		p.manifest.Needs = needs
		p.response = func(_ context.Context, r sdk.Response) sdk.Verdict { method(r); return sdk.Allow() }
		plugin := sdktest.Start(t, p, nil)
		return plugin.ShapeResponse(sdktest.Response{Request: sdktest.Request{Connection: sdktest.Connection{Peer: sdktest.NewPeer(t)}}})
	}
	for field, method := range methods {
		if got := ask([]sdk.Field{field}, method); !got.Allowed {
			t.Errorf("%s, declared: %v", field, got)
		}
		var others []sdk.Field
		for other := range methods {
			of := func(f sdk.Field, kind string) bool { return strings.HasPrefix(string(f), kind) }
			switch {
			case other == field:
			case field == sdk.CertVerified && of(other, "cert."): // declared with them
			case of(field, "header:") && other == sdk.AllHeaders:
			case of(field, "response_header:") && other == sdk.AllResponseHeaders:
			default:
				others = append(others, other)
			}
		}
		if got := ask(others, method); got.Allowed || got.Status != 500 || got.Reason != "plugin panicked" {
			t.Errorf("%s, not declared: %v", field, got)
		}
	}
}

// TestUnverified holds that nothing of a certificate is to be had unless it is
// verified, even if an edge should send it.
func TestUnverified(t *testing.T) {
	var got []string
	p := allowing(1)
	p.manifest.Needs = all()
	p.response = func(_ context.Context, r sdk.Response) sdk.Verdict {
		got = nil
		for field, method := range methods {
			if strings.HasPrefix(string(field), "cert.") {
				if v := reflect.ValueOf(method(r)); !v.IsZero() {
					got = append(got, string(field))
				}
			}
		}
		return sdk.Allow()
	}
	h, served := serve(t, t.Context(), p)
	ask := func(verified []byte) int {
		t.Helper()
		b := append(frame.Begin(nil, frame.Response, 1), verified...)
		h.send(t, frame.End(append(b, certificateFields(t)...), 0))
		if v, err := frame.ParseVerdict(h.expect(t, frame.Verdict).Body); err != nil || v.Decision != frame.Allow {
			t.Errorf("%+v, error %v", v, err)
		}
		return len(got)
	}
	if n := ask(frame.AppendBool(nil, frame.TagCertVerified, true)); n != 16 {
		t.Errorf("verified: %d fields have something: %v", n, got)
	}
	if n := ask(frame.AppendBool(nil, frame.TagCertVerified, false)); n != 0 {
		t.Errorf("not verified: %v", got)
	}
	if n := ask(nil); n != 0 {
		t.Errorf("nothing said of it: %v", got)
	}
	h.conn.Close()
	<-served
}

// certificateFields are all fields of a certificate but whether it is verified.
func certificateFields(t *testing.T) (b []byte) {
	leaf := sdktest.NewPeer(t).Certificate
	b = frame.AppendField(b, frame.TagCertDER, leaf.Raw)
	b = frame.AppendField(b, frame.TagCertChain, leaf.Raw)
	b = frame.AppendString(b, frame.TagCertSHA256, strings.Repeat("a", 32))
	b = frame.AppendTime(b, frame.TagCertNotBefore, -1)
	b = frame.AppendTime(b, frame.TagCertNotAfter, 1)
	for _, tag := range []frame.Tag{frame.TagCertSubject, frame.TagCertIssuer, frame.TagCertSerial, frame.TagCertCommonName,
		frame.TagCertOrganizations, frame.TagCertOrganizationalUnits, frame.TagCertDNSNames, frame.TagCertEmails,
		frame.TagCertURIs} {
		b = frame.AppendString(b, tag, "a")
	}
	return frame.AppendString(b, frame.TagCertIPs, "192.0.2.1")
}

// TestWhatIsKeptTooLong holds that who keeps a request is not answered from
// another one.
func TestWhatIsKeptTooLong(t *testing.T) {
	for _, concurrency := range []int{1, 4} {
		var kept sdk.Request
		first := true
		p := deciding(func(_ context.Context, r sdk.Request) sdk.Verdict {
			if first {
				first, kept = false, r
				return sdk.Allow().SetHeader("X-Path", r.Path())
			}
			return sdk.Allow().SetHeader("X-Path", kept.Path())
		}, sdk.Path)
		p.manifest.Concurrency = concurrency
		plugin := sdktest.Start(t, p, nil)
		if got := plugin.AuthorizeRequest(sdktest.Request{Path: "/first"}); got.Header("X-Path") != "/first" {
			t.Errorf("first: %v", got)
		}
		if got := plugin.AuthorizeRequest(sdktest.Request{Path: "/second"}); got.Allowed {
			t.Errorf("with the first one's request: %v", got)
		}
		plugin.WaitForLog("used after its hook has returned")
	}
}

func TestZeroHandles(t *testing.T) {
	plugin := sdktest.Start(t, deciding(func(context.Context, sdk.Request) sdk.Verdict {
		return sdk.Allow().SetHeader("X-Path", sdk.Request{}.Path())
	}, sdk.Path), nil)
	if got := plugin.AuthorizeRequest(sdktest.Request{}); got.Allowed {
		t.Errorf("the zero request: %v", got)
	}
}
