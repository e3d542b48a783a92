package identity

import (
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/sallyport/sallyport/edge/config"
)

// envoyClient is the client of Envoy's documentation, behind an issuing CA and a
// root, and the certificate of the edge that it speaks to. The golden files beside
// them were made by OpenSSL and Python, not by this package.
func envoyClient(t testing.TB) Client {
	t.Helper()
	read := func(file string) (list []*x509.Certificate) {
		rest, err := os.ReadFile(filepath.Join("testdata", file))
		if err != nil {
			t.Fatal(err)
		}
		for {
			var block *pem.Block
			if block, rest = pem.Decode(rest); block == nil {
				return list
			}
			list = append(list, parse(t, block.Bytes))
		}
	}
	return Client{Path: read("client.pem"), Server: read("server.pem")[0]}
}

func presetConfig(presets ...config.HeaderPreset) config.IdentityHeaders {
	return config.IdentityHeaders{
		Presets:     presets,
		XFCCDetails: []config.XFCCDetail{config.XFCCCert, config.XFCCSubject, config.XFCCURI, config.XFCCDNS},
		MaxSize:     16 << 10,
	}
}

func lines(fields []Field) string {
	var b strings.Builder
	for _, f := range fields {
		b.WriteString(f.Name + ": " + f.Value + "\n")
	}
	return b.String()
}

func TestPresetsAsElsewhere(t *testing.T) {
	client := envoyClient(t)
	tests := []struct {
		golden string
		cfg    func() config.IdentityHeaders
		client Client
	}{
		{"xfcc-default.txt", func() config.IdentityHeaders { return presetConfig(config.PresetXFCC) }, client},
		{"xfcc-all.txt", func() config.IdentityHeaders {
			cfg := presetConfig(config.PresetXFCC)
			// In any order: Envoy has one of its own.
			cfg.XFCCDetails = []config.XFCCDetail{config.XFCCDNS, config.XFCCURI, config.XFCCSubject, config.XFCCChain, config.XFCCCert}
			return cfg
		}, client},
		{"xfcc-none.txt", func() config.IdentityHeaders {
			cfg := presetConfig(config.PresetXFCC)
			cfg.XFCCDetails = nil
			return cfg
		}, Client{Path: client.Path}},
		{"rfc9440.txt", func() config.IdentityHeaders { return presetConfig(config.PresetRFC9440) }, client},
	}
	for _, test := range tests {
		t.Run(test.golden, func(t *testing.T) {
			want, err := os.ReadFile(filepath.Join("testdata", test.golden))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), lines(compile(t, test.cfg()).Verified(test.client))); diff != "" {
				t.Errorf("want -, got +:\n%s", diff)
			}
		})
	}
}

func names(fields []Field) (list []string) {
	for _, f := range fields {
		list = append(list, f.Name)
	}
	return list
}

func TestSeveralPresets(t *testing.T) {
	cfg := presetConfig(config.PresetRFC9440, config.PresetALB, config.PresetXFCC)
	cfg.Omit = []config.HeaderKey{config.KeyLeaf, config.KeyIssuer, config.KeyValidity}
	cfg.Rename = map[config.HeaderKey]string{config.KeyXFCC: "X-Who", config.KeyClientChain: "X-Chain"}
	h := compile(t, cfg)
	client := envoyClient(t)
	want := []string{"X-Amzn-Mtls-Clientcert-Serial-Number", "X-Amzn-Mtls-Clientcert-Subject", "X-Who", "Client-Cert", "X-Chain"}
	if diff := cmp.Diff(want, names(h.Verified(client))); diff != "" {
		t.Errorf("verified: want -, got +:\n%s", diff)
	}
	if diff := cmp.Diff([]string{"X-Amzn-Mtls-Clientcert"}, names(h.Presented(client.Path))); diff != "" {
		t.Errorf("presented: want -, got +:\n%s", diff)
	}
}

// TestUnverifiedGetOnlyALBs: whatever is configured, a presented chain is in
// nothing but ALB's header of mode passthrough.
func TestUnverifiedGetOnlyALBs(t *testing.T) {
	h := compile(t, presetConfig(config.PresetXFCC, config.PresetRFC9440))
	if got := h.Presented(envoyClient(t).Path); len(got) > 0 {
		t.Errorf("got %v", names(got))
	}
	if got := h.TLS("TLSv1.3", "TLS_AES_128_GCM_SHA256"); len(got) > 0 {
		t.Errorf("ALB's headers without its preset: got %v", names(got))
	}
}

func TestChainGoesWithItsCertificate(t *testing.T) {
	client := envoyClient(t)
	both := presetConfig(config.PresetRFC9440)

	omitted := both
	omitted.Omit = []config.HeaderKey{config.KeyClientCert}
	if got := compile(t, omitted).Verified(client); len(got) > 0 {
		t.Errorf("without Client-Cert: got %v", names(got))
	}
	unchained := both
	unchained.Omit = []config.HeaderKey{config.KeyClientChain}
	if diff := cmp.Diff([]string{"Client-Cert"}, names(compile(t, unchained).Verified(client))); diff != "" {
		t.Errorf("without the chain: want -, got +:\n%s", diff)
	}
	// Signed by a root of the trust store, and an allow-listed leaf of its own.
	for what, path := range map[string][]*x509.Certificate{"root": client.Path[1:], "itself": client.Path[2:]} {
		if diff := cmp.Diff([]string{"Client-Cert"}, names(compile(t, both).Verified(Client{Path: path}))); diff != "" {
			t.Errorf("below %s: want -, got +:\n%s", what, diff)
		}
	}
	// An anchor that is an intermediate is told: not every target has it.
	if got := names(compile(t, both).Verified(Client{Path: client.Path[:2]})); len(got) != 2 {
		t.Errorf("below an intermediate: got %v", got)
	}
}

func TestPresetsTooLarge(t *testing.T) {
	client := envoyClient(t)
	full := compile(t, presetConfig(config.PresetXFCC, config.PresetRFC9440)).Verified(client)
	cut := func(size int) []string {
		cfg := presetConfig(config.PresetXFCC, config.PresetRFC9440)
		cfg.MaxSize = config.Size(size)
		return names(compile(t, cfg).Verified(client))
	}
	xfcc, cert, chain := len(full[0].Value), len(full[1].Value), len(full[2].Value)
	if xfcc <= cert || cert <= chain {
		t.Fatalf("lengths %d, %d, %d: the test needs them falling", xfcc, cert, chain)
	}
	for size, want := range map[int][]string{
		xfcc:      {"X-Forwarded-Client-Cert", "Client-Cert", "Client-Cert-Chain"},
		xfcc - 1:  {"X-Forwarded-Client-Cert-Too-Large", "Client-Cert", "Client-Cert-Chain"},
		cert:      {"X-Forwarded-Client-Cert-Too-Large", "Client-Cert", "Client-Cert-Chain"},
		cert - 1:  {"X-Forwarded-Client-Cert-Too-Large", "Client-Cert-Too-Large"},
		chain - 1: {"X-Forwarded-Client-Cert-Too-Large", "Client-Cert-Too-Large"},
	} {
		if diff := cmp.Diff(want, cut(size)); diff != "" {
			t.Errorf("size %d: want -, got +:\n%s", size, diff)
		}
	}
	long := append(append([]*x509.Certificate{client.Path[0]}, client.Path[1], client.Path[1]), client.Path[2])
	cfg := presetConfig(config.PresetRFC9440)
	cfg.MaxSize = config.Size(cert)
	if diff := cmp.Diff([]string{"Client-Cert", "Client-Cert-Chain-Too-Large"}, names(compile(t, cfg).Verified(Client{Path: long}))); diff != "" {
		t.Errorf("long chain: want -, got +:\n%s", diff)
	}
}

func BenchmarkXFCC(b *testing.B) {
	client, h := envoyClient(b), compile(b, presetConfig(config.PresetXFCC, config.PresetRFC9440))
	b.ReportAllocs()
	for b.Loop() {
		h.Verified(client)
	}
}
