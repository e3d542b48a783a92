package loadtest

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/sallyport/sallyport/loadtest/pki"
)

func write(t *testing.T, dir, name string, parts ...[]byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, bytes.Join(parts, nil), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestLoadClients has clients in files in every way that a plan knows, in the
// order in which they come.
func TestLoadClients(t *testing.T) {
	t.Parallel()
	dir, many := t.TempDir(), t.TempDir()
	key := pki.Must(pki.NewKey(pki.P256))
	leaf := func(name string, opts ...pki.Option) *pki.Leaf {
		return pki.Must(authority().root.Issue(append(opts, pki.CommonName(name))...))
	}
	keyOf := func(l *pki.Leaf) []byte { return pki.Must(l.KeyPEM()) }
	one, two, three := leaf("one"), leaf("two"), leaf("three")
	oneCert, oneKey := write(t, dir, "one.crt", one.CertPEM()), write(t, dir, "one.key", keyOf(one))
	twoBoth := write(t, dir, "two.pem", two.CertPEM(), keyOf(two))
	threeCert, threeKey := write(t, dir, "three.crt", three.CertPEM()), write(t, dir, "three.key", keyOf(three))
	// Of a pattern: a key beside the certificate, one in it, and one for all.
	beside, within, shared := leaf("beside"), leaf("within"), leaf("shared", pki.ExistingKey(key))
	write(t, many, "a.crt", beside.CertPEM())
	write(t, many, "a.key", keyOf(beside))
	write(t, many, "b.crt", within.CertPEM(), keyOf(within))
	write(t, many, "c.crt", shared.CertPEM())
	sharedKey := write(t, dir, "shared.key", keyOf(shared))
	bad := write(t, dir, "bad.pem", []byte("nothing"))

	for _, c := range []struct {
		name string
		plan Plan
		want []string // common names
		err  string
	}{
		{name: "none", plan: Plan{}, want: []string{""}},
		{name: "a pair", plan: Plan{Certificate: oneCert, Key: oneKey}, want: []string{"one"}},
		{name: "both in one", plan: Plan{Certificate: twoBoth}, want: []string{"two"}},
		{name: "a list", plan: Plan{Identities: []Identity{{twoBoth, ""}, {threeCert, threeKey}}}, want: []string{"two", "three"}},
		{name: "a pattern", plan: Plan{IdentityFiles: many + "/*", Key: sharedKey}, want: []string{"beside", "within", "shared"}},
		{name: "all", plan: Plan{
			Clients: []tls.Certificate{authority().alice.TLSCertificate()}, Certificate: oneCert, Key: oneKey,
			Identities: []Identity{{threeCert, threeKey}}, IdentityFiles: many + "/[ab].*",
		}, want: []string{"alice", "one", "three", "beside", "within"}},

		{name: "no file", plan: Plan{Certificate: dir + "/none"}, err: "read client certificate: open " + dir + "/none: "},
		{name: "no key", plan: Plan{Certificate: oneCert, Key: dir + "/none"}, err: "read client key: open " + dir + "/none: "},
		{name: "another's key", plan: Plan{Certificate: oneCert, Key: threeKey}, err: "load client certificate " + oneCert + ": "},
		{name: "no key in it", plan: Plan{Certificate: oneCert}, err: "load client certificate " + oneCert + ": "},
		{name: "nothing in it", plan: Plan{Identities: []Identity{{bad, ""}}}, err: "load client certificate " + bad + ": "},
		{name: "a pattern of nothing", plan: Plan{IdentityFiles: many + "/x*"}, err: `identity_files "` + many + `/x*": no such files`},
		{name: "a pattern of keys", plan: Plan{IdentityFiles: many + "/*.key"}, err: `identity_files "` + many + `/*.key": no such files`},
	} {
		got, err := loadClients(c.plan)
		if c.err != "" {
			if err == nil || !strings.HasPrefix(err.Error(), c.err) {
				t.Errorf("%s: got %v, want %s…", c.name, err, c.err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		var names []string
		for range got.all {
			names = append(names, commonName(t, got.take()))
		}
		if !slices.Equal(names, c.want) {
			t.Errorf("%s: got %q, want %q", c.name, names, c.want)
		}
		if again := commonName(t, got.take()); again != c.want[0] {
			t.Errorf("%s: after the last came %q, want %q", c.name, again, c.want[0])
		}
	}
}

func commonName(t *testing.T, id *identity) string {
	t.Helper()
	if len(id.std.Certificate) == 0 {
		return ""
	}
	if !slices.EqualFunc(id.std.Certificate, id.u.Certificate, bytes.Equal) || id.std.PrivateKey != id.u.PrivateKey {
		t.Error("the two libraries have different clients")
	}
	c, err := x509.ParseCertificate(id.std.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	return c.Subject.CommonName
}

// A run with nothing but files: the intermediates are presented too.
func TestRunFromFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mid := pki.Must(authority().root.NewIntermediate())
	bob := pki.Must(mid.Issue(pki.CommonName("bob")))
	if err := bob.WriteFiles(dir, "bob"); err != nil {
		t.Fatal(err)
	}
	ca := write(t, dir, "ca.pem", []byte("A comment.\n"), pki.Bundle(pki.Must(pki.NewRoot()), authority().root))
	var mu sync.Mutex
	came := map[string]int{}
	p := Plan{
		Target: serve(t, func(_ http.ResponseWriter, r *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			came[r.TLS.PeerCertificates[0].Subject.CommonName]++
		}),
		Scenario: Handshake, Count: 4, Connections: 2, CA: ca,
		Certificate: filepath.Join(dir, "bob.crt"), Key: filepath.Join(dir, "bob.key"),
	}
	wantUnits(t, run(t, p), 4, 0, 0)
	if came["bob"] != 4 {
		t.Errorf("came %v", came)
	}

	for name, want := range map[string]string{
		filepath.Join(dir, "none"):                   "read CA: open ",
		write(t, dir, "empty.pem", []byte("x")):      "read CA " + dir + "/empty.pem: no PEM block CERTIFICATE",
		filepath.Join(dir, "bob.key"):                "read CA " + dir + "/bob.key: no PEM block CERTIFICATE",
		write(t, dir, "bad.pem", []byte(badCertPEM)): "parse CA " + dir + "/bad.pem: ",
	} {
		p.CA = name
		if _, err := Run(t.Context(), p, nil); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want %s…", err, want)
		}
	}
}

const badCertPEM = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
