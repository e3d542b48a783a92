package identity

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/edge/config"
)

// Field is one header field. Its name is in canonical form (as by
// http.CanonicalHeaderKey), and its value is printable ASCII.
type Field struct{ Name, Value string }

// Headers makes the identity headers of one configuration. It never changes.
// The nil Headers makes none.
type Headers struct {
	header  map[config.HeaderKey]header
	details map[config.XFCCDetail]bool
	maxSize int
}

// Client is one that has proved to hold its key.
type Client struct {
	// Path is the one that was verified, leaf first, anchor last; not empty.
	Path []*x509.Certificate
	// Server is the certificate that the edge has shown the client, nil for none.
	Server *x509.Certificate
}

type header struct{ name, tooLarge string }

// keys are all there are: those of ALB in the order in which ALB sends its
// headers, then the others.
var keys = []config.HeaderKey{
	config.KeySerialNumber,
	config.KeyIssuer,
	config.KeySubject,
	config.KeyValidity,
	config.KeyLeaf,
	config.KeyClientcert,
	config.KeyTLSVersion,
	config.KeyTLSCipherSuite,
	config.KeyXFCC,
	config.KeyClientCert,
	config.KeyClientChain,
}

var presets = []config.HeaderPreset{config.PresetALB, config.PresetXFCC, config.PresetRFC9440}

// Compile makes Headers of a configuration. An unknown preset, detail or key, a name
// that is no header's, that HTTP's framing or the edge itself has a use for, or
// that two headers would share, is an error, and so is a header both renamed and
// omitted.
func Compile(cfg config.IdentityHeaders) (*Headers, error) {
	for _, preset := range cfg.Presets {
		if !slices.Contains(presets, preset) {
			return nil, fmt.Errorf("preset %q: want alb, xfcc or rfc9440", preset)
		}
	}
	h := &Headers{header: make(map[config.HeaderKey]header), details: make(map[config.XFCCDetail]bool), maxSize: int(cfg.MaxSize)}
	for _, detail := range cfg.XFCCDetails {
		if !slices.Contains(xfccDetails, detail) {
			return nil, fmt.Errorf("detail %q: want cert, chain, subject, uri or dns", detail)
		}
		h.details[detail] = true
	}
	for _, key := range cfg.Omit {
		if !slices.Contains(keys, key) {
			return nil, fmt.Errorf("omit %q: want one of %s", key, keyList())
		}
	}
	for key, name := range cfg.Rename {
		if !slices.Contains(keys, key) {
			return nil, fmt.Errorf("rename %q: want one of %s", key, keyList())
		}
		if slices.Contains(cfg.Omit, key) {
			return nil, fmt.Errorf("rename %s to %q: it is omitted too", key, name)
		}
		if err := checkName(name); err != nil {
			return nil, fmt.Errorf("rename %s to %q: %w", key, name, err)
		}
	}
	if len(cfg.Presets) == 0 {
		return h, nil
	}
	if cfg.MaxSize <= 0 {
		return nil, fmt.Errorf("max size %s: want more than nothing", cfg.MaxSize)
	}
	owner := make(map[string]config.HeaderKey)
	for _, key := range keys {
		if slices.Contains(cfg.Omit, key) || !slices.Contains(cfg.Presets, key.Preset()) {
			continue
		}
		name := key.Name()
		if renamed, ok := cfg.Rename[key]; ok {
			name = http.CanonicalHeaderKey(renamed)
		}
		for _, taken := range []string{name, name + config.TooLargeSuffix} {
			if other, ok := owner[fold(taken)]; ok {
				return nil, fmt.Errorf("name %s %q: %s takes %q", key, name, other, taken)
			}
			owner[fold(taken)] = key
		}
		h.header[key] = header{name: name, tooLarge: name + config.TooLargeSuffix}
	}
	return h, nil
}

// Verified returns the headers that say who a verified client is: ALB's in its
// order (serial number, issuer, subject, validity, leaf), then Envoy's, then those
// of RFC 9440. A value over the configured size is left out, and NAME-Too-Large: 1
// stands in its place.
func (h *Headers) Verified(c Client) []Field {
	if h == nil || len(h.header) == 0 || len(c.Path) == 0 {
		return nil
	}
	leaf := c.Path[0]
	fields := make([]Field, 0, 8)
	if as, ok := h.header[config.KeySerialNumber]; ok {
		fields = h.append(fields, as, Serial(leaf))
	}
	if as, ok := h.header[config.KeyIssuer]; ok {
		fields = h.append(fields, as, Issuer(leaf))
	}
	if as, ok := h.header[config.KeySubject]; ok {
		fields = h.append(fields, as, Subject(leaf))
	}
	if as, ok := h.header[config.KeyValidity]; ok {
		fields = h.append(fields, as, Validity(leaf))
	}
	if as, ok := h.header[config.KeyLeaf]; ok {
		fields = h.appendPEM(fields, as, leaf)
	}
	if as, ok := h.header[config.KeyXFCC]; ok {
		fields = h.append(fields, as, h.xfcc(c))
	}
	return h.appendRFC9440(fields, c)
}

// chain is the path without the root at its end, which whoever trusts it has: what
// a client has to present (RFC 8446, section 4.4.2).
func (c Client) chain() []*x509.Certificate {
	n := len(c.Path)
	if last := c.Path[n-1]; n > 1 && bytes.Equal(last.RawSubject, last.RawIssuer) {
		n--
	}
	return c.Path[:n]
}

// Presented returns ALB's header of mode passthrough: the chain as the client
// presented it, leaf first, of which nothing has been judged but that the client
// holds the leaf's key. A chain over the configured size is left out as in
// Verified.
func (h *Headers) Presented(chain []*x509.Certificate) []Field {
	if h == nil || len(chain) == 0 {
		return nil
	}
	as, ok := h.header[config.KeyClientcert]
	if !ok {
		return nil
	}
	return h.appendPEM(make([]Field, 0, 1), as, chain...)
}

// TLS returns ALB's two headers about the connection, for names such as
// TLSv1.3 and TLS_AES_128_GCM_SHA256. An empty name gets no header.
func (h *Headers) TLS(version, cipherSuite string) []Field {
	if h == nil || len(h.header) == 0 {
		return nil
	}
	fields := make([]Field, 0, 2)
	if as, ok := h.header[config.KeyTLSVersion]; ok && version != "" {
		fields = h.append(fields, as, version)
	}
	if as, ok := h.header[config.KeyTLSCipherSuite]; ok && cipherSuite != "" {
		fields = h.append(fields, as, cipherSuite)
	}
	return fields
}

// Names returns every name that h may set, each with its -Too-Large variant
// behind it.
func (h *Headers) Names() []string {
	if h == nil {
		return nil
	}
	var names []string
	for _, key := range keys {
		if as, ok := h.header[key]; ok {
			names = append(names, as.name, as.tooLarge)
		}
	}
	return names
}

func (h *Headers) append(fields []Field, as header, value string) []Field {
	if len(value) > h.maxSize {
		return append(fields, Field{Name: as.tooLarge, Value: "1"})
	}
	return append(fields, Field{Name: as.name, Value: value})
}

// appendPEM knows the size before it prints: a chain of 64KiB that is only to
// be left out costs nothing.
func (h *Headers) appendPEM(fields []Field, as header, chain ...*x509.Certificate) []Field {
	if escapedLen(chain) > h.maxSize {
		return append(fields, Field{Name: as.tooLarge, Value: "1"})
	}
	return append(fields, Field{Name: as.name, Value: EscapePEM(chain...)})
}

func keyList() string {
	names := make([]string, 0, len(keys))
	for _, key := range keys {
		names = append(names, string(key))
	}
	return strings.Join(names, ", ")
}
