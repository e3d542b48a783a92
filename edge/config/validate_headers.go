package config

import (
	"maps"
	"slices"
	"strings"
)

// TooLargeSuffix ends the name of the header that is sent in the place of one
// whose value is over IdentityHeaders.MaxSize.
const TooLargeSuffix = "-Too-Large"

// headerNames are the names that the presets give their headers.
var headerNames = map[HeaderKey]string{
	KeySerialNumber:   "X-Amzn-Mtls-Clientcert-Serial-Number",
	KeyIssuer:         "X-Amzn-Mtls-Clientcert-Issuer",
	KeySubject:        "X-Amzn-Mtls-Clientcert-Subject",
	KeyValidity:       "X-Amzn-Mtls-Clientcert-Validity",
	KeyLeaf:           "X-Amzn-Mtls-Clientcert-Leaf",
	KeyClientcert:     "X-Amzn-Mtls-Clientcert",
	KeyTLSVersion:     "X-Amzn-Tls-Version",
	KeyTLSCipherSuite: "X-Amzn-Tls-Cipher-Suite",
	KeyXFCC:           "X-Forwarded-Client-Cert",
	KeyClientCert:     "Client-Cert",
	KeyClientChain:    "Client-Cert-Chain",
}

// Name is the header that k stands for in its preset.
func (k HeaderKey) Name() string { return headerNames[k] }

// Preset is the one that sends the header that k stands for.
func (k HeaderKey) Preset() HeaderPreset {
	switch k {
	case KeyXFCC:
		return PresetXFCC
	case KeyClientCert, KeyClientChain:
		return PresetRFC9440
	}
	return PresetALB
}

// reservedHeaders, and all that begin with reservedPrefixes, mean something
// already: to the framing of the message, to the target's own authentication, to
// caches, or as another form of identity. As every header that carries an
// identity is stripped from requests, taking one of these would also take it from
// the clients of all listeners.
var (
	reservedHeaders = strings.Fields(`accept age allow alt-svc authorization baggage cache-control cdn-loop
		client-cert client-cert-chain connection cookie cookie2 date dnt early-data etag expect expires forwarded
		from host http2-settings keep-alive last-modified link location max-forwards origin pragma prefer priority
		range referer retry-after save-data server set-cookie set-cookie2 signature signature-input te trace
		traceparent tracestate trailer transfer-encoding upgrade upgrade-insecure-requests user-agent vary via
		warning www-authenticate x-csrf-token x-http-method x-http-method-override x-method-override
		x-original-url x-real-ip x-request-id x-requested-with x-rewrite-url true-client-ip`)
	reservedPrefixes = []string{"accept-", "access-control-", "content-", "if-", "proxy-", "sec-", "x-forwarded-", "x-amzn-"}
)

// foldHeader brings names that a target may take for the same one into one form:
// CGI has one form for upper and lower case, and for all bytes that are neither
// letter nor digit.
func foldHeader(name string) string {
	b := []byte(strings.ToLower(name))
	for i, c := range b {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			b[i] = '-'
		}
	}
	return string(b)
}

func (v *validator) identityHeaders(path string, h IdentityHeaders) {
	v.unique(child(path, "presets"), asStrings(h.Presets), same)
	v.unique(child(path, "omit"), asStrings(h.Omit), same)
	positive(v, child(path, "max_size"), h.MaxSize, "a size")
	details := child(path, "xfcc_details")
	v.unique(details, asStrings(h.XFCCDetails), same)
	if v.c.source.wrote(details) && !slices.Contains(h.Presets, PresetXFCC) && v.sure(child(path, "presets")) {
		v.errorf(details, "has no meaning, as xfcc is not among the presets")
	}
	for i, key := range h.Omit {
		v.sends(item(child(path, "omit"), i), key, child(path, "presets"), h.Presets)
	}

	rename := child(path, "rename")
	sent := map[string]HeaderKey{}
	for key, name := range headerNames {
		sent[foldHeader(name)] = key
		sent[foldHeader(name+TooLargeSuffix)] = key
	}
	for _, key := range slices.Sorted(maps.Keys(h.Rename)) {
		path, name := child(rename, string(key)), h.Rename[key]
		if !v.sure(path) {
			continue
		}
		if slices.Contains(h.Omit, key) {
			v.errorf(path, "%s: the header is in omit as well", quote(name))
		}
		v.sends(path, key, child(parent(rename), "presets"), h.Presets)
		// A header may be renamed to what it is called already.
		if name == headerNames[key] {
			continue
		}
		if want := headerWanted(name); want != "" {
			v.errorf(path, "%s: want %s", quote(name), want)
			continue
		}
		for _, n := range []string{foldHeader(name), foldHeader(name + TooLargeSuffix)} {
			if other, ok := sent[n]; ok && other != key {
				v.errorf(path, "%s: want a name that is not that of %s too, in any case and with any punctuation", quote(name), other)
				break
			}
			sent[n] = key
		}
	}
}

// sends reports a header that is renamed or left out and that no preset sends.
func (v *validator) sends(path string, key HeaderKey, presetsPath string, presets []HeaderPreset) {
	if preset := key.Preset(); key.Name() != "" && v.sure(path, presetsPath) && !slices.Contains(presets, preset) {
		v.errorf(path, "%s: is sent by the preset %s, which is not among the presets", key, preset)
	}
}

// presetsOfPassthrough reports presets that say of a client who it is, where
// nobody has looked into that: a target would take it for verified.
func (v *validator) presetsOfPassthrough(path string, l Listener) {
	unverified := ""
	for _, host := range sorted(l.Hosts) {
		if l.Hosts[host].MutualAuthentication.Mode == ModePassthrough {
			unverified = "clients of host " + host
		}
	}
	if l.MutualAuthentication.Mode == ModePassthrough {
		unverified = "clients of this listener"
	}
	if unverified == "" {
		return
	}
	for i, preset := range l.IdentityHeaders.Presets {
		if preset == PresetXFCC || preset == PresetRFC9440 {
			v.errorf(item(child(path, "presets"), i), "%s: %s are not verified in mode passthrough: want alb only", quote(string(preset)), unverified)
		}
	}
}

// headerWanted returns what a new name for an identity header should be, or "".
func headerWanted(name string) string {
	if len(name) == 0 || len(name) > 128 || !isToken(name) {
		return "a header name (RFC 9110, section 5.1) of at most 128 bytes"
	}
	folded := foldHeader(name)
	if strings.Trim(folded, "-") == "" {
		return "a header name with a letter or digit"
	}
	if slices.Contains(reservedHeaders, folded) {
		return "a header that has no meaning of its own"
	}
	for _, prefix := range reservedPrefixes {
		if strings.HasPrefix(folded, prefix) {
			return "a header that does not begin with " + prefix
		}
	}
	return ""
}

// isToken tells whether s is a token of RFC 9110, section 5.6.2.
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return s != ""
}

func asStrings[S ~string](list []S) []string {
	strs := make([]string, len(list))
	for i, s := range list {
		strs[i] = string(s)
	}
	return strs
}
