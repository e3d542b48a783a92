package servercert

import (
	"crypto/tls"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/loadtest/pki"
)

// files writes a pair and returns its entry in the configuration.
func files(t *testing.T, dir, name string, leaf *pki.Leaf, hosts ...string) config.Certificate {
	t.Helper()
	if err := leaf.WriteFiles(dir, name); err != nil {
		t.Fatal(err)
	}
	return config.Certificate{Name: name, Hosts: hosts, File: config.KeyPair{Cert: name + ".crt", Key: name + ".key"}}
}

func in(dir string) Options {
	return Options{
		Resolve: func(name string) string {
			if filepath.IsAbs(name) {
				return name
			}
			return filepath.Join(dir, name)
		},
		Manager: NewManager(Dir(filepath.Join(dir, "state")), slog.New(slog.DiscardHandler)),
	}
}

func TestPick(t *testing.T) {
	dir := t.TempDir()
	ca := pki.Must(pki.NewRoot())
	var all []*Certificate
	for _, c := range []config.Certificate{
		files(t, dir, "default", pki.Must(ca.Issue(pki.Server("default.example")))),
		files(t, dir, "exact", pki.Must(ca.Issue(pki.Server("shop.example.com")))),
		files(t, dir, "wild", pki.Must(ca.Issue(pki.Server("*.example.com")))),
		files(t, dir, "ec", pki.Must(ca.Issue(pki.Server("both.test")))),
		files(t, dir, "rsa", pki.Must(ca.Issue(pki.Server("both.test"), pki.Key(pki.RSA(2048))))),
		files(t, dir, "narrow", pki.Must(ca.Issue(pki.Server("one.test", "two.test"))), "two.test"),
	} {
		loaded, err := Load(c, in(dir))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, loaded)
	}
	modern := []tls.SignatureScheme{tls.ECDSAWithP256AndSHA256, tls.PSSWithSHA256}
	for _, test := range []struct {
		name    string
		schemes []tls.SignatureScheme
		want    string // with unknown names refused; "" is none
	}{
		{"", modern, "default"},
		{"default.example", modern, "default"},
		{"shop.example.com", modern, "exact"},
		{"SHOP.Example.COM", modern, "exact"},
		{"other.example.com", modern, "wild"},
		{"a.b.example.com", modern, ""},
		{"example.com", modern, ""},
		{"elsewhere.test", modern, ""},
		{"both.test", modern, "ec"},
		{"both.test", []tls.SignatureScheme{tls.PSSWithSHA256}, "rsa"},
		{"two.test", modern, "narrow"},
		{"one.test", modern, ""},
	} {
		hello := &tls.ClientHelloInfo{
			ServerName:        test.name,
			SupportedVersions: []uint16{tls.VersionTLS13},
			SignatureSchemes:  test.schemes,
			SupportedCurves:   []tls.CurveID{tls.X25519, tls.CurveP256},
			CipherSuites:      []uint16{tls.TLS_AES_128_GCM_SHA256},
		}
		got := ""
		if c, err := NewSelector(all, true).Pick(hello); err != nil {
			t.Error(err)
		} else if c != nil {
			got = c.Name()
		}
		if got != test.want {
			t.Errorf("%q: %q, want %q", test.name, got, test.want)
		}
		if serves := NewSelector(all, true).Serves(test.name); serves != (test.want != "") {
			t.Errorf("%q: serves %v, and picks %q", test.name, serves, test.want)
		}
		lenient := test.want
		if lenient == "" {
			lenient = "default"
		}
		if c, err := NewSelector(all, false).Pick(hello); err != nil || c == nil || c.Name() != lenient {
			t.Errorf("%q where unknown names get the default: %v, %v, want %q", test.name, c, err, lenient)
		}
	}
}

func TestLoadRefuses(t *testing.T) {
	dir := t.TempDir()
	ca := pki.Must(pki.NewRoot())
	good := files(t, dir, "good", pki.Must(ca.Issue(pki.Server("good.example"))))
	other := files(t, dir, "other", pki.Must(ca.Issue(pki.Server("other.example"))))
	if err := os.WriteFile(filepath.Join(dir, "garbage.pem"), []byte("not PEM"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, field, text string
		edit              func(*config.Certificate)
	}{
		{"no certificate file", "file.cert", "no such file", func(c *config.Certificate) { c.File.Cert = "missing.crt" }},
		{"no key file", "file.key", "no such file", func(c *config.Certificate) { c.File.Key = "missing.key" }},
		{"another's key", "file.key", "does not match", func(c *config.Certificate) { c.File.Key = other.File.Key }},
		{"garbage for a certificate", "file.cert", "no PEM block", func(c *config.Certificate) { c.File.Cert = "garbage.pem" }},
		{"garbage for a key", "file.key", "failed to find any PEM data in key", func(c *config.Certificate) { c.File.Key = "garbage.pem" }},
		{"a host it is not for", "hosts", `"other.example": the certificate in`, func(c *config.Certificate) { c.Hosts = []string{"good.example", "other.example"} }},
		{"a wildcard it is not for", "hosts", `"*.example": the certificate in`, func(c *config.Certificate) { c.Hosts = []string{"*.example"} }},
	} {
		c := good
		test.edit(&c)
		_, err := Load(c, in(dir))
		var field *FieldError
		if !errors.As(err, &field) || field.Field != test.field || !strings.Contains(err.Error(), test.text) {
			t.Errorf("%s: %v, want one about %s that says %q", test.name, err, test.field, test.text)
		}
	}
}

func TestReloadKeepsTheOld(t *testing.T) {
	dir := t.TempDir()
	ca := pki.Must(pki.NewRoot())
	c, err := Load(files(t, dir, "c", pki.Must(ca.Issue(pki.Server("first.example")))), in(dir))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "c.crt"), []byte("half a fi"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := c.Reload(); err == nil || c.LastError() == "" {
		t.Errorf("a broken file was taken: %v, %q", err, c.LastError())
	}
	if got := c.Leaf().DNSNames[0]; got != "first.example" {
		t.Errorf("the old certificate is gone: %s", got)
	}
	files(t, dir, "c", pki.Must(ca.Issue(pki.Server("second.example"))))
	if err := c.Reload(); err != nil || c.LastError() != "" {
		t.Errorf("a mended file was not taken: %v, %q", err, c.LastError())
	}
	if got := c.Leaf().DNSNames[0]; got != "second.example" {
		t.Errorf("the old certificate stays: %s", got)
	}
}
