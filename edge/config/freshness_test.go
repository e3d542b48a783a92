package config

import "testing"

func TestMatchHost(t *testing.T) {
	patterns := []string{"crl.example.com", "*.pki.example", "192.0.2.7", "2001:db8::1"}
	for host, want := range map[string]bool{
		"crl.example.com": true, "CRL.Example.COM.": true, "a.pki.example": true, "192.0.2.7": true, "2001:db8::1": true,
		"": false, "example.com": false, "x.crl.example.com": false, "pki.example": false, "a.b.pki.example": false,
		"192.0.2.8": false, "crl.example.com.evil.example": false, "apki.example": false,
	} {
		if got := MatchHost(patterns, host); got != want {
			t.Errorf("%q: %v", host, got)
		}
	}
	if MatchHost([]string{"*.0.2.7"}, "192.0.2.7") || MatchHost(nil, "") {
		t.Error("an address is taken for a name, or nothing for something")
	}
}
