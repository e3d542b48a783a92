package config

import (
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// The closed sets of words that fields take. A word outside its set is an error
// that names the set.
type (
	TrustStoreSource  string
	CRLMode           string
	RevocationScope   string
	Then              string
	ProtocolVersion   string
	Protocol          string
	UnknownServerName string
	Mode              string
	CertificateRules  string
	HeaderPreset      string
	HeaderKey         string
	XFCCDetail        string
	XFFMode           string
	DesyncMode        string
	KeyType           string
	ACMEChallenge     string
)

const (
	SourceFile TrustStoreSource = "file"
	SourceAPI  TrustStoreSource = "api"

	CRLAuto    CRLMode = "auto"
	CRLRequire CRLMode = "require"
	CRLOff     CRLMode = "off"

	ScopeChain RevocationScope = "chain"
	ScopeLeaf  RevocationScope = "leaf"

	ThenDeny  Then = "deny"
	ThenAllow Then = "allow"

	HTTP1 ProtocolVersion = "http1"
	HTTP2 ProtocolVersion = "http2"
	GRPC  ProtocolVersion = "grpc"

	HTTPS Protocol = "https"
	HTTP  Protocol = "http"

	UnknownDefaultCertificate UnknownServerName = "default_certificate"
	UnknownRefuse             UnknownServerName = "refuse"

	ModeOff         Mode = "off"
	ModePassthrough Mode = "passthrough"
	ModeVerify      Mode = "verify"
	ModeOptional    Mode = "optional"

	RulesALB    CertificateRules = "alb"
	RulesStrict CertificateRules = "strict"

	PresetALB     HeaderPreset = "alb"
	PresetXFCC    HeaderPreset = "xfcc"
	PresetRFC9440 HeaderPreset = "rfc9440"

	KeySerialNumber   HeaderKey = "serial_number"
	KeyIssuer         HeaderKey = "issuer"
	KeySubject        HeaderKey = "subject"
	KeyValidity       HeaderKey = "validity"
	KeyLeaf           HeaderKey = "leaf"
	KeyClientcert     HeaderKey = "clientcert"
	KeyTLSVersion     HeaderKey = "tls_version"
	KeyTLSCipherSuite HeaderKey = "tls_cipher_suite"
	KeyXFCC           HeaderKey = "xfcc"
	KeyClientCert     HeaderKey = "client_cert"
	KeyClientChain    HeaderKey = "client_cert_chain"

	XFCCCert    XFCCDetail = "cert"
	XFCCChain   XFCCDetail = "chain"
	XFCCSubject XFCCDetail = "subject"
	XFCCURI     XFCCDetail = "uri"
	XFCCDNS     XFCCDetail = "dns"

	XFFAppend   XFFMode = "append"
	XFFPreserve XFFMode = "preserve"
	XFFRemove   XFFMode = "remove"

	DesyncMonitor   DesyncMode = "monitor"
	DesyncDefensive DesyncMode = "defensive"
	DesyncStrictest DesyncMode = "strictest"

	KeyP256    KeyType = "ecdsa-p256"
	KeyP384    KeyType = "ecdsa-p384"
	KeyRSA2048 KeyType = "rsa-2048"
	KeyRSA4096 KeyType = "rsa-4096"

	ChallengeTLSALPN ACMEChallenge = "tls-alpn-01"
	ChallengeHTTP    ACMEChallenge = "http-01"
	ChallengeDNS     ACMEChallenge = "dns-01"
)

// judges says whether certificates are judged by a trust store.
func (m Mode) judges() bool { return m == ModeVerify || m == ModeOptional }

// worder is a closed set of words.
type worder interface{ words() []string }

func (TrustStoreSource) words() []string  { return []string{"file", "api"} }
func (CRLMode) words() []string           { return []string{"auto", "require", "off"} }
func (RevocationScope) words() []string   { return []string{"chain", "leaf"} }
func (Then) words() []string              { return []string{"deny", "allow"} }
func (ProtocolVersion) words() []string   { return []string{"http1", "http2", "grpc"} }
func (Protocol) words() []string          { return []string{"https", "http"} }
func (UnknownServerName) words() []string { return []string{"default_certificate", "refuse"} }
func (Mode) words() []string              { return []string{"off", "passthrough", "verify", "optional"} }
func (CertificateRules) words() []string  { return []string{"alb", "strict"} }
func (HeaderPreset) words() []string      { return []string{"alb", "xfcc", "rfc9440"} }
func (XFCCDetail) words() []string        { return []string{"cert", "chain", "subject", "uri", "dns"} }
func (XFFMode) words() []string           { return []string{"append", "preserve", "remove"} }
func (DesyncMode) words() []string        { return []string{"monitor", "defensive", "strictest"} }
func (KeyType) words() []string           { return []string{"ecdsa-p256", "ecdsa-p384", "rsa-2048", "rsa-4096"} }
func (ACMEChallenge) words() []string     { return []string{"tls-alpn-01", "http-01", "dns-01"} }
func (HeaderKey) words() []string {
	return []string{"serial_number", "issuer", "subject", "validity", "leaf", "clientcert", "tls_version", "tls_cipher_suite", "xfcc", "client_cert", "client_cert_chain"}
}

// Duration is a span of time, written 10s, 5m, 1h30m or 7d.
type Duration time.Duration

// Std returns d as the standard library's type.
func (d Duration) Std() time.Duration { return time.Duration(d) }

func (d Duration) String() string { return time.Duration(d).String() }

// MarshalText writes a duration as UnmarshalText reads it.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads a duration; it is never negative.
func (d *Duration) UnmarshalText(text []byte) error {
	s := string(text)
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil {
			*d = Duration(time.Duration(n) * 24 * time.Hour)
			return nil
		}
	}
	v, err := time.ParseDuration(s)
	if err != nil || v < 0 {
		return fmt.Errorf("%q: want a duration such as 500ms, 10s, 5m or 7d", s)
	}
	*d = Duration(v)
	return nil
}

// Size is a number of bytes, written 10000B, 64KiB or 1MiB.
type Size int64

func (s Size) String() string {
	for _, unit := range sizeUnits {
		if int64(s) >= unit.bytes && int64(s)%unit.bytes == 0 {
			return strconv.FormatInt(int64(s)/unit.bytes, 10) + unit.name
		}
	}
	return strconv.FormatInt(int64(s), 10) + "B"
}

// MarshalText writes a size as UnmarshalText reads it.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

var sizeUnits = []struct {
	name  string
	bytes int64
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}

// UnmarshalText reads a size; it is never negative.
func (s *Size) UnmarshalText(text []byte) error {
	for _, unit := range sizeUnits {
		digits, ok := strings.CutSuffix(string(text), unit.name)
		if !ok {
			continue
		}
		if n, err := strconv.ParseUint(digits, 10, 63); err == nil && n <= math.MaxInt64/uint64(unit.bytes) {
			*s = Size(int64(n) * unit.bytes)
			return nil
		}
		break
	}
	return fmt.Errorf("%q: want a size such as 10000B, 64KiB or 1MiB", text)
}

// OnOff is a switch, written on or off.
type OnOff bool

// UnmarshalText reads on or off, and YAML's true and false.
func (o *OnOff) UnmarshalText(text []byte) error {
	switch string(text) {
	case "on", "true":
		*o = true
	case "off", "false":
		*o = false
	default:
		return fmt.Errorf("%q: want on or off", text)
	}
	return nil
}

// Network is a range of IP addresses, written 10.0.0.0/8 or 2001:db8::/32; a
// single address stands for itself.
type Network netip.Prefix

// Prefix returns n as the standard library's type.
func (n Network) Prefix() netip.Prefix { return netip.Prefix(n) }

// UnmarshalText reads a network; bits beyond its length must be zero.
func (n *Network) UnmarshalText(text []byte) error {
	s := string(text)
	if addr, err := netip.ParseAddr(s); err == nil && addr.Zone() == "" {
		*n = Network(netip.PrefixFrom(addr, addr.BitLen()))
		return nil
	}
	prefix, err := netip.ParsePrefix(s)
	if err != nil {
		return fmt.Errorf("%q: want a network such as 10.0.0.0/8 or 2001:db8::/32, or an address", s)
	}
	if prefix != prefix.Masked() {
		return fmt.Errorf("%q: has bits beyond its length: want %s", s, prefix.Masked())
	}
	*n = Network(prefix)
	return nil
}

// MarshalText writes what UnmarshalText reads.
func (n Network) MarshalText() ([]byte, error) { return netip.Prefix(n).MarshalText() }
