package edge

import (
	"crypto/x509"
	"log/slog"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/identity"
	"github.com/sallyport/sallyport/edge/servercert"
	"github.com/sallyport/sallyport/edge/truststore"
	"github.com/sallyport/sallyport/loadtest/pki"
)

// TestXFCCSaysByWhom: By is the certificate that was shown, and in a resumed
// session, where none is, the one for the name asked for.
func TestXFCCSaysByWhom(t *testing.T) {
	dir := t.TempDir()
	ca := pki.Must(pki.NewRoot())
	load := func(host string) *servercert.Certificate {
		at := pki.Must(url.Parse("spiffe://edge/" + host))
		leaf := pki.Must(ca.Issue(pki.Server(host), pki.URI(at)))
		if err := leaf.WriteFiles(dir, host); err != nil {
			t.Fatal(err)
		}
		return pki.Must(servercert.Load(config.Certificate{Name: host, File: config.KeyPair{Cert: host + ".crt", Key: host + ".key"}},
			servercert.Options{
				Resolve: func(name string) string { return filepath.Join(dir, name) },
				Manager: servercert.NewManager(servercert.Dir(dir), slog.New(slog.DiscardHandler)),
			}))
	}
	first, second := load("a.example.com"), load("b.example.com")
	selector := servercert.NewSelector([]*servercert.Certificate{first, second}, false)
	headers := pki.Must(identity.Compile(config.IdentityHeaders{Presets: []config.HeaderPreset{config.PresetXFCC}, MaxSize: 16 << 10}))
	client := pki.Must(ca.Issue())
	path := []*x509.Certificate{pki.Must(x509.ParseCertificate(client.DER))}

	for _, test := range []struct {
		name  string
		hello hello
		want  string
	}{
		{"shown", hello{serverName: "b.example.com", shown: first.Leaf()}, "By=spiffe://edge/a.example.com;Hash="},
		{"resumed", hello{serverName: "b.example.com"}, "By=spiffe://edge/b.example.com;Hash="},
		{"resumed without a name", hello{}, "By=spiffe://edge/a.example.com;Hash="},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := &Conn{policy: &policy{selector: selector}, hello: test.hello, verified: &truststore.Verified{Path: path}}
			fields := c.identityFields(headers)
			if len(fields) != 1 || !strings.HasPrefix(fields[0].Value, test.want) {
				t.Errorf("got %v, want %s…", fields, test.want)
			}
			if again := c.identityFields(headers); &again[0] != &fields[0] {
				t.Error("the block is made anew for each request")
			}
		})
	}
}

// TestChainIsThatOfTheConnection: two connections of one client, of whose two
// paths the first was revoked in between. The target is told of each what it was
// let in by.
func TestChainIsThatOfTheConnection(t *testing.T) {
	parsed := func(cas ...*pki.CA) (path []*x509.Certificate) {
		for _, ca := range cas {
			path = append(path, pki.Must(x509.ParseCertificate(ca.DER)))
		}
		return path
	}
	first, second := pki.Must(pki.NewRoot()), pki.Must(pki.NewRoot())
	issuing := pki.Must(first.NewIntermediate())
	crossed := pki.Must(second.CrossSign(issuing))
	leaf := pki.Must(x509.ParseCertificate(pki.Must(issuing.Issue()).DER))

	headers := pki.Must(identity.Compile(config.IdentityHeaders{Presets: []config.HeaderPreset{config.PresetRFC9440}, MaxSize: 16 << 10}))
	chain := &truststore.Chain{}
	told := func(path []*x509.Certificate) []identity.Field {
		c := &Conn{policy: &policy{}, verified: &truststore.Verified{Path: path, Chain: chain}}
		return c.identityFields(headers)
	}
	for _, path := range [][]*x509.Certificate{
		append([]*x509.Certificate{leaf}, parsed(issuing, first)...),
		append([]*x509.Certificate{leaf}, parsed(crossed, second)...),
	} {
		got, want := told(path), headers.Verified(identity.Client{Path: path})
		if !slices.Equal(got, want) {
			t.Errorf("got  %v\nwant %v", got, want)
		}
		if again := told(path); &again[0] != &got[0] {
			t.Error("the block is made anew for each connection")
		}
	}
}
