package securitypolicy

import (
	"crypto/tls"
	"fmt"
)

// cipher is a cipher suite that a policy may name.
type cipher struct {
	name        string // OpenSSL's, as ALB prints it
	id          uint16
	implemented bool   // by crypto/tls
	tls13       bool   // TLS 1.3 only; else TLS 1.2 and below
	min         uint16 // the version that brought it
	ecdhe       bool   // its key exchange needs a group
}

const tls13Suites = 3

// ciphers are ALB's, in the order of AWS's most permissive policy, and then those
// that only custom policies may name. Rows of albPolicies count them from 1.
var ciphers = []cipher{
	{"TLS_AES_128_GCM_SHA256", tls.TLS_AES_128_GCM_SHA256, true, true, tls.VersionTLS13, true},
	{"TLS_AES_256_GCM_SHA384", tls.TLS_AES_256_GCM_SHA384, true, true, tls.VersionTLS13, true},
	{"TLS_CHACHA20_POLY1305_SHA256", tls.TLS_CHACHA20_POLY1305_SHA256, true, true, tls.VersionTLS13, true},
	{"ECDHE-ECDSA-AES128-GCM-SHA256", tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, true, false, tls.VersionTLS12, true},
	{"ECDHE-RSA-AES128-GCM-SHA256", tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, true, false, tls.VersionTLS12, true},
	{"ECDHE-ECDSA-AES128-SHA256", tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256, true, false, tls.VersionTLS12, true},
	{"ECDHE-RSA-AES128-SHA256", tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256, true, false, tls.VersionTLS12, true},
	{"ECDHE-ECDSA-AES128-SHA", tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, true, false, tls.VersionTLS10, true},
	{"ECDHE-RSA-AES128-SHA", tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, true, false, tls.VersionTLS10, true},
	{"ECDHE-ECDSA-AES256-GCM-SHA384", tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, true, false, tls.VersionTLS12, true},
	{"ECDHE-RSA-AES256-GCM-SHA384", tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, true, false, tls.VersionTLS12, true},
	{"ECDHE-ECDSA-AES256-SHA384", 0xc024, false, false, tls.VersionTLS12, true},
	{"ECDHE-RSA-AES256-SHA384", 0xc028, false, false, tls.VersionTLS12, true},
	{"ECDHE-ECDSA-AES256-SHA", tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA, true, false, tls.VersionTLS10, true},
	{"ECDHE-RSA-AES256-SHA", tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA, true, false, tls.VersionTLS10, true},
	{"AES128-GCM-SHA256", tls.TLS_RSA_WITH_AES_128_GCM_SHA256, true, false, tls.VersionTLS12, false},
	{"AES128-SHA256", tls.TLS_RSA_WITH_AES_128_CBC_SHA256, true, false, tls.VersionTLS12, false},
	{"AES128-SHA", tls.TLS_RSA_WITH_AES_128_CBC_SHA, true, false, tls.VersionTLS10, false},
	{"AES256-GCM-SHA384", tls.TLS_RSA_WITH_AES_256_GCM_SHA384, true, false, tls.VersionTLS12, false},
	{"AES256-SHA256", 0x003d, false, false, tls.VersionTLS12, false},
	{"AES256-SHA", tls.TLS_RSA_WITH_AES_256_CBC_SHA, true, false, tls.VersionTLS10, false},

	{"ECDHE-ECDSA-CHACHA20-POLY1305", tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, true, false, tls.VersionTLS12, true},
	{"ECDHE-RSA-CHACHA20-POLY1305", tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, true, false, tls.VersionTLS12, true},
}

func isTLS13(id uint16) bool { return id>>8 == 0x13 }

// CipherSuiteName returns the name of a cipher suite as ALB logs it and sends it
// to targets, which is OpenSSL's: ECDHE-RSA-AES128-GCM-SHA256, or
// TLS_AES_128_GCM_SHA256 in TLS 1.3. Zero, for none negotiated, is "", and one
// that no policy can hold is as crypto/tls names it.
func CipherSuiteName(id uint16) string {
	if id == 0 {
		return ""
	}
	for i := range ciphers {
		if ciphers[i].id == id {
			return ciphers[i].name
		}
	}
	return tls.CipherSuiteName(id)
}

// VersionName returns the name of a protocol version as ALB logs it and sends it
// to targets, which is OpenSSL's: TLSv1, TLSv1.1, TLSv1.2, TLSv1.3. Zero, for none
// negotiated, is "", and an unknown one is 0x and its hex.
func VersionName(v uint16) string {
	switch v {
	case 0:
		return ""
	case tls.VersionTLS10:
		return "TLSv1"
	case tls.VersionTLS11:
		return "TLSv1.1"
	case tls.VersionTLS12:
		return "TLSv1.2"
	case tls.VersionTLS13:
		return "TLSv1.3"
	}
	return fmt.Sprintf("0x%04X", v)
}
