package sdk

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/sdk/frame"
)

// Field names something that the edge knows of a connection, a request or a
// response. FRAMES.md says precisely what is in each.
type Field string

// The fields of a connection.
const (
	ConnectionID Field = "connection.id"
	ClientIP     Field = "connection.client_ip"
	ClientPort   Field = "connection.client_port"
	ServerPort   Field = "connection.server_port"
	Listener     Field = "connection.listener"
	ServerName   Field = "connection.server_name"
	ALPN         Field = "connection.alpn"
	TLSVersion   Field = "connection.tls_version"
	CipherSuite  Field = "connection.cipher_suite"
	JA4          Field = "connection.ja4"
	Resumed      Field = "connection.resumed"
)

// The fields of the client's certificate. CertVerified need not be declared by
// who declares another one of them.
const (
	CertVerified            Field = "cert.verified"
	CertDER                 Field = "cert.der"
	CertChain               Field = "cert.chain"
	CertSHA256              Field = "cert.sha256"
	CertSubject             Field = "cert.subject"
	CertIssuer              Field = "cert.issuer"
	CertSerial              Field = "cert.serial"
	CertNotBefore           Field = "cert.not_before"
	CertNotAfter            Field = "cert.not_after"
	CertCommonName          Field = "cert.common_name"
	CertOrganizations       Field = "cert.organizations"
	CertOrganizationalUnits Field = "cert.organizational_units"
	CertDNSNames            Field = "cert.dns_names"
	CertEmails              Field = "cert.emails"
	CertURIs                Field = "cert.uris"
	CertIPs                 Field = "cert.ips"
)

// The fields of a request and of its response. AllHeaders makes every request a
// new one: name the headers that are needed instead, if they can be named.
const (
	Method      Field = "request.method"
	Scheme      Field = "request.scheme"
	RequestHost Field = "request.host"
	Path        Field = "request.path"
	Query       Field = "request.query"
	HTTPVersion Field = "request.version"
	RequestID   Field = "request.id"
	AllHeaders  Field = "headers"

	Status             Field = "response.status"
	AllResponseHeaders Field = "response_headers"
)

// Header is the field of all values of a request's header.
func Header(name string) Field { return Field("header:" + name) }

// ResponseHeader is the field of all values of a response's header.
func ResponseHeader(name string) Field { return Field("response_header:" + name) }

// declared is the set of fields that a manifest names.
type declared struct {
	plain           [frame.TagLimit]bool
	headers         []string // in lower case
	responseHeaders []string
}

func newDeclared(needs []string) declared {
	var d declared
	for _, name := range needs {
		need, err := frame.ParseNeed(name)
		if err != nil {
			continue // Of a HELLO that ParseHello has refused.
		}
		switch {
		case need.Header == "":
			d.plain[need.Tag] = true
		case need.Tag == frame.TagHeader:
			d.headers = append(d.headers, need.Header)
		default:
			d.responseHeaders = append(d.responseHeaders, need.Header)
		}
	}
	return d
}

// header reports whether the header of that name, in any case, may be asked for.
func (d *declared) header(tag frame.Tag, name string) bool {
	if d.plain[tag] {
		return true
	}
	names := d.headers
	if tag == frame.TagResponseHeader {
		names = d.responseHeaders
	}
	for _, n := range names {
		if strings.EqualFold(n, name) {
			return true
		}
	}
	return false
}

// canonical gives the names of the fields that a verdict depends on as the edge
// wants them: each once, all of them declared, and with cert.verified beside every
// other field of the certificate, because the methods of Peer look at it.
func (d *declared) canonical(names []string) (fields []string, fault string) {
	fields = make([]string, 0, len(names)+1)
	add := func(name string) {
		if !slices.Contains(fields, name) {
			fields = append(fields, name)
		}
	}
	for _, name := range names {
		need, err := frame.ParseNeed(name)
		if err != nil || !d.has(need) {
			return nil, fmt.Sprintf("verdict depends on %q, which is not declared", name)
		}
		add(need.String())
		if ofCertificate(need.Tag) {
			add(string(CertVerified))
		}
	}
	return fields, ""
}

func (d *declared) has(n frame.Need) bool {
	if n.Header == "" {
		return d.plain[n.Tag]
	}
	return slices.Contains(d.headers, n.Header) && n.Tag == frame.TagHeader ||
		slices.Contains(d.responseHeaders, n.Header) && n.Tag == frame.TagResponseHeader
}

func ofCertificate(tag frame.Tag) bool {
	return tag >= frame.TagCertVerified && tag <= frame.TagCertIPs
}
