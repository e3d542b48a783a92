package ja4

import (
	"crypto/tls"
	"net"
	"slices"
	"strings"
	"testing"

	utls "github.com/refraction-networking/utls"
)

// chrome is the ClientHello of the specification's worked example, with GREASE
// put in as Chrome does.
func chrome() *tls.ClientHelloInfo {
	return &tls.ClientHelloInfo{
		CipherSuites: []uint16{0x2a2a, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014, 0x009c, 0x009d, 0x002f, 0x0035},
		Extensions: []uint16{0x4a4a, 0x001b, 0x0000, 0x0033, 0x0010, 0x4469, 0x0017, 0x002d, 0x000d, 0x0005, 0x0023, 0x0012, 0x002b, 0xff01, 0x000b,
			0x000a, 0x0015, 0x3a3a},
		SupportedVersions: []uint16{0x5a5a, tls.VersionTLS13, tls.VersionTLS12},
		SupportedProtos:   []string{"h2", "http/1.1"},
		SignatureSchemes:  []tls.SignatureScheme{0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601},
	}
}

func TestOf(t *testing.T) {
	with := func(change func(*tls.ClientHelloInfo)) *tls.ClientHelloInfo {
		h := chrome()
		change(h)
		return h
	}
	for _, c := range []struct {
		name  string
		hello *tls.ClientHelloInfo
		want  string
	}{
		{"the published vector", chrome(), "t13d1516h2_8daaf6152771_e5627efa2ab1"},
		{"another order", with(func(h *tls.ClientHelloInfo) {
			slices.Reverse(h.CipherSuites)
			slices.Reverse(h.Extensions)
		}), "t13d1516h2_8daaf6152771_e5627efa2ab1"},
		{"no server name", with(func(h *tls.ClientHelloInfo) {
			h.Extensions = slices.DeleteFunc(h.Extensions, func(e uint16) bool { return e == extServerName })
		}), "t13i1515h2_8daaf6152771_e5627efa2ab1"},
		{"no protocol", with(func(h *tls.ClientHelloInfo) { h.SupportedProtos = nil }), "t13d151600_8daaf6152771_e5627efa2ab1"},
		{"an empty protocol", with(func(h *tls.ClientHelloInfo) { h.SupportedProtos = []string{""} }), "t13d151600_8daaf6152771_e5627efa2ab1"},
		{"a protocol of one letter", with(func(h *tls.ClientHelloInfo) { h.SupportedProtos = []string{"x"} }), "t13d1516xx_8daaf6152771_e5627efa2ab1"},
		{"a protocol of other bytes", with(func(h *tls.ClientHelloInfo) { h.SupportedProtos = []string{"\xab\xcd"} }), "t13d1516ad_8daaf6152771_e5627efa2ab1"},
		{"a protocol that ends so", with(func(h *tls.ClientHelloInfo) { h.SupportedProtos = []string{"0\xab"} }), "t13d15163b_8daaf6152771_e5627efa2ab1"},
		{"TLS 1.2", with(func(h *tls.ClientHelloInfo) {
			h.SupportedVersions = []uint16{0x0a0a, tls.VersionTLS11, tls.VersionTLS12}
		}), "t12d1516h2_8daaf6152771_e5627efa2ab1"},
		{"a version nobody knows", with(func(h *tls.ClientHelloInfo) { h.SupportedVersions = []uint16{0x7f00} }), "t00d1516h2_8daaf6152771_e5627efa2ab1"},
		{"nothing at all", &tls.ClientHelloInfo{}, "t00i000000_000000000000_000000000000"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := Of(c.hello); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

// The signature algorithms count in their order.
func TestSignatureAlgorithms(t *testing.T) {
	reversed, none := chrome(), chrome()
	slices.Reverse(reversed.SignatureSchemes)
	none.SignatureSchemes = nil
	seen := map[string]bool{Of(chrome()): true, Of(reversed): true, Of(none): true}
	if len(seen) != 3 {
		t.Errorf("got %v, want three", seen)
	}
}

func TestMoreThanNinetyNine(t *testing.T) {
	h := chrome()
	for i := range uint16(300) {
		h.CipherSuites = append(h.CipherSuites, i)
		h.Extensions = append(h.Extensions, i)
	}
	if got := Of(h); len(got) != Size || !strings.HasPrefix(got, "t13d9999h2_") {
		t.Errorf("got %s", got)
	}
}

// TestRealClients has clients as they are say their hello to crypto/tls.
func TestRealClients(t *testing.T) {
	for _, c := range []struct {
		name string
		id   utls.ClientHelloID
		want string
	}{
		{"Chrome 133", utls.HelloChrome_133, "t13d1516h2_8daaf6152771_d8a2da3f94cd"},
		{"Firefox 120", utls.HelloFirefox_120, "t13d1715h2_5b57614c22b0_5c2c66f702b0"},
		{"Safari 16", utls.HelloSafari_16_0, "t13d2014h2_a09f3c656075_14788d8d241b"},
	} {
		t.Run(c.name, func(t *testing.T) {
			client, server := net.Pipe()
			defer server.Close()
			go func() {
				utls.UClient(client, &utls.Config{ServerName: "example.com"}, c.id).Handshake()
				client.Close()
			}()
			var got string
			tls.Server(server, &tls.Config{GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
				got = Of(h)
				return nil, net.ErrClosed
			}}).Handshake()
			if got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func FuzzOf(f *testing.F) {
	f.Add([]byte{0x13, 0x01, 0x0a, 0x0a}, []byte{0, 0, 0, 16}, "h2")
	f.Fuzz(func(t *testing.T, suites, extensions []byte, protocol string) {
		h := &tls.ClientHelloInfo{SupportedProtos: []string{protocol}}
		for i := 0; i+1 < len(suites); i += 2 {
			h.CipherSuites = append(h.CipherSuites, uint16(suites[i])<<8|uint16(suites[i+1]))
		}
		for i := 0; i+1 < len(extensions); i += 2 {
			h.Extensions = append(h.Extensions, uint16(extensions[i])<<8|uint16(extensions[i+1]))
		}
		got := Of(h)
		if len(got) != Size || strings.ContainsFunc(got, func(r rune) bool { return r > '~' || r <= ' ' }) {
			t.Errorf("got %q", got)
		}
	})
}

func BenchmarkOf(b *testing.B) {
	h := chrome()
	b.ReportAllocs()
	for b.Loop() {
		Of(h)
	}
}
