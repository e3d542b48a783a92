package peers

import (
	"encoding/base64"
	"encoding/pem"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func TestCheckIdentity(t *testing.T) {
	leaf := []byte("certificate")
	escaped := url.PathEscape(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf})))
	encoded := base64.StdEncoding.EncodeToString(leaf)
	for _, test := range []struct {
		name string
		edit func(http.Header)
		mute []string
		err  string
	}{
		{name: "all", edit: func(http.Header) {}},
		{name: "leaf as base64", edit: func(h http.Header) { h.Set(identityName("Leaf"), encoded) }},
		{name: "one muted", edit: func(h http.Header) { h.Del(identityName("Validity")) }, mute: []string{"Validity"}},
		{name: "muted, but passed on", edit: func(http.Header) {}, mute: []string{"Validity"}, err: "Validity"},
		{name: "none", edit: func(h http.Header) { clear(h) }, err: "want one value"},
		{name: "empty", edit: func(h http.Header) { h.Set(identityName("Issuer"), "") }, err: "Issuer"},
		{name: "the client's", edit: func(h http.Header) { h.Set(identityName("Subject"), forged) }, err: "Subject"},
		{name: "the client's too", edit: func(h http.Header) { h.Add(identityName("Subject"), forged) }, err: "Subject"},
		{name: "another leaf", edit: func(h http.Header) { h.Set(identityName("Leaf"), "AAAA") }, err: "another leaf"},
		{name: "no leaf", edit: func(h http.Header) { h.Set(identityName("Leaf"), "%") }, err: "decode"},
		{name: "no base64", edit: func(h http.Header) { h.Set(identityName("Leaf"), "-") }, err: "decode"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := http.Header{}
			for _, name := range identityNames {
				got.Set(identityName(name), "x")
			}
			got.Set(identityName("Leaf"), escaped)
			test.edit(got)
			err := checkIdentity(got, test.mute, leaf)
			switch {
			case test.err == "" && err != nil:
				t.Errorf("checkIdentity: %v, want none", err)
			case test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err)):
				t.Errorf("checkIdentity: %v, want %q in it", err, test.err)
			}
		})
	}
}

// A server that lets everybody in, or a dead one, does not do what it is
// measured for.
func TestProveRefusesLaxServer(t *testing.T) {
	b := newBench(t, goNetHTTP)
	b.authority.revoked = b.authority.good
	if _, err := b.prove(t.Context(), b.servers[0]); err == nil || !strings.Contains(err.Error(), "revoked client is let in") {
		t.Errorf("prove: %v, want that a revoked client is let in", err)
	}
}

func TestProveRefusesEmptyLog(t *testing.T) {
	quiet := *goNetHTTP
	quiet.log = stdoutFile
	b := newBench(t, &quiet)
	if _, err := b.prove(t.Context(), b.servers[0]); err == nil || !strings.Contains(err.Error(), "log is empty") {
		t.Errorf("prove: %v, want that its log is empty", err)
	}
}

func TestProveSaysWhatServersCannotDo(t *testing.T) {
	s := &server{kind: caddy, proof: proof{noResuming: "no resuming", noHTTP2: "no HTTP/2"}}
	for _, test := range []struct {
		scenario scenario
		want     string
	}{
		{scenario{}, ""},
		{scenario{crl: true}, "it has no CRL"},
		{scenario{resume: true}, "no resuming"},
		{scenario{http2: true}, "no HTTP/2"},
	} {
		if got := s.cannot(&test.scenario); got != test.want {
			t.Errorf("cannot(%+v) = %q, want %q", test.scenario, got, test.want)
		}
	}
}
