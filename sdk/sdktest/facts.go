package sdktest

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/sdk/frame"
)

// Connection is what the plugin is told of a connection, as far as it has declared
// it. Zero fields get a value that could be real; without a Peer the client has no
// certificate.
type Connection struct {
	ID                     string
	ClientIP               netip.Addr // 192.0.2.1
	ClientPort, ServerPort uint16     // 50000, 443
	Listener               string     // public
	ServerName             string     // api.example.com
	ALPN                   string     // http/1.1
	TLSVersion             string     // TLSv1.3
	CipherSuite            string     // TLS_AES_128_GCM_SHA256
	JA4                    string     // t13d1516h2_8daaf6152771_b186095e22b6
	Resumed                bool
	Peer                   *Peer
}

// Request is what the plugin is told of a request.
type Request struct {
	Connection
	Method    string // GET
	Scheme    string // https
	Host      string // api.example.com
	Path      string // /
	Query     string
	Version   string // HTTP/1.1
	RequestID string
	Header    http.Header
}

// Response is what the plugin is told of a response.
type Response struct {
	Request
	Status         int // 200
	ResponseHeader http.Header
}

// append appends one declared field of the connection.
func (c *Connection) append(dst []byte, tag frame.Tag) []byte {
	switch tag {
	case frame.TagConnectionID:
		return frame.AppendString(dst, tag, cmp.Or(c.ID, "TID_0123456789abcdef0123456789abcdef"))
	case frame.TagClientIP:
		return frame.AppendString(dst, tag, cmp.Or(c.ClientIP, netip.AddrFrom4([4]byte{192, 0, 2, 1})).String())
	case frame.TagClientPort:
		return frame.AppendUint(dst, tag, uint64(cmp.Or(c.ClientPort, 50000)))
	case frame.TagServerPort:
		return frame.AppendUint(dst, tag, uint64(cmp.Or(c.ServerPort, 443)))
	case frame.TagListener:
		return frame.AppendString(dst, tag, cmp.Or(c.Listener, "public"))
	case frame.TagServerName:
		return frame.AppendString(dst, tag, cmp.Or(c.ServerName, "api.example.com"))
	case frame.TagALPN:
		return frame.AppendString(dst, tag, cmp.Or(c.ALPN, "http/1.1"))
	case frame.TagTLSVersion:
		return frame.AppendString(dst, tag, cmp.Or(c.TLSVersion, "TLSv1.3"))
	case frame.TagCipherSuite:
		return frame.AppendString(dst, tag, cmp.Or(c.CipherSuite, "TLS_AES_128_GCM_SHA256"))
	case frame.TagJA4:
		return frame.AppendString(dst, tag, cmp.Or(c.JA4, "t13d1516h2_8daaf6152771_b186095e22b6"))
	case frame.TagResumed:
		return frame.AppendBool(dst, tag, c.Resumed)
	case frame.TagCertVerified:
		return frame.AppendBool(dst, tag, c.Peer.verified())
	}
	if !c.Peer.verified() {
		return dst // As the edge does: it tells nothing of who has proved nothing.
	}
	return c.Peer.append(dst, tag)
}

func (p *Peer) append(dst []byte, tag frame.Tag) []byte {
	leaf := p.Certificate
	switch tag {
	case frame.TagCertDER:
		return frame.AppendField(dst, tag, leaf.Raw)
	case frame.TagCertChain:
		for _, c := range p.Chain {
			dst = frame.AppendField(dst, tag, c.Raw)
		}
	case frame.TagCertSHA256:
		sum := sha256.Sum256(leaf.Raw)
		return frame.AppendField(dst, tag, sum[:])
	case frame.TagCertSubject:
		return frame.AppendString(dst, tag, leaf.Subject.String())
	case frame.TagCertIssuer:
		return frame.AppendString(dst, tag, leaf.Issuer.String())
	case frame.TagCertSerial:
		return frame.AppendString(dst, tag, fmt.Sprintf("%X", leaf.SerialNumber.Bytes()))
	case frame.TagCertNotBefore:
		return frame.AppendTime(dst, tag, leaf.NotBefore.Unix())
	case frame.TagCertNotAfter:
		return frame.AppendTime(dst, tag, leaf.NotAfter.Unix())
	case frame.TagCertCommonName:
		return frame.AppendString(dst, tag, leaf.Subject.CommonName)
	case frame.TagCertOrganizations:
		return appendList(dst, tag, leaf.Subject.Organization)
	case frame.TagCertOrganizationalUnits:
		return appendList(dst, tag, leaf.Subject.OrganizationalUnit)
	case frame.TagCertDNSNames:
		return appendList(dst, tag, leaf.DNSNames)
	case frame.TagCertEmails:
		return appendList(dst, tag, leaf.EmailAddresses)
	case frame.TagCertURIs:
		for _, uri := range leaf.URIs {
			dst = frame.AppendString(dst, tag, uri.String())
		}
	case frame.TagCertIPs:
		for _, ip := range leaf.IPAddresses {
			dst = frame.AppendString(dst, tag, ip.String())
		}
	}
	return dst
}

func appendList(dst []byte, tag frame.Tag, list []string) []byte {
	for _, s := range list {
		dst = frame.AppendString(dst, tag, s)
	}
	return dst
}

// append appends one declared field of the request or of its connection.
func (r *Request) append(dst []byte, need frame.Need) []byte {
	switch need.Tag {
	case frame.TagMethod:
		return frame.AppendString(dst, need.Tag, cmp.Or(r.Method, http.MethodGet))
	case frame.TagScheme:
		return frame.AppendString(dst, need.Tag, cmp.Or(r.Scheme, "https"))
	case frame.TagHost:
		return frame.AppendString(dst, need.Tag, cmp.Or(r.Host, "api.example.com"))
	case frame.TagPath:
		return frame.AppendString(dst, need.Tag, cmp.Or(r.Path, "/"))
	case frame.TagQuery:
		return frame.AppendString(dst, need.Tag, r.Query)
	case frame.TagHTTPVersion:
		return frame.AppendString(dst, need.Tag, cmp.Or(r.Version, "HTTP/1.1"))
	case frame.TagRequestID:
		return frame.AppendString(dst, need.Tag, cmp.Or(r.RequestID, "Root=1-67891233-abcdef012345678912345678"))
	case frame.TagHeader:
		return appendHeader(dst, need, r.Header)
	}
	return r.Connection.append(dst, need.Tag)
}

// append appends one declared field of the response, its request or its connection.
func (r *Response) append(dst []byte, need frame.Need) []byte {
	switch need.Tag {
	case frame.TagResponseStatus:
		return frame.AppendUint(dst, need.Tag, uint64(cmp.Or(r.Status, http.StatusOK)))
	case frame.TagResponseHeader:
		return appendHeader(dst, need, r.ResponseHeader)
	}
	return r.Request.append(dst, need)
}

// appendHeader appends the lines that a plugin with that need is told of. As with the
// edge, a target may take X_Tenant for X-Tenant, so that a plugin which judges by the
// one sees the other too, under the name that it looks for.
func appendHeader(dst []byte, need frame.Need, h http.Header) []byte {
	for _, name := range slices.Sorted(maps.Keys(h)) {
		told := name
		if need.Header != "" {
			if told = need.Header; !sameName(name, told) {
				continue
			}
		}
		for _, value := range h[name] {
			dst = frame.AppendHeader(dst, need.Tag, told, value)
		}
	}
	return dst
}

// sameName says whether a target could take two names for the same: ASCII letters in
// any case, and any byte that is neither letter nor digit for a hyphen.
func sameName(a, b string) bool {
	fold := func(c rune) rune {
		switch {
		case 'A' <= c && c <= 'Z':
			return c | 0x20
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
			return c
		}
		return '-'
	}
	return strings.Map(fold, a) == strings.Map(fold, b)
}
