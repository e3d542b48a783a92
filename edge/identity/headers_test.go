package identity

import (
	"crypto/x509"
	"encoding/base64"
	"math/big"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/sallyport/sallyport/edge/config"
)

func albConfig() config.IdentityHeaders {
	return config.IdentityHeaders{Presets: []config.HeaderPreset{config.PresetALB}, MaxSize: 16 << 10}
}

func compile(t testing.TB, cfg config.IdentityHeaders) *Headers {
	t.Helper()
	h, err := Compile(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// escapedByHand is ALB's encoding, written another way than EscapePEM does.
func escapedByHand(c *x509.Certificate) string {
	text := base64.StdEncoding.EncodeToString(c.Raw)
	var b strings.Builder
	b.WriteString("-----BEGIN%20CERTIFICATE-----%0A")
	for len(text) > 64 {
		b.WriteString(text[:64] + "%0A")
		text = text[64:]
	}
	b.WriteString(text + "%0A-----END%20CERTIFICATE-----%0A")
	return b.String()
}

func TestVerifiedAsALB(t *testing.T) {
	leaf := albClient(t)
	want := []Field{
		{"X-Amzn-Mtls-Clientcert-Serial-Number", "03A5B1"},
		{"X-Amzn-Mtls-Clientcert-Issuer", "CN=rootcamtls.com,OU=rootCA,O=mTLS,L=Seattle,ST=Washington,C=US"},
		{"X-Amzn-Mtls-Clientcert-Subject", "CN=client_.com,OU=client-3,O=mTLS,ST=Washington,C=US"},
		{"X-Amzn-Mtls-Clientcert-Validity", "NotBefore=2023-09-21T01:50:17Z;NotAfter=2024-09-20T01:50:17Z"},
		{"X-Amzn-Mtls-Clientcert-Leaf", escapedByHand(leaf)},
	}
	if diff := cmp.Diff(want, compile(t, albConfig()).Verified(Client{Path: []*x509.Certificate{leaf}})); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
}

func TestPresentedAsALB(t *testing.T) {
	leaf := albClient(t)
	root := parse(t, mint(t, albName(t, "US", "", "", "", "", "root"), albName(t, "US", "", "", "", "", "root"), big.NewInt(1)))
	want := []Field{{"X-Amzn-Mtls-Clientcert", escapedByHand(leaf) + escapedByHand(root)}}
	h := compile(t, albConfig())
	if diff := cmp.Diff(want, h.Presented([]*x509.Certificate{leaf, root})); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
	if got := h.Presented(nil); len(got) > 0 {
		t.Errorf("no chain: got %v", got)
	}
}

func TestTLSAsALB(t *testing.T) {
	h := compile(t, albConfig())
	want := []Field{
		{"X-Amzn-Tls-Version", "TLSv1.3"},
		{"X-Amzn-Tls-Cipher-Suite", "TLS_AES_128_GCM_SHA256"},
	}
	if diff := cmp.Diff(want, h.TLS("TLSv1.3", "TLS_AES_128_GCM_SHA256")); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
	if got := h.TLS("", ""); len(got) > 0 {
		t.Errorf("no TLS: got %v", got)
	}
}

func TestRenameAndOmit(t *testing.T) {
	cfg := albConfig()
	cfg.Rename = map[config.HeaderKey]string{config.KeySubject: "x-client-SUBJECT", config.KeyTLSVersion: "X-Tls"}
	cfg.Omit = []config.HeaderKey{config.KeyLeaf, config.KeyIssuer, config.KeyValidity, config.KeyClientcert}
	h := compile(t, cfg)
	leaf := albClient(t)
	want := []Field{
		{"X-Amzn-Mtls-Clientcert-Serial-Number", "03A5B1"},
		{"X-Client-Subject", "CN=client_.com,OU=client-3,O=mTLS,ST=Washington,C=US"},
	}
	if diff := cmp.Diff(want, h.Verified(Client{Path: []*x509.Certificate{leaf}})); diff != "" {
		t.Errorf("verified: want -, got +:\n%s", diff)
	}
	if got := h.Presented([]*x509.Certificate{leaf}); len(got) > 0 {
		t.Errorf("presented: got %v", got)
	}
	wantNames := []string{
		"X-Amzn-Mtls-Clientcert-Serial-Number", "X-Amzn-Mtls-Clientcert-Serial-Number-Too-Large",
		"X-Client-Subject", "X-Client-Subject-Too-Large",
		"X-Tls", "X-Tls-Too-Large",
		"X-Amzn-Tls-Cipher-Suite", "X-Amzn-Tls-Cipher-Suite-Too-Large",
	}
	if diff := cmp.Diff(wantNames, h.Names()); diff != "" {
		t.Errorf("names: want -, got +:\n%s", diff)
	}
}

func TestNoPresets(t *testing.T) {
	leaf := albClient(t)
	for name, h := range map[string]*Headers{
		"none":        compile(t, config.IdentityHeaders{MaxSize: 16 << 10}),
		"zero config": compile(t, config.IdentityHeaders{}),
		"nil":         nil,
	} {
		if got := h.Verified(Client{Path: []*x509.Certificate{leaf}}); len(got) > 0 {
			t.Errorf("%s: verified: got %v", name, got)
		}
		if got := h.Presented([]*x509.Certificate{leaf}); len(got) > 0 {
			t.Errorf("%s: presented: got %v", name, got)
		}
		if got := h.TLS("TLSv1.3", "TLS_AES_128_GCM_SHA256"); len(got) > 0 {
			t.Errorf("%s: TLS: got %v", name, got)
		}
		if got := h.Names(); len(got) > 0 {
			t.Errorf("%s: names: got %v", name, got)
		}
	}
}

func TestTooLarge(t *testing.T) {
	leaf := albClient(t)
	subject := Subject(leaf)
	cfg := albConfig()
	cfg.Rename = map[config.HeaderKey]string{config.KeyLeaf: "X-Leaf"}

	cfg.MaxSize = config.Size(len(subject))
	want := []Field{
		{"X-Amzn-Mtls-Clientcert-Serial-Number", "03A5B1"},
		{"X-Amzn-Mtls-Clientcert-Issuer-Too-Large", "1"},
		{"X-Amzn-Mtls-Clientcert-Subject", subject},
		{"X-Amzn-Mtls-Clientcert-Validity-Too-Large", "1"},
		{"X-Leaf-Too-Large", "1"},
	}
	if diff := cmp.Diff(want, compile(t, cfg).Verified(Client{Path: []*x509.Certificate{leaf}})); diff != "" {
		t.Errorf("verified: want -, got +:\n%s", diff)
	}
	cfg.MaxSize = config.Size(len(EscapePEM(leaf)))
	h := compile(t, cfg)
	if got := h.Presented([]*x509.Certificate{leaf}); len(got) != 1 || got[0].Name != "X-Amzn-Mtls-Clientcert" {
		t.Errorf("presented, at the limit: got %v", got)
	}
	wantPresented := []Field{{"X-Amzn-Mtls-Clientcert-Too-Large", "1"}}
	if diff := cmp.Diff(wantPresented, h.Presented([]*x509.Certificate{leaf, leaf})); diff != "" {
		t.Errorf("presented, over the limit: want -, got +:\n%s", diff)
	}
}

func TestCompileRefuses(t *testing.T) {
	rename := func(key config.HeaderKey, name string) func(*config.IdentityHeaders) {
		return func(c *config.IdentityHeaders) { c.Rename = map[config.HeaderKey]string{key: name} }
	}
	tests := []struct {
		name   string
		change func(*config.IdentityHeaders)
		want   string
	}{
		{"preset", func(c *config.IdentityHeaders) { c.Presets = []config.HeaderPreset{"nginx"} }, `preset "nginx": want alb, xfcc or rfc9440`},
		{"detail", func(c *config.IdentityHeaders) { c.XFCCDetails = []config.XFCCDetail{"hash"} }, `detail "hash": want cert`},
		{"omit", func(c *config.IdentityHeaders) { c.Omit = []config.HeaderKey{"cn"} }, `omit "cn": want one of serial_number, issuer`},
		{"rename what is not", rename("cn", "X-Cn"), `rename "cn": want one of serial_number, issuer`},
		{"size", func(c *config.IdentityHeaders) { c.MaxSize = 0 }, "max size 0B: want more than nothing"},
		{"empty", rename(config.KeySubject, ""), `rename subject to "": want a header name with a letter or digit`},
		{"space", rename(config.KeySubject, "X Subject"), "want a header name of letters, digits and hyphens"},
		{"line end", rename(config.KeySubject, "X-A\r\nX-B"), "want a header name of letters, digits and hyphens"},
		{"not ASCII", rename(config.KeySubject, "X-É"), "want a header name of letters, digits and hyphens"},
		{"colon", rename(config.KeySubject, ":authority"), "want a header name of letters, digits and hyphens"},
		{"long", rename(config.KeySubject, strings.Repeat("x", 129)), "want a header name of at most 128 bytes"},
		{"Connection", rename(config.KeySubject, "Connection"), "want a name that nothing else uses"},
		{"host", rename(config.KeySubject, "host"), "want a name that nothing else uses"},
		{"Content_Length", rename(config.KeySubject, "Content_Length"), "want a name that nothing else uses"},
		{"X-Forwarded-For", rename(config.KeySubject, "X-FORWARDED-FOR"), "want a name that nothing else uses"},
		{"another's", rename(config.KeySubject, "X_Amzn-Mtls-Clientcert-Leaf"), "takes"},
		{"another's too large", rename(config.KeySubject, "X-Amzn-Mtls-Clientcert-Leaf-Too-Large"), "takes"},
		{"omitted", func(c *config.IdentityHeaders) {
			rename(config.KeyLeaf, "X-Leaf")(c)
			c.Omit = []config.HeaderKey{config.KeyLeaf}
		}, `rename leaf to "X-Leaf": it is omitted too`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			cfg := albConfig()
			test.change(&cfg)
			_, err := Compile(cfg)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got error %v, want %q", err, test.want)
			}
		})
	}
}

// TestNamesAreStripped joins the two halves: no header that may be set can be
// sent by a client.
func TestNamesAreStripped(t *testing.T) {
	cfg := albConfig()
	cfg.Rename = map[config.HeaderKey]string{config.KeySubject: "X-Client-Subject", config.KeyClientcert: "Remote.User"}
	names := compile(t, cfg).Names()
	s := NewStripper(names...)
	for _, name := range names {
		if !s.Match(name) || !s.Match(strings.ReplaceAll(name, "-", "_")) {
			t.Errorf("%q passes", name)
		}
	}
	for _, name := range compile(t, albConfig()).Names() {
		if !NewStripper().Match(name) {
			t.Errorf("%q passes where nothing is configured", name)
		}
	}
}

// TestPresetNamesAreStripped holds for what the other presets send, by itself and
// renamed.
func TestPresetNamesAreStripped(t *testing.T) {
	cfg := config.IdentityHeaders{Presets: presets, MaxSize: 16 << 10}
	for _, name := range compile(t, cfg).Names() {
		if !NewStripper().Match(name) {
			t.Errorf("%q passes where nothing is configured", name)
		}
	}
	cfg.Rename = map[config.HeaderKey]string{config.KeyXFCC: "X-Who", config.KeyClientCert: "X-Cert"}
	names := compile(t, cfg).Names()
	s := NewStripper(names...)
	for _, name := range append(names, "x_who", "X_CERT_TOO_LARGE") {
		if !s.Match(name) {
			t.Errorf("%q passes", name)
		}
	}
}

func BenchmarkVerified(b *testing.B) {
	leaf, h := albClient(b), compile(b, albConfig())
	b.ReportAllocs()
	for b.Loop() {
		h.Verified(Client{Path: []*x509.Certificate{leaf}})
	}
}

func BenchmarkPresented(b *testing.B) {
	leaf, h := albClient(b), compile(b, albConfig())
	chain := []*x509.Certificate{leaf, leaf, leaf}
	b.ReportAllocs()
	for b.Loop() {
		h.Presented(chain)
	}
}
