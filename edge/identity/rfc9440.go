package identity

import (
	"crypto/x509"
	"encoding/base64"

	"github.com/sallyport/sallyport/edge/config"
)

// appendRFC9440 appends Client-Cert, the client's certificate as a byte sequence of
// structured fields (RFC 9440, section 2.2), and Client-Cert-Chain, a list of those
// that it was verified by, in the order of TLS and without the root (section 2.3).
// There is no chain where there is none, nor without the certificate.
func (h *Headers) appendRFC9440(fields []Field, c Client) []Field {
	as, ok := h.header[config.KeyClientCert]
	if !ok {
		return fields
	}
	leaf, chain := c.Path[:1], c.chain()[1:]
	if sequencesLen(leaf) > h.maxSize {
		return append(fields, Field{Name: as.tooLarge, Value: "1"})
	}
	fields = append(fields, Field{Name: as.name, Value: byteSequences(leaf)})
	if as, ok = h.header[config.KeyClientChain]; !ok || len(chain) == 0 {
		return fields
	}
	if sequencesLen(chain) > h.maxSize {
		return append(fields, Field{Name: as.tooLarge, Value: "1"})
	}
	return append(fields, Field{Name: as.name, Value: byteSequences(chain)})
}

// byteSequences prints certificates as a list of byte sequences (RFC 9651,
// sections 3.1 and 3.3.5).
func byteSequences(list []*x509.Certificate) string {
	b := make([]byte, 0, sequencesLen(list))
	for i, c := range list {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = append(b, ':')
		b = base64.StdEncoding.AppendEncode(b, c.Raw)
		b = append(b, ':')
	}
	return string(b)
}

// sequencesLen is the length of what byteSequences prints.
func sequencesLen(list []*x509.Certificate) int {
	n := 0
	for i, c := range list {
		if i > 0 {
			n += len(", ")
		}
		n += len("::") + base64.StdEncoding.EncodedLen(len(c.Raw))
	}
	return n
}
