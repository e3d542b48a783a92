package identity

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"net"
	"net/url"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/loadtest/pki"
)

func withSAN(values ...string) *x509.Certificate {
	c := &x509.Certificate{}
	for _, v := range values {
		c.Extensions = append(c.Extensions, pkix.Extension{Id: oidSubjectAltName, Value: []byte(v)})
	}
	return c
}

// TestAlternativeNamesAreThoseOfX509 also holds the order of the DER.
func TestAlternativeNamesAreThoseOfX509(t *testing.T) {
	uri := &url.URL{Scheme: "https", Host: "A.example", RawPath: "/%61", Path: "/a"}
	ca := pki.Must(pki.NewRoot())
	leaf := pki.Must(ca.Issue(
		pki.DNS("a.example", "https://b.example/"), pki.Email("c@example.com"), pki.URI(uri),
		pki.IP(net.IPv4(10, 0, 0, 1).To4(), net.ParseIP("2001:db8::1"))))
	got, err := AlternativeNames(leaf.Cert, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := []AlternativeName{
		{NameDNS, []byte("a.example")},
		{NameDNS, []byte("https://b.example/")},
		{NameEmail, []byte("c@example.com")},
		{NameIP, []byte{10, 0, 0, 1}},
		{NameIP, net.ParseIP("2001:db8::1")},
		{NameURI, []byte("https://A.example/%61")},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got, err := AlternativeNames(pki.Must(ca.Issue()).Cert, nil); len(got) > 0 || err != nil {
		t.Errorf("without the extension: %v, error %v", got, err)
	}
}

func TestMalformedAlternativeNames(t *testing.T) {
	for name, c := range map[string]*x509.Certificate{
		"empty extension":                  withSAN(""),
		"no SEQUENCE":                      withSAN("\x82\x01a"),
		"trailing data":                    withSAN("\x30\x03\x82\x01a\x00"),
		"unfinished":                       withSAN("\x30\x03\x82\x02a"),
		"universal tag":                    withSAN("\x30\x03\x16\x01a"),
		"constructed DNS name":             withSAN("\x30\x05\xa2\x03\x16\x01a"),
		"indefinite length":                withSAN("\x30\x80\x82\x01a\x00\x00"),
		"twice":                            withSAN("\x30\x03\x82\x01a", "\x30\x03\x82\x01b"),
		"empty extension, then a good one": withSAN("", "\x30\x03\x82\x01b"),
	} {
		if got, err := AlternativeNames(c, nil); err == nil {
			t.Errorf("%s: got %v, want an error", name, got)
		}
	}
	other := withSAN("\x30\x0a\xa0\x03\x06\x01\x01\x82\x03a\x00b")
	got, err := AlternativeNames(other, nil)
	want := []AlternativeName{{0, []byte{6, 1, 1}}, {NameDNS, []byte("a\x00b")}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("error %v, %s", err, diff)
	}
}

// FuzzAlternativeNames holds what is read against crypto/x509, which reads the
// certificate first. What only crypto/x509 takes, trailing data for one, has no
// names here.
func FuzzAlternativeNames(f *testing.F) {
	f.Add([]byte("\x30\x0b\x82\x09a.example"))
	f.Add([]byte("\x30\x1d\x86\x15https://a.example/%61\x87\x04\x0a\x00\x00\x01"))
	f.Add([]byte("\x30\x08\x81\x03a@b\xa0\x01\x00"))
	ca := pki.Must(pki.NewRoot(pki.Key(pki.P256)))
	f.Fuzz(func(t *testing.T, value []byte) {
		names, err := AlternativeNames(withSAN(string(value)), nil)
		leaf, issueErr := ca.Issue(pki.Extension(oidSubjectAltName, false, value))
		if err != nil || issueErr != nil || leaf.Cert == nil {
			return
		}
		told := func(typ NameType) (values []string) {
			for _, n := range names {
				if n.Type == typ {
					values = append(values, string(n.Value))
				}
			}
			return values
		}
		if got := told(NameDNS); !slices.Equal(got, leaf.Cert.DNSNames) {
			t.Errorf("DNS names %q, crypto/x509 has %q", got, leaf.Cert.DNSNames)
		}
		if got := told(NameEmail); !slices.Equal(got, leaf.Cert.EmailAddresses) {
			t.Errorf("email addresses %q, crypto/x509 has %q", got, leaf.Cert.EmailAddresses)
		}
		if got := told(NameURI); len(got) != len(leaf.Cert.URIs) {
			t.Errorf("URIs %q, crypto/x509 has %v", got, leaf.Cert.URIs)
		}
		for i, got := range told(NameIP) {
			if i >= len(leaf.Cert.IPAddresses) || !bytes.Equal([]byte(got), leaf.Cert.IPAddresses[i]) {
				t.Errorf("address %q, crypto/x509 has %v", got, leaf.Cert.IPAddresses)
			}
		}
	})
}
