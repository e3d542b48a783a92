package securitypolicy

import (
	"crypto/tls"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/sallyport/sallyport/edge/config"
)

func TestCustom(t *testing.T) {
	tests := []struct {
		name string
		cfg  config.SecurityPolicy
		want Policy
	}{
		{"1.3 only", config.SecurityPolicy{Protocols: []string{"TLSv1.3"}}, Policy{
			Name: "mine", MinVersion: v13, MaxVersion: v13,
			CipherSuites: []uint16{tls.TLS_AES_128_GCM_SHA256, tls.TLS_AES_256_GCM_SHA384, tls.TLS_CHACHA20_POLY1305_SHA256},
			Curves: []tls.CurveID{tls.X25519MLKEM768, tls.SecP256r1MLKEM768, tls.SecP384r1MLKEM1024,
				tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521},
		}},
		{"1.3 with hybrids only", config.SecurityPolicy{Protocols: []string{"TLSv1.3"}, Groups: []string{"SecP384r1MLKEM1024"}}, Policy{
			Name: "mine", MinVersion: v13, MaxVersion: v13,
			CipherSuites: []uint16{tls.TLS_AES_128_GCM_SHA256, tls.TLS_AES_256_GCM_SHA384, tls.TLS_CHACHA20_POLY1305_SHA256},
			Curves:       []tls.CurveID{tls.SecP384r1MLKEM1024},
		}},
		{"1.2 and 1.3", config.SecurityPolicy{
			Protocols:    []string{"TLSv1.3", "TLSv1.2"},
			CipherSuites: []string{"ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-RSA-AES128-GCM-SHA256"},
			Groups:       []string{"X25519MLKEM768", "P-256"},
		}, Policy{
			Name: "mine", MinVersion: v12, MaxVersion: v13,
			CipherSuites: []uint16{tls.TLS_AES_128_GCM_SHA256, tls.TLS_AES_256_GCM_SHA384, tls.TLS_CHACHA20_POLY1305_SHA256,
				tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256},
			Curves: []tls.CurveID{tls.X25519MLKEM768, tls.CurveP256},
		}},
		{"1.0 and 1.1", config.SecurityPolicy{Protocols: []string{"TLSv1.0", "TLSv1.1"}, CipherSuites: []string{"AES128-SHA"}}, Policy{
			Name: "mine", MinVersion: v10, MaxVersion: v11,
			CipherSuites: []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA},
			Curves:       []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521},
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := Custom("mine", test.cfg)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(&test.want, got); diff != "" {
				t.Errorf("want -, got +:\n%s", diff)
			}
		})
	}
}

func TestCustomRefuses(t *testing.T) {
	v12Only := []string{"TLSv1.2"}
	gcm := []string{"ECDHE-RSA-AES128-GCM-SHA256"}
	tests := []struct {
		name, policy string
		cfg          config.SecurityPolicy
		want         string
	}{
		{"no name", "", config.SecurityPolicy{Protocols: []string{"TLSv1.3"}}, "want a name"},
		{"ALB's name", "elbsecuritypolicy-mine", config.SecurityPolicy{Protocols: []string{"TLSv1.3"}}, "want a name without ELBSecurityPolicy-"},
		{"nothing", "mine", config.SecurityPolicy{}, "no protocols: want some of TLSv1.0, TLSv1.1, TLSv1.2, TLSv1.3"},
		{"protocol", "mine", config.SecurityPolicy{Protocols: []string{"SSLv3"}}, `protocol "SSLv3": want one of TLSv1.0, TLSv1.1, TLSv1.2, TLSv1.3`},
		{"protocol's case", "mine", config.SecurityPolicy{Protocols: []string{"tlsv1.3"}}, `protocol "tlsv1.3": want one of`},
		{"protocol twice", "mine", config.SecurityPolicy{Protocols: []string{"TLSv1.3", "TLSv1.3"}}, `protocol "TLSv1.3": listed twice`},
		{"gap", "mine", config.SecurityPolicy{Protocols: []string{"TLSv1.3", "TLSv1.1"}, CipherSuites: []string{"AES128-SHA"}}, "TLSv1.2 is missing between them"},
		{"wide gap", "mine", config.SecurityPolicy{Protocols: []string{"TLSv1.0", "TLSv1.3"}, CipherSuites: []string{"AES128-SHA"}}, "TLSv1.1 is missing between them"},
		{"suites for 1.3", "mine", config.SecurityPolicy{Protocols: []string{"TLSv1.3"}, CipherSuites: gcm}, "want none where TLSv1.3 is the only protocol"},
		{"1.3's suites for 1.3", "mine", config.SecurityPolicy{Protocols: []string{"TLSv1.3"}, CipherSuites: []string{"TLS_AES_128_GCM_SHA256"}}, "want none where TLSv1.3 is the only protocol"},
		{"1.3's suites", "mine", config.SecurityPolicy{Protocols: []string{"TLSv1.2", "TLSv1.3"}, CipherSuites: []string{"TLS_AES_128_GCM_SHA256"}}, "it is TLS 1.3's and comes with the protocol TLSv1.3"},
		{"no suites", "mine", config.SecurityPolicy{Protocols: []string{"TLSv1.0", "TLSv1.1"}}, "no cipher suites: TLSv1.0 needs some of ECDHE-ECDSA-AES128-GCM-SHA256, "},
		{"suite", "mine", config.SecurityPolicy{Protocols: v12Only, CipherSuites: []string{"RC4-SHA"}}, `cipher suite "RC4-SHA": want some of ECDHE-ECDSA-AES128-GCM-SHA256, `},
		{"IANA's name", "mine", config.SecurityPolicy{Protocols: v12Only, CipherSuites: []string{"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"}}, "want some of ECDHE-ECDSA-AES128-GCM-SHA256, "},
		{"suite Go lacks", "mine", config.SecurityPolicy{Protocols: v12Only, CipherSuites: []string{"ECDHE-RSA-AES256-SHA384"}}, "Go's crypto/tls lacks it"},
		{"suite twice", "mine", config.SecurityPolicy{Protocols: v12Only, CipherSuites: append(gcm, gcm...)}, "listed twice"},
		{"suite too new", "mine", config.SecurityPolicy{Protocols: []string{"TLSv1.1"}, CipherSuites: append([]string{"AES128-SHA"}, gcm...)}, "it needs TLSv1.2, which is not among the protocols"},
		{"version with no suite", "mine", config.SecurityPolicy{Protocols: []string{"TLSv1.1", "TLSv1.2"}, CipherSuites: gcm}, "TLSv1.1 could use none of them"},
		{"group", "mine", config.SecurityPolicy{Protocols: []string{"TLSv1.3"}, Groups: []string{"secp256r1"}}, `group "secp256r1": want one of X25519, P-256, P-384, P-521, X25519MLKEM768`},
		{"group twice", "mine", config.SecurityPolicy{Protocols: []string{"TLSv1.3"}, Groups: []string{"P-256", "P-256"}}, `group "P-256": listed twice`},
		{"hybrid for 1.2", "mine", config.SecurityPolicy{Protocols: v12Only, CipherSuites: gcm, Groups: []string{"P-256", "X25519MLKEM768"}}, "it needs TLSv1.3, which is not among the protocols"},
		{"1.2 with hybrids only", "mine", config.SecurityPolicy{Protocols: []string{"TLSv1.2", "TLSv1.3"}, CipherSuites: gcm, Groups: []string{"X25519MLKEM768"}}, "it needs one of the groups X25519, P-256, P-384, P-521"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := Custom(test.policy, test.cfg)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v and error %v, want error %q", got, err, test.want)
			}
			if got != nil {
				t.Errorf("got %v with the error", got)
			}
		})
	}
}
