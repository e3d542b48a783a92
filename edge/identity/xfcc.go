package identity

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"strings"

	"github.com/sallyport/sallyport/edge/config"
)

// xfccDetails are those that Envoy knows, in the order in which it sends them.
var xfccDetails = []config.XFCCDetail{config.XFCCCert, config.XFCCChain, config.XFCCSubject, config.XFCCURI, config.XFCCDNS}

// xfccPEM encodes of a PEM block what Envoy encodes and ALB does not.
var xfccPEM = strings.NewReplacer("+", "%2B", "/", "%2F", "=", "%3D")

// xfcc is the one element of Envoy's X-Forwarded-Client-Cert that this edge has to
// say: By (the URIs of the edge's certificate), Hash (SHA-256 of the client's), and
// the details, separated by semicolons. URI is there even when there is none.
//
// Envoy writes By, URI and DNS as they are, so that a certificate with a semicolon
// or comma in one of them adds elements of its own making. Here such a value is
// in quotes, as the format has it.
func (h *Headers) xfcc(c Client) string {
	leaf := c.Path[0]
	var b xfccBuilder
	if c.Server != nil {
		for _, uri := range namesOf(c.Server, NameURI) {
			b.add("By", uri)
		}
	}
	sum := sha256.Sum256(leaf.Raw)
	b.add("Hash", hex.EncodeToString(sum[:]))
	for _, detail := range xfccDetails {
		if !h.details[detail] {
			continue
		}
		switch detail {
		case config.XFCCCert:
			b.addQuoted("Cert", xfccPEM.Replace(EscapePEM(leaf)))
		case config.XFCCChain:
			b.addQuoted("Chain", xfccPEM.Replace(EscapePEM(c.chain()...)))
		case config.XFCCSubject:
			b.addQuoted("Subject", quotableDN(Subject(leaf)))
		case config.XFCCURI:
			uris := namesOf(leaf, NameURI)
			for _, uri := range uris {
				b.add("URI", uri)
			}
			if len(uris) == 0 {
				b.add("URI", "")
			}
		case config.XFCCDNS:
			for _, name := range namesOf(leaf, NameDNS) {
				b.add("DNS", name)
			}
		}
	}
	return string(b)
}

// xfccBuilder is an element under construction.
type xfccBuilder []byte

// add adds KEY=VALUE, the value in quotes if it needs them.
func (b *xfccBuilder) add(key, value string) {
	if strings.ContainsAny(value, `,;="`) {
		b.addQuoted(key, strings.ReplaceAll(value, `"`, `\"`))
		return
	}
	b.begin(key)
	*b = append(*b, value...)
}

// addQuoted adds KEY="VALUE", whose quotes have been seen to.
func (b *xfccBuilder) addQuoted(key, value string) {
	b.begin(key)
	*b = append(append(append(*b, '"'), value...), '"')
}

func (b *xfccBuilder) begin(key string) {
	if len(*b) > 0 {
		*b = append(*b, ';')
	}
	*b = append(append(*b, key...), '=')
}

// quotableDN is a printed name as it stands in quotes. RFC 2253 has a backslash
// before a quote already. One that stands for itself, "\\", is spelt in hex, which
// RFC 2253 allows as well: at the end of a value it would else make the closing
// quote look like part of the value to whoever knows no escape but that of the
// quote.
func quotableDN(dn string) string {
	if !strings.Contains(dn, `\\`) {
		return dn
	}
	b := make([]byte, 0, len(dn)+8)
	for i := 0; i < len(dn); i++ {
		if dn[i] != '\\' || i+1 == len(dn) {
			b = append(b, dn[i])
			continue
		}
		i++
		if dn[i] == '\\' {
			b = append(b, `\5C`...)
		} else {
			b = append(b, '\\', dn[i])
		}
	}
	return string(b)
}

// namesOf returns c's subject alternative names of one type. What no URI or DNS
// name can have in it (white space, controls, bytes beyond ASCII, a backslash) is
// left out whole: in any other spelling it could be another's name.
func namesOf(c *x509.Certificate, of NameType) []string {
	all, err := AlternativeNames(c, nil)
	if err != nil {
		return nil
	}
	var names []string
	for _, name := range all {
		if name.Type == of && isPlain(name.Value) {
			names = append(names, string(name.Value))
		}
	}
	return names
}

func isPlain(value []byte) bool {
	for _, c := range value {
		if c <= ' ' || c >= 0x7F || c == '\\' {
			return false
		}
	}
	return len(value) > 0
}
