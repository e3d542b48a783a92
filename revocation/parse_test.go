package revocation

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParseReadsFields(t *testing.T) {
	ca := newCA(t, "Fields CA")
	p := ca.base()
	keyID := []byte{1, 2, 3}
	p.extensions = tlv(0xa0, seq(
		ext(oidAuthorityKeyID, false, seq(tlv(tagContext, keyID))),
		numberExt(300),
		idpExt(pointOf(uri("http://crl.example/1.crl")), only(1)),
	))
	p.revoked = seq(revoke(7), revoke(7), revoke(8))
	raw := p.der(t, ca)
	l := parseOne(t, raw)

	want, err := x509.ParseRevocationList(raw)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(l.Issuer(), want.RawIssuer) || l.IssuerKey() != NameKeyOf(ca.cert.RawSubject) {
		t.Errorf("issuer differs")
	}
	if !l.ThisUpdate().Equal(want.ThisUpdate) || !l.NextUpdate().Equal(want.NextUpdate) {
		t.Errorf("dates %s, %s: want %s, %s", l.ThisUpdate(), l.NextUpdate(), want.ThisUpdate, want.NextUpdate)
	}
	if l.Number().Cmp(want.Number) != 0 || !bytes.Equal(l.AuthorityKeyID(), keyID) || l.Entries() != 3 {
		t.Errorf("number %s, key id %x, %d entries", l.Number(), l.AuthorityKeyID(), l.Entries())
	}
	if l.SignatureAlgorithm() != x509.ECDSAWithSHA256 || l.BaseNumber() != nil || l.Unusable() != nil {
		t.Errorf("algorithm %s, base %v, unusable %v", l.SignatureAlgorithm(), l.BaseNumber(), l.Unusable())
	}
	if got, want := l.Scope(), `end-entity certificates with distribution point "http://crl.example/1.crl"`; got != want {
		t.Errorf("scope %q: want %q", got, want)
	}
	l.Number().SetInt64(5)
	l.Issuer()[0]++
	if l.Number().Int64() != 300 || l.Issuer()[0] != tagSequence {
		t.Errorf("list changed through what it returned")
	}
	// The caller's bytes are the caller's.
	clear(raw)
	ix := NewIndex([]*List{l})
	if v := ix.Check(ca.link(t, 7, withPoints(seq(pointOf(uri("http://crl.example/1.crl"))))), t0); v.Status != Revoked {
		t.Errorf("after clearing the input: %s %s", v.Status, v.Why)
	}
}

func TestParseTimes(t *testing.T) {
	tests := []struct {
		tag  byte
		text string
		want string // RFC 3339, empty when refused
	}{
		{tagUTCTime, "491231235959Z", "2049-12-31T23:59:59Z"},
		{tagUTCTime, "500101000000Z", "1950-01-01T00:00:00Z"},
		{tagUTCTime, "000229000000Z", "2000-02-29T00:00:00Z"},
		{tagGeneralizedTime, "20500101000000Z", "2050-01-01T00:00:00Z"},
		{tagUTCTime, "2603011200Z", ""},
		{tagUTCTime, "260301120000", ""},
		{tagUTCTime, "260301120000+0100", ""},
		{tagUTCTime, "260230120000Z", ""},
		{tagUTCTime, "261301120000Z", ""},
		{tagUTCTime, "260001120000Z", ""},
		{tagUTCTime, "260300120000Z", ""},
		{tagUTCTime, "260301240000Z", ""},
		{tagUTCTime, "260301126000Z", ""},
		{tagUTCTime, "260301120060Z", ""},
		{tagUTCTime, "a60301120000Z", ""},
		{tagUTCTime, "26030112000aZ", ""},
		{tagUTCTime, "260301120000z", ""},
		{tagUTCTime, "20260301120000Z", ""},
		{tagGeneralizedTime, "20260301120000.5Z", ""},
		{tagGeneralizedTime, "2x260301120000Z", ""},
		{tagGeneralizedTime, "202x0301120000Z", ""},
		{tagGeneralizedTime, "260301120000Z", ""},
		{tagIA5String, "260301120000Z", ""},
	}
	for _, tt := range tests {
		got, err := parseTime(tt.tag, []byte(tt.text))
		switch {
		case tt.want == "" && err == nil:
			t.Errorf("%s: accepted as %s", tt.text, got)
		case tt.want != "" && (err != nil || got.Format(time.RFC3339) != tt.want):
			t.Errorf("%s: %s, %v: want %s", tt.text, got, err, tt.want)
		}
	}
}

func TestParseRefusesEncodings(t *testing.T) {
	ca := newCA(t, "Encoding CA")
	good := ca.base().der(t, ca)
	tests := map[string]struct {
		data []byte
		want string
	}{
		"empty":             {nil, "no CRL: want DER, or PEM"},
		"text":              {[]byte("hello\n"), "no CRL: want DER, or PEM"},
		"truncated":         {good[:len(good)-1], "truncated"},
		"header only":       {good[:1], "truncated"},
		"trailing newline":  {cat(good, []byte("\n")), "trailing data"},
		"two lists":         {cat(good, good), "trailing data"},
		"indefinite length": {cat([]byte{0x30, 0x80}, good[4:], []byte{0, 0}), "indefinite length"},
		"long length":       {cat([]byte{0x30, 0x83, 0}, good[2:]), "shortest form"},
		"length of 5":       {cat([]byte{0x30, 0x85, 0, 0, 0}, good[2:]), "more than four octets"},
		"high tag":          {tlv(tagSequence, []byte{0x3f, 0x20, 0}), "tag of more than one octet"},
		"certificate":       {ca.cert.Raw, "signature: tag 0xa0"},
		"mark before DER":   {cat([]byte("\xef\xbb\xbf"), good), "no CRL"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := Parse(tt.data)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v: want it to contain %q", err, tt.want)
			}
		})
	}
	// No list is a prefix of another, and no byte may go missing.
	for n := range good {
		if _, err := Parse(good[:n]); err == nil {
			t.Errorf("accepted %d of %d bytes", n, len(good))
		}
	}
}

// TestBitFlips turns every bit of a signed list: either Parse refuses it or its
// signature no longer verifies.
func TestBitFlips(t *testing.T) {
	ca := newCA(t, "Flipped CA")
	good := ca.base().der(t, ca)
	link := ca.link(t, 7)
	for i := range good {
		for bit := range 8 {
			bad := bytes.Clone(good)
			bad[i] ^= 1 << bit
			lists, err := Parse(bad)
			if err != nil {
				continue
			}
			if v := NewIndex(lists).Check(link, t0); v.Status != Unknown {
				t.Errorf("bit %d of byte %d turned: %s", bit, i, v.Status)
			}
		}
	}
}

func TestParsePEM(t *testing.T) {
	ca := newCA(t, "PEM CA")
	one := ca.base().der(t, ca)
	p := ca.base()
	p.extensions = tlv(0xa0, seq(numberExt(2)))
	two := p.der(t, ca)
	block := func(der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der}))
	}
	crlf := func(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }
	const bom = "\xef\xbb\xbf"
	cert := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.cert.Raw}))
	b1, b2 := block(one), block(two)

	accepted := map[string]struct {
		data    string
		numbers []int64
	}{
		"one":                {b1, []int64{1}},
		"two":                {b2 + b1, []int64{2, 1}},
		"text around":        {"Issuer: x\n- list -\n\n" + b1 + "between\n" + b2 + "\nend\n", []int64{1, 2}},
		"text from 0":        {"0 lists\n" + b1, []int64{1}},
		"CRLF":               {crlf(b1 + b2), []int64{1, 2}},
		"byte order mark":    {bom + b1, []int64{1}},
		"mark and CRLF":      {bom + crlf("text\n"+b1), []int64{1}},
		"no last newline":    {strings.TrimSuffix(b1, "\n"), []int64{1}},
		"blanks at line end": {strings.ReplaceAll(b1, "\n", " \t\n"), []int64{1}},
		"indented":           {"  " + strings.ReplaceAll(b1, "\n", "\n  "), []int64{1}},
	}
	for name, tt := range accepted {
		t.Run(name, func(t *testing.T) {
			lists, err := Parse([]byte(tt.data))
			if err != nil {
				t.Fatal(err)
			}
			var numbers []int64
			for _, l := range lists {
				numbers = append(numbers, l.Number().Int64())
			}
			if diff := cmp.Diff(tt.numbers, numbers); diff != "" {
				t.Error(diff)
			}
		})
	}

	refused := map[string]struct{ data, want string }{
		"certificate":         {cert, `PEM block 1: label "CERTIFICATE": want "X509 CRL"`},
		"certificate second":  {b1 + cert, `PEM block 2: label "CERTIFICATE"`},
		"other label":         {strings.ReplaceAll(b1, "X509 CRL", "CRL"), `label "CRL"`},
		"labels differ":       {strings.Replace(b1, "END X509 CRL", "END CRL", 1), "no line -----END X509 CRL-----"},
		"END missing":         {b1[:len(b1)/2], "no line -----END X509 CRL-----"},
		"first END missing":   {b1[:len(b1)/2] + "\n" + b2, "PEM block 1: no line -----END"},
		"END alone":           {b1 + "-----END X509 CRL-----\n", "PEM block 2: END without BEGIN"},
		"BEGIN broken":        {strings.Replace(b1, "CRL-----", "CRL----", 1), "BEGIN line ends in"},
		"BEGIN inside a line": {"x" + b1, "BEGIN behind"},
		"files joined":        {strings.TrimSuffix(b1, "\n") + b2, "END followed by"},
		"base64 broken":       {strings.Replace(b1, "\nMI", "\nM!", 1), "PEM block 1: illegal base64"},
		"header line":         {strings.Replace(b1, "\nMI", "\nProc-Type: 4\n\nMI", 1), "PEM block 1: illegal base64"},
		"empty block":         {block(nil), "PEM block 1: CertificateList: truncated"},
		"second is broken":    {b1 + block(two[:len(two)-2]), "PEM block 2: CertificateList: truncated"},
		"trailing in block":   {block(cat(one, []byte{0})), "PEM block 1: CertificateList: trailing data"},
		"CR line ends":        {strings.ReplaceAll(b1, "\n", "\r"), "PEM block 1: "},
	}
	for name, tt := range refused {
		t.Run(name, func(t *testing.T) {
			lists, err := Parse([]byte(tt.data))
			if err == nil || lists != nil {
				t.Fatalf("accepted")
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %q: want it to contain %q", err, tt.want)
			}
		})
	}
}
