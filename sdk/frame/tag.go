package frame

import (
	"fmt"
	"slices"
	"strings"
)

// Tag names a field.
type Tag uint16

// The fields of control frames and verdicts.
const (
	TagProtocol    Tag = 1  // HELLO: number, once for each version spoken; CONFIGURE: the one chosen
	TagName        Tag = 2  // HELLO
	TagVersion     Tag = 3  // HELLO
	TagHook        Tag = 4  // HELLO: a hook's name, repeated
	TagNeed        Tag = 5  // HELLO, CONFIGURED: a field's name, repeated
	TagOwns        Tag = 6  // HELLO: a header's name, repeated
	TagConcurrency Tag = 7  // HELLO: number
	TagMaxFrame    Tag = 8  // HELLO, CONFIGURE: number
	TagConfig      Tag = 9  // CONFIGURE: JSON
	TagError       Tag = 10 // CONFIGURED

	TagDecision     Tag = 16 // VERDICT: 1 allow, 2 deny
	TagStatus       Tag = 17 // VERDICT: number
	TagReason       Tag = 18 // VERDICT
	TagSetHeader    Tag = 19 // VERDICT: pair
	TagAddHeader    Tag = 20 // VERDICT: pair
	TagRemoveHeader Tag = 21 // VERDICT: name
	TagTTL          Tag = 22 // VERDICT: milliseconds
	TagDepends      Tag = 23 // VERDICT: a field's name, repeated; one that is empty: no field
	TagBan          Tag = 24 // VERDICT: weight

	TagLeaf Tag = 32 // INVALIDATE: SHA-256, 32 bytes

	TagLevel   Tag = 40 // LOG: number
	TagMessage Tag = 41 // LOG
	TagAttr    Tag = 42 // LOG: pair, repeated
)

// The fields that a plugin may need. FRAMES.md says what is in each.
const (
	TagConnectionID Tag = 0x0100 + iota
	TagClientIP
	TagClientPort
	TagServerPort
	TagListener
	TagServerName
	TagALPN
	TagTLSVersion
	TagCipherSuite
	TagJA4
	TagResumed
)

// The fields of the client's certificate.
const (
	TagCertVerified Tag = 0x0200 + iota
	TagCertDER
	TagCertChain
	TagCertSHA256
	TagCertSubject
	TagCertIssuer
	TagCertSerial
	TagCertNotBefore
	TagCertNotAfter
	TagCertCommonName
	TagCertOrganizations
	TagCertOrganizationalUnits
	TagCertDNSNames
	TagCertEmails
	TagCertURIs
	TagCertIPs
)

// The fields of a request and of its response.
const (
	TagMethod Tag = 0x0300 + iota
	TagScheme
	TagHost
	TagPath
	TagQuery
	TagHTTPVersion
	TagRequestID

	TagHeader         Tag = 0x03F0
	TagResponseStatus Tag = 0x0400
	TagResponseHeader Tag = 0x04F0
)

// TagLimit is greater than every tag of this version.
const TagLimit Tag = 0x0500

// Kind is how the value of a field that a plugin may need is written.
type Kind uint8

// The kinds of values.
const (
	Text   Kind = iota + 1 // bytes, once
	Number                 // eight bytes, once
	Truth                  // a number, 0 or 1, once
	Time                   // seconds since 1970 in two's complement, once
	Hash                   // 32 bytes, once
	List                   // bytes, once for each entry, in order
	Header                 // a pair, once for each header line, in order
)

type field struct {
	name string
	tag  Tag
	kind Kind
}

// fields is every field that a plugin may need, but for single headers.
var fields = []field{
	{"connection.id", TagConnectionID, Text},
	{"connection.client_ip", TagClientIP, Text},
	{"connection.client_port", TagClientPort, Number},
	{"connection.server_port", TagServerPort, Number},
	{"connection.listener", TagListener, Text},
	{"connection.server_name", TagServerName, Text},
	{"connection.alpn", TagALPN, Text},
	{"connection.tls_version", TagTLSVersion, Text},
	{"connection.cipher_suite", TagCipherSuite, Text},
	{"connection.ja4", TagJA4, Text},
	{"connection.resumed", TagResumed, Truth},
	{"cert.verified", TagCertVerified, Truth},
	{"cert.der", TagCertDER, Text},
	{"cert.chain", TagCertChain, List},
	{"cert.sha256", TagCertSHA256, Hash},
	{"cert.subject", TagCertSubject, Text},
	{"cert.issuer", TagCertIssuer, Text},
	{"cert.serial", TagCertSerial, Text},
	{"cert.not_before", TagCertNotBefore, Time},
	{"cert.not_after", TagCertNotAfter, Time},
	{"cert.common_name", TagCertCommonName, Text},
	{"cert.organizations", TagCertOrganizations, List},
	{"cert.organizational_units", TagCertOrganizationalUnits, List},
	{"cert.dns_names", TagCertDNSNames, List},
	{"cert.emails", TagCertEmails, List},
	{"cert.uris", TagCertURIs, List},
	{"cert.ips", TagCertIPs, List},
	{"request.method", TagMethod, Text},
	{"request.scheme", TagScheme, Text},
	{"request.host", TagHost, Text},
	{"request.path", TagPath, Text},
	{"request.query", TagQuery, Text},
	{"request.version", TagHTTPVersion, Text},
	{"request.id", TagRequestID, Text},
	{"headers", TagHeader, Header},
	{"response.status", TagResponseStatus, Number},
	{"response_headers", TagResponseHeader, Header},
}

// kinds holds the kind of every field that a plugin may need, by its tag: a walk
// over a body looks here for each field.
var kinds = func() (k [TagLimit]Kind) {
	for _, f := range fields {
		k[f.tag] = f.kind
	}
	return k
}()

// Kind tells how the value of a field that a plugin may need is written; zero for
// all other tags.
func (t Tag) Kind() Kind {
	if t >= TagLimit {
		return 0
	}
	return kinds[t]
}

// String gives the name of a field that a plugin may need, and the number of any
// other tag.
func (t Tag) String() string {
	for _, f := range fields {
		if f.tag == t {
			return f.name
		}
	}
	return fmt.Sprintf("tag %d", uint16(t))
}

// FieldTag gives the tag of a field that a plugin may need. Single headers
// (header:NAME) are not plain fields: ParseNeed knows them too.
func FieldTag(name string) (Tag, bool) {
	for _, f := range fields {
		if f.name == name {
			return f.tag, true
		}
	}
	return 0, false
}

// FieldNames gives the names of all plain fields, in the order of FRAMES.md.
func FieldNames() []string {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.name
	}
	return names
}

// Need is a field that a plugin has declared, taken apart.
type Need struct {
	Tag    Tag
	Header string // of TagHeader and TagResponseHeader: the name in lower case, or "" for all
}

// ParseNeed reads a declared field: a plain one, header:NAME or
// response_header:NAME.
func ParseNeed(name string) (Need, error) {
	if tag, ok := FieldTag(name); ok {
		return Need{Tag: tag}, nil
	}
	kind, header, found := strings.Cut(name, ":")
	need := Need{Header: strings.ToLower(header)}
	switch kind {
	case "header":
		need.Tag = TagHeader
	case "response_header":
		need.Tag = TagResponseHeader
	}
	if !found || need.Tag == 0 {
		return Need{}, malformed("need %q: no such field", clip(name))
	}
	if !IsToken(header) || len(header) > MaxName {
		return Need{}, malformed("need %q: want the name of a header after the colon", clip(name))
	}
	return need, nil
}

// String gives the name as ParseNeed reads it.
func (n Need) String() string {
	switch {
	case n.Header == "":
		return n.Tag.String()
	case n.Tag == TagHeader:
		return "header:" + n.Header
	}
	return "response_header:" + n.Header
}

// Covers says whether all fields of few are among those of many, where all headers
// cover each single one. Both are as ParseNeed reads them.
func Covers(many, few []string) bool {
	for _, name := range few {
		if slices.Contains(many, name) {
			continue
		}
		need, err := ParseNeed(name)
		if err != nil || need.Header == "" || !slices.Contains(many, need.Tag.String()) {
			return false
		}
	}
	return true
}

// clip keeps what another side sent from filling an error message.
func clip(s string) string {
	const enough = 80
	if len(s) > enough {
		return s[:enough] + "…"
	}
	return s
}
