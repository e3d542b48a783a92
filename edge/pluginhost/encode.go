package pluginhost

import (
	"crypto/x509"

	"github.com/sallyport/sallyport/edge/http1"
	"github.com/sallyport/sallyport/edge/identity"
	"github.com/sallyport/sallyport/sdk/frame"
)

// encoded is what is told of a connection to plugins with the same needs: made
// once, and sent with every request.
type encoded struct {
	needs *needs
	bytes []byte
	ends  []int // of each field
	next  *encoded
}

// maxEncoded is how many encodings a connection keeps. A plugin that is started
// anew has needs of its own.
const maxEncoded = 8

// encode returns the connection's fields for a plugin.
func (c *Connection) encode(n *needs) *encoded {
	known := 0
	first := c.encoding.Load()
	for e := first; e != nil; e = e.next {
		if e.needs == n {
			return e
		}
		known++
	}
	if known >= maxEncoded {
		first = nil
	}
	e := &encoded{needs: n, next: first}
	for _, need := range n.list[:n.request] {
		e.bytes = c.append(e.bytes, need.Tag)
		e.ends = append(e.ends, len(e.bytes))
	}
	c.encoding.Store(e) // another one's, made just now, is made again
	return e
}

// append appends one field. Of a client without a verified certificate there is
// nothing but that.
func (c *Connection) append(dst []byte, tag frame.Tag) []byte {
	switch tag {
	case frame.TagConnectionID:
		return frame.AppendString(dst, tag, c.ID)
	case frame.TagClientIP:
		return frame.AppendString(dst, tag, c.Client.Addr().Unmap().WithZone("").String())
	case frame.TagClientPort:
		return frame.AppendUint(dst, tag, uint64(c.Client.Port()))
	case frame.TagServerPort:
		return frame.AppendUint(dst, tag, uint64(c.Server.Port()))
	case frame.TagListener:
		return frame.AppendString(dst, tag, c.Listener)
	case frame.TagServerName:
		return frame.AppendString(dst, tag, c.ServerName)
	case frame.TagALPN:
		return frame.AppendString(dst, tag, c.ALPN)
	case frame.TagTLSVersion:
		return frame.AppendString(dst, tag, c.TLSVersion)
	case frame.TagCipherSuite:
		return frame.AppendString(dst, tag, c.CipherSuite)
	case frame.TagJA4:
		return frame.AppendString(dst, tag, c.JA4)
	case frame.TagResumed:
		return frame.AppendBool(dst, tag, c.Resumed)
	case frame.TagCertVerified:
		return frame.AppendBool(dst, tag, len(c.Chain) > 0)
	}
	if len(c.Chain) == 0 {
		return dst
	}
	return c.appendCertificate(dst, tag, c.Chain[0])
}

func (c *Connection) appendCertificate(dst []byte, tag frame.Tag, leaf *x509.Certificate) []byte {
	switch tag {
	case frame.TagCertDER:
		return frame.AppendField(dst, tag, leaf.Raw)
	case frame.TagCertChain:
		for _, certificate := range c.Chain {
			dst = frame.AppendField(dst, tag, certificate.Raw)
		}
	case frame.TagCertSHA256:
		return frame.AppendField(dst, tag, c.fingerprint()[:])
	case frame.TagCertSubject:
		return frame.AppendString(dst, tag, identity.Subject(leaf))
	case frame.TagCertIssuer:
		return frame.AppendString(dst, tag, identity.Issuer(leaf))
	case frame.TagCertSerial:
		return frame.AppendString(dst, tag, identity.Serial(leaf))
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

// append appends one field of a request.
func (r *Request) append(dst []byte, need frame.Need) []byte {
	head := r.Head
	switch need.Tag {
	case frame.TagMethod:
		return frame.AppendString(dst, need.Tag, head.Method)
	case frame.TagScheme:
		scheme := "http"
		if r.Secure {
			scheme = "https"
		}
		return frame.AppendString(dst, need.Tag, scheme)
	case frame.TagHost:
		return frame.AppendString(dst, need.Tag, head.Host)
	case frame.TagPath:
		return frame.AppendString(dst, need.Tag, head.Path) // as sent, without the query
	case frame.TagQuery:
		return frame.AppendString(dst, need.Tag, head.Query)
	case frame.TagHTTPVersion:
		return frame.AppendString(dst, need.Tag, version(head))
	case frame.TagRequestID:
		id := ""
		if r.ID != nil {
			id = r.ID.TraceID()
		}
		return frame.AppendString(dst, need.Tag, id)
	case frame.TagHeader:
		return r.appendHeaders(dst, need)
	}
	return dst
}

// appendHeaders appends the client's fields that go on, and what plugins have made
// of them so far.
func (r *Request) appendHeaders(dst []byte, need frame.Need) []byte {
	for i := range r.Head.Fields {
		f := &r.Head.Fields[i]
		if name, ok := told(need, f.Name); ok && r.passes(f) && !r.Edits.Drops(f.Name) {
			dst = frame.AppendHeader(dst, need.Tag, name, f.Value)
		}
	}
	r.Edits.Lines(func(name, value string) bool {
		if name, ok := told(need, name); ok {
			dst = frame.AppendHeader(dst, need.Tag, name, value)
		}
		return true
	})
	return dst
}

// told says whether a line is one of those that were declared, and under which
// name the plugin is told of it. A target may take X_Tenant for X-Tenant: a plugin
// that judges by the one must see the other, under the name that it looks for.
func told(need frame.Need, name string) (string, bool) {
	if need.Header == "" {
		return name, true
	}
	return need.Header, http1.SameName(name, need.Header)
}

// version is that of HTTP, as it is printed everywhere.
func version(head *http1.Request) string {
	switch {
	case head.Major == 2:
		return "HTTP/2.0"
	case head.Minor == 0:
		return "HTTP/1.0"
	}
	return "HTTP/1.1"
}

// appendResponse appends one field of a response, to which edits were made.
func appendResponse(dst []byte, need frame.Need, response *http1.Response, edits http1.Edits) []byte {
	if response == nil {
		if need.Tag == frame.TagResponseStatus {
			return frame.AppendUint(dst, need.Tag, 0)
		}
		return dst
	}
	switch need.Tag {
	case frame.TagResponseStatus:
		return frame.AppendUint(dst, need.Tag, uint64(response.Status))
	case frame.TagResponseHeader:
		for i := range response.Fields {
			f := &response.Fields[i]
			if name, ok := told(need, f.Name); ok && !f.Kind.HopByHop() && !edits.Drops(f.Name) {
				dst = frame.AppendHeader(dst, need.Tag, name, f.Value)
			}
		}
		edits.Lines(func(name, value string) bool {
			if name, ok := told(need, name); ok {
				dst = frame.AppendHeader(dst, need.Tag, name, value)
			}
			return true
		})
	}
	return dst
}
