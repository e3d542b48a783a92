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
		idpExt(pointOf(uri("http://crl.example/1.crl")), flag(1)),
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

func TestParseAccepts(t *testing.T) {
	ca := newCA(t, "Accepting CA")
	tests := map[string]func(*parts){
		"version 1": func(p *parts) {
			p.version, p.extensions, p.revoked = nil, nil, seq(revoke(7))
		},
		"no entries":             func(p *parts) { p.revoked = nil },
		"no extensions":          func(p *parts) { p.extensions = nil },
		"no nextUpdate":          func(p *parts) { p.next = nil },
		"empty entry extensions": func(p *parts) { p.revoked = seq(seq(integer(7), utc(t0), seq())) },
		"explicit critical FALSE": func(p *parts) {
			p.extensions = tlv(0xa0, seq(seq(tlv(tagOID, []byte(oidCRLNumber)), []byte{1, 1, 0}, tlv(tagOctetString, integer(1)))))
		},
		"unknown critical extension": func(p *parts) { p.extensions = tlv(0xa0, seq(ext(oidUnheardOf, true))) },
		"GeneralizedTime":            func(p *parts) { p.this = tlv(tagGeneralizedTime, []byte("20260301120000Z")) },
		"nextUpdate in 2050":         func(p *parts) { p.next = tlv(tagGeneralizedTime, []byte("20500101000000Z")) },
		"thisUpdate in 1999":         func(p *parts) { p.this = tlv(tagUTCTime, []byte("990101000000Z")) },
		"negative serial":            func(p *parts) { p.revoked = seq(revoke(-1)) },
		"zero serial":                func(p *parts) { p.revoked = seq(revoke(0)) },
		"serial of 40 octets":        func(p *parts) { p.revoked = seq(revokeAt(tlv(tagInteger, bytes.Repeat([]byte{0x55}, 40)), t0)) },
		"number of 20 octets": func(p *parts) {
			p.extensions = tlv(0xa0, seq(ext(oidCRLNumber, false, tlv(tagInteger, bytes.Repeat([]byte{0x55}, 20)))))
		},
		"invalidity date": func(p *parts) {
			p.revoked = seq(revoke(7, ext(oidInvalidityDate, false, tlv(tagGeneralizedTime, []byte("20260101000000Z")))))
		},
		"AKI by issuer and serial": func(p *parts) {
			p.extensions = tlv(0xa0, seq(ext(oidAuthorityKeyID, false, seq(tlv(0xa1, tlv(0xa4, ca.cert.RawSubject)), tlv(0x82, []byte{5})))))
		},
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			p := ca.base()
			change(p)
			l := parseOne(t, p.der(t, ca))
			if known, err := l.CheckIssuer([]*x509.Certificate{ca.cert}); !known || err != nil {
				t.Errorf("CheckIssuer: %v, %v", known, err)
			}
		})
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

func TestParseRefuses(t *testing.T) {
	ca := newCA(t, "Refusing CA")
	extensions := func(e ...[]byte) func(*parts) { return func(p *parts) { p.extensions = tlv(0xa0, seq(e...)) } }
	entry := func(e ...[]byte) func(*parts) { return func(p *parts) { p.revoked = seq(e...) } }
	reason := func(value ...byte) func(*parts) {
		return entry(revoke(7, ext(oidReasonCode, false, tlv(tagEnumerated, value))))
	}
	algorithm := func(id string, parameters ...[]byte) func(*parts) {
		return func(p *parts) {
			p.inner = seq(append(all(tlv(tagOID, []byte(id))), parameters...)...)
			p.outer = p.inner
		}
	}
	null := []byte{5, 0}
	tests := map[string]struct {
		change func(*parts)
		want   string
	}{
		"version 1 explicit":           {func(p *parts) { p.version = integer(0) }, "version 00"},
		"version 3":                    {func(p *parts) { p.version = integer(2) }, "version 02"},
		"version 1 with extensions":    {func(p *parts) { p.version, p.revoked = nil, seq(revoke(7)) }, "crlExtensions: in a version 1 list"},
		"version 1 entry extensions":   {func(p *parts) { p.version, p.extensions = nil, nil }, "entry 1: crlEntryExtensions in a version 1 list"},
		"inner algorithm differs":      {func(p *parts) { p.inner = seq(tlv(tagOID, []byte("\x2b\x65\x70"))) }, "signature: "},
		"SHA-1 with RSA":               {algorithm("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05", null), "SHA-1 with RSA: want SHA-256"},
		"MD5 with RSA":                 {algorithm("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x04", null), "MD5 with RSA"},
		"SHA-1 with ECDSA":             {algorithm("\x2a\x86\x48\xce\x3d\x04\x01"), "SHA-1 with ECDSA"},
		"unknown algorithm":            {algorithm(oidUnheardOf), "1.3.6.1.4.1.65535.1: want"},
		"ECDSA with parameters":        {algorithm("\x2a\x86\x48\xce\x3d\x04\x03\x02", null), "with parameters 0500"},
		"empty issuer":                 {func(p *parts) { p.issuer = seq() }, "issuer: empty"},
		"issuer not a name":            {func(p *parts) { p.issuer = seq(integer(1)) }, "issuer: RDN 1"},
		"thisUpdate missing":           {func(p *parts) { p.this, p.next = nil, nil }, "thisUpdate: want UTCTime"},
		"thisUpdate without seconds":   {func(p *parts) { p.this = tlv(tagUTCTime, []byte("2603011200Z")) }, "thisUpdate: want UTCTime"},
		"nextUpdate before thisUpdate": {func(p *parts) { p.next = utc(t0.Add(-time.Second)) }, "nextUpdate 2026"},
		"nextUpdate malformed":         {func(p *parts) { p.next = tlv(tagUTCTime, []byte("xx")) }, "nextUpdate: want UTCTime"},
		"behind nextUpdate":            {func(p *parts) { p.next = cat(p.next, null) }, "tbsCertList: trailing data"},
		"behind revokedCertificates":   {func(p *parts) { p.revoked = cat(p.revoked, null) }, "tbsCertList: trailing data"},
		"behind crlExtensions":         {func(p *parts) { p.extra = null }, "tbsCertList: trailing data"},
		"behind signature":             {func(p *parts) { p.behind = null }, "CertificateList: trailing data"},
		"empty revokedCertificates":    {func(p *parts) { p.revoked = seq() }, "revokedCertificates: empty"},
		"signature with unused bits":   {func(p *parts) { p.signature = tlv(tagBitString, []byte{4, 0xf0}) }, "signatureValue: want"},
		"signature empty":              {func(p *parts) { p.signature = tlv(tagBitString, []byte{0}) }, "signatureValue: want"},
		"signature missing":            {func(p *parts) { p.signature = []byte{} }, "signatureValue: truncated"},

		"entry too short":               {entry(revoke(1), seq()), "entry 2: 2 bytes"},
		"entry with other tag":          {entry(tlv(tagSet, bytes.Repeat([]byte{1}, 30))), "entry 1: tag 0x31"},
		"entry without date":            {entry(seq(integer(7), seq(reasonExt(1), reasonExt(2)))), "entry 1: revocationDate"},
		"entry trailing data":           {entry(seq(integer(7), utc(t0), seq(reasonExt(1)), null)), "entry 1: trailing data"},
		"serial with leading zero":      {entry(revokeAt(tlv(tagInteger, []byte{0, 7}), t0)), "entry 1: userCertificate: integer not in its shortest form"},
		"serial with leading ones":      {entry(revokeAt(tlv(tagInteger, []byte{0xff, 0x80}), t0)), "userCertificate: integer not in its shortest form"},
		"serial empty":                  {entry(revokeAt(tlv(tagInteger), t0.Add(0), reasonExt(1))), "userCertificate: integer not in its shortest form"},
		"reason 7":                      {reason(7), "entry 1: reasonCode: 07: want 0 to 6 or 8 to 10"},
		"reason 11":                     {reason(11), "reasonCode: 0b"},
		"reason 255":                    {reason(0xff), "reasonCode: ff"},
		"reason of two octets":          {reason(0, 1), "reasonCode: 0001"},
		"reason empty":                  {reason(), "reasonCode: "},
		"reason an INTEGER":             {entry(revoke(7, ext(oidReasonCode, false, integer(1)))), "reasonCode: tag 0x02: want 0x0a"},
		"reason trailing data":          {entry(revoke(7, ext(oidReasonCode, false, tlv(tagEnumerated, []byte{1}), null))), "reasonCode: trailing data"},
		"reason given twice":            {entry(revoke(7, reasonExt(1), reasonExt(6))), "extension 2.5.29.21 given twice"},
		"removeFromCRL in base":         {reason(8), "removeFromCRL in a list that is no delta"},
		"invalidity date a UTCTime":     {entry(revoke(7, ext(oidInvalidityDate, false, utc(t0)))), "invalidityDate: want GeneralizedTime"},
		"invalidity date trailing":      {entry(revoke(7, ext(oidInvalidityDate, false, tlv(tagGeneralizedTime, []byte("20260101000000Z")), null))), "trailing data"},
		"certificate issuer":            {entry(revoke(7, ext(oidCertificateIssuer, true, seq(tlv(0xa4, ca.cert.RawSubject))))), "certificateIssuer: indirect CRLs are not supported"},
		"entry extension bad OID":       {entry(revoke(7, ext("\x80", false))), "extension 1: extnID 80"},
		"entry extension no value":      {entry(revoke(7, seq(tlv(tagOID, []byte(oidReasonCode))))), "extnValue: truncated"},
		"critical neither 00 nor ff":    {entry(revoke(7, seq(tlv(tagOID, []byte(oidReasonCode)), []byte{1, 1, 1}, tlv(tagOctetString)))), "critical: boolean 01"},
		"extension trailing data":       {entry(revoke(7, seq(tlv(tagOID, []byte(oidReasonCode)), tlv(tagOctetString), null))), "extension 1: trailing data"},
		"crlExtensions empty":           {extensions(), "crlExtensions: empty"},
		"crlExtensions twice":           {func(p *parts) { p.extensions = tlv(0xa0, seq(numberExt(1)), seq(numberExt(2))) }, "crlExtensions: trailing data"},
		"number given twice":            {extensions(numberExt(1), numberExt(2)), "extension 2.5.29.20 given twice"},
		"number negative":               {extensions(numberExt(-1)), "cRLNumber: negative"},
		"number of 21 octets":           {extensions(ext(oidCRLNumber, false, tlv(tagInteger, bytes.Repeat([]byte{0x55}, 21)))), "cRLNumber: 21 octets"},
		"number trailing data":          {extensions(ext(oidCRLNumber, false, integer(1), null)), "cRLNumber: trailing data"},
		"number not an INTEGER":         {extensions(ext(oidCRLNumber, false, null)), "cRLNumber: tag 0x05"},
		"delta without number":          {extensions(deltaExt(1)), "deltaCRLIndicator without cRLNumber"},
		"delta not critical":            {extensions(numberExt(2), ext(oidDeltaCRLIndicator, false, integer(1))), "deltaCRLIndicator: not critical"},
		"delta base negative":           {extensions(numberExt(2), deltaExt(-1)), "deltaCRLIndicator: negative"},
		"AKI not a SEQUENCE":            {extensions(ext(oidAuthorityKeyID, false, null)), "authorityKeyIdentifier: tag 0x05"},
		"AKI issuer without serial":     {extensions(ext(oidAuthorityKeyID, false, seq(tlv(0xa1, uri("x"))))), "authorityKeyIdentifier: want"},
		"AKI trailing field":            {extensions(ext(oidAuthorityKeyID, false, seq(tlv(0x80, []byte{1}), null))), "authorityKeyIdentifier: trailing data"},
		"too many extensions":           {extensions(manyExtensions()...), "more than 32 extensions"},
		"IDP empty":                     {extensions(idpExt()), "issuingDistributionPoint: empty"},
		"IDP indirect":                  {extensions(idpExt(flag(4))), "indirect CRLs are not supported"},
		"IDP user and CA":               {extensions(idpExt(flag(1), flag(2))), "more than one of onlyContainsUserCerts"},
		"IDP user and attribute":        {extensions(idpExt(flag(1), flag(5))), "more than one of"},
		"IDP fields out of order":       {extensions(idpExt(flag(2), flag(1))), "want the fields [0] to [5] in order"},
		"IDP field twice":               {extensions(idpExt(flag(1), flag(1))), "want the fields [0] to [5] in order"},
		"IDP unknown field":             {extensions(idpExt(flag(6))), "want the fields [0] to [5]"},
		"IDP trailing data":             {extensions(ext(oidIssuingDistribution, true, seq(flag(1)), null)), "issuingDistributionPoint: trailing data"},
		"IDP boolean 01":                {extensions(idpExt([]byte{0x81, 1, 1})), "boolean 01"},
		"IDP point of neither kind":     {extensions(idpExt(tlv(0xa0, tlv(0xa2)))), "want fullName or nameRelativeToCRLIssuer"},
		"IDP point of two kinds":        {extensions(idpExt(tlv(0xa0, tlv(0xa0, uri("x")), tlv(0xa0, uri("x"))))), "distributionPoint: trailing data"},
		"IDP point without names":       {extensions(idpExt(pointOf())), "fullName: empty"},
		"IDP point with no GeneralName": {extensions(idpExt(pointOf(integer(1)))), "want a GeneralName"},
		"IDP relative name empty":       {extensions(idpExt(tlv(0xa0, tlv(0xa1)))), "nameRelativeToCRLIssuer: empty"},
		"IDP reasons malformed":         {extensions(idpExt(tlv(tagContext|3, []byte{8, 0}))), "reasons: want a bit string"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p := ca.base()
			tt.change(p)
			lists, err := Parse(p.der(t, ca))
			if err == nil || lists != nil {
				t.Fatalf("accepted")
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %q: want it to contain %q", err, tt.want)
			}
		})
	}
}

func manyExtensions() [][]byte {
	var many [][]byte
	for i := byte(1); i <= maxExtensions+1; i++ {
		many = append(many, ext(oidUnheardOf+string(i), false))
	}
	return many
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

// TestHugeCountIsBounded asks for more memory than the file's size warrants.
func TestHugeCountIsBounded(t *testing.T) {
	ca := newCA(t, "Flood CA")
	p := ca.base()
	p.revoked = seq(bytes.Repeat([]byte{0x30, 0}, 1<<16))
	_, err := Parse(p.der(t, ca))
	if err == nil || !strings.Contains(err.Error(), "entry 1: 2 bytes") {
		t.Errorf("error %v", err)
	}
}
