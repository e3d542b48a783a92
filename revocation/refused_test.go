package revocation

import (
	"bytes"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// refusal is a list that is refused: base with one change, in testdata in a file
// of its name.
type refusal struct {
	change func(*parts)
	want   string // in the error
	after  func(der []byte) []byte
}

func refusals(ca *testCA) map[string]refusal {
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
	keep := func(*parts) {}
	return map[string]refusal{
		"version 1 explicit":           {func(p *parts) { p.version = integer(0) }, "version 00", nil},
		"version 3":                    {func(p *parts) { p.version = integer(2) }, "version 02", nil},
		"version 1 with extensions":    {func(p *parts) { p.version, p.revoked = nil, seq(revoke(7)) }, "crlExtensions: in a version 1 list", nil},
		"version 1 entry extensions":   {func(p *parts) { p.version, p.extensions = nil, nil }, "entry 1: crlEntryExtensions in a version 1 list", nil},
		"inner algorithm differs":      {func(p *parts) { p.inner = seq(tlv(tagOID, []byte("\x2b\x65\x70"))) }, "differs from signature 06032b6570", nil},
		"SHA-1 with RSA":               {algorithm("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05", null), "SHA-1 with RSA: want SHA-256", nil},
		"MD5 with RSA":                 {algorithm("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x04", null), "MD5 with RSA", nil},
		"SHA-1 with ECDSA":             {algorithm("\x2a\x86\x48\xce\x3d\x04\x01"), "SHA-1 with ECDSA", nil},
		"unknown algorithm":            {algorithm(oidUnheardOf), "1.3.6.1.4.1.65535.1: want", nil},
		"ECDSA with parameters":        {algorithm("\x2a\x86\x48\xce\x3d\x04\x03\x02", null), "with parameters 0500", nil},
		"empty issuer":                 {func(p *parts) { p.issuer = seq() }, "issuer: empty", nil},
		"issuer not a name":            {func(p *parts) { p.issuer = seq(integer(1)) }, "issuer: RDN 1", nil},
		"thisUpdate missing":           {func(p *parts) { p.this, p.next = nil, nil }, "thisUpdate: want UTCTime", nil},
		"thisUpdate without seconds":   {func(p *parts) { p.this = tlv(tagUTCTime, []byte("2603011200Z")) }, "thisUpdate: want UTCTime", nil},
		"nextUpdate before thisUpdate": {func(p *parts) { p.next = utc(t0.Add(-time.Second)) }, "nextUpdate 2026", nil},
		"nextUpdate malformed":         {func(p *parts) { p.next = tlv(tagUTCTime, []byte("xx")) }, "nextUpdate: want UTCTime", nil},
		"behind nextUpdate":            {func(p *parts) { p.next = cat(p.next, null) }, "tbsCertList: trailing data", nil},
		"behind revokedCertificates":   {func(p *parts) { p.revoked = cat(p.revoked, null) }, "tbsCertList: trailing data", nil},
		"behind crlExtensions":         {func(p *parts) { p.extra = null }, "tbsCertList: trailing data", nil},
		"behind signature":             {func(p *parts) { p.behind = null }, "CertificateList: trailing data", nil},
		"empty revokedCertificates":    {func(p *parts) { p.revoked = seq() }, "revokedCertificates: empty", nil},
		"signature with unused bits":   {func(p *parts) { p.signature = tlv(tagBitString, []byte{4, 0xf0}) }, "signatureValue: want", nil},
		"signature empty":              {func(p *parts) { p.signature = tlv(tagBitString, []byte{0}) }, "signatureValue: want", nil},
		"signature missing":            {func(p *parts) { p.signature = []byte{} }, "signatureValue: truncated", nil},

		"behind the list":             {keep, "CertificateList: trailing data", func(der []byte) []byte { return append(der, 0) }},
		"two lists":                   {keep, "CertificateList: trailing data", func(der []byte) []byte { return append(der, der...) }},
		"cut off":                     {keep, "CertificateList: truncated", func(der []byte) []byte { return der[:len(der)-1] }},
		"indefinite length":           {keep, "indefinite length", func(der []byte) []byte { return cat([]byte{0x30, 0x80}, der[3:], []byte{0, 0}) }},
		"length not in shortest form": {keep, "shortest form", func(der []byte) []byte { return cat([]byte{0x30, 0x83, 0}, der[2:]) }},
		"length of five octets":       {keep, "more than four octets", func(der []byte) []byte { return cat([]byte{0x30, 0x85, 0, 0, 0}, der[2:]) }},
		"list within a smaller one":   {keep, "tbsCertList: truncated", func(der []byte) []byte { return cat([]byte{0x30, 0x40}, der[3:3+0x40]) }},

		"entry of more than 64 KiB":     {entry(revokeAt(tlv(tagInteger, bytes.Repeat([]byte{0x55}, maxField-20)), t0)), "entry 1: 65539 bytes: want at most 65536", nil},
		"issuer of more than 64 KiB":    {func(p *parts) { p.issuer = seq(bytes.Repeat([]byte{0x31, 0}, maxField/2)) }, "issuer: 65541 bytes: want at most 65536", nil},
		"entry too short":               {entry(revoke(1), seq()), "entry 2: 2 bytes", nil},
		"entry with other tag":          {entry(tlv(tagSet, bytes.Repeat([]byte{1}, 30))), "entry 1: tag 0x31", nil},
		"entry without date":            {entry(seq(integer(7), seq(reasonExt(1), reasonExt(2)))), "entry 1: revocationDate", nil},
		"entry trailing data":           {entry(seq(integer(7), utc(t0), seq(reasonExt(1)), null)), "entry 1: trailing data", nil},
		"serial with leading zero":      {entry(revokeAt(tlv(tagInteger, []byte{0, 7}), t0)), "entry 1: userCertificate: integer not in its shortest form", nil},
		"serial with leading ones":      {entry(revokeAt(tlv(tagInteger, []byte{0xff, 0x80}), t0)), "userCertificate: integer not in its shortest form", nil},
		"serial empty":                  {entry(revokeAt(tlv(tagInteger), t0.Add(0), reasonExt(1))), "userCertificate: integer not in its shortest form", nil},
		"reason 7":                      {reason(7), "entry 1: reasonCode: 07: want 0 to 6 or 8 to 10", nil},
		"reason 11":                     {reason(11), "reasonCode: 0b", nil},
		"reason 255":                    {reason(0xff), "reasonCode: ff", nil},
		"reason of two octets":          {reason(0, 1), "reasonCode: 0001", nil},
		"reason empty":                  {reason(), "reasonCode: ", nil},
		"reason an INTEGER":             {entry(revoke(7, ext(oidReasonCode, false, integer(1)))), "reasonCode: tag 0x02: want 0x0a", nil},
		"reason trailing data":          {entry(revoke(7, ext(oidReasonCode, false, tlv(tagEnumerated, []byte{1}), null))), "reasonCode: trailing data", nil},
		"reason given twice":            {entry(revoke(7, reasonExt(1), reasonExt(6))), "extension 2.5.29.21 given twice", nil},
		"removeFromCRL in base":         {reason(8), "removeFromCRL in a list that is no delta", nil},
		"invalidity date a UTCTime":     {entry(revoke(7, ext(oidInvalidityDate, false, utc(t0)))), "invalidityDate: want GeneralizedTime", nil},
		"invalidity date trailing":      {entry(revoke(7, ext(oidInvalidityDate, false, tlv(tagGeneralizedTime, []byte("20260101000000Z")), null))), "trailing data", nil},
		"certificate issuer":            {entry(revoke(7, ext(oidCertificateIssuer, true, seq(tlv(0xa4, ca.cert.RawSubject))))), "certificateIssuer: indirect CRLs are not supported", nil},
		"entry extension bad OID":       {entry(revoke(7, ext("\x80", false))), "extension 1: extnID 80", nil},
		"entry extension no value":      {entry(revoke(7, seq(tlv(tagOID, []byte(oidReasonCode))))), "extnValue: truncated", nil},
		"critical neither 00 nor ff":    {entry(revoke(7, seq(tlv(tagOID, []byte(oidReasonCode)), []byte{1, 1, 1}, tlv(tagOctetString)))), "critical: boolean 01", nil},
		"extension trailing data":       {entry(revoke(7, seq(tlv(tagOID, []byte(oidReasonCode)), tlv(tagOctetString), null))), "extension 1: trailing data", nil},
		"crlExtensions empty":           {extensions(), "crlExtensions: empty", nil},
		"crlExtensions twice":           {func(p *parts) { p.extensions = tlv(0xa0, seq(numberExt(1)), seq(numberExt(2))) }, "crlExtensions: trailing data", nil},
		"number given twice":            {extensions(numberExt(1), numberExt(2)), "extension 2.5.29.20 given twice", nil},
		"number negative":               {extensions(numberExt(-1)), "cRLNumber: negative", nil},
		"number of 21 octets":           {extensions(ext(oidCRLNumber, false, tlv(tagInteger, bytes.Repeat([]byte{0x55}, 21)))), "cRLNumber: 21 octets", nil},
		"number trailing data":          {extensions(ext(oidCRLNumber, false, integer(1), null)), "cRLNumber: trailing data", nil},
		"number not an INTEGER":         {extensions(ext(oidCRLNumber, false, null)), "cRLNumber: tag 0x05", nil},
		"delta without number":          {extensions(deltaExt(1)), "deltaCRLIndicator without cRLNumber", nil},
		"delta not critical":            {extensions(numberExt(2), ext(oidDeltaCRLIndicator, false, integer(1))), "deltaCRLIndicator: not critical", nil},
		"delta base negative":           {extensions(numberExt(2), deltaExt(-1)), "deltaCRLIndicator: negative", nil},
		"AKI not a SEQUENCE":            {extensions(ext(oidAuthorityKeyID, false, null)), "authorityKeyIdentifier: tag 0x05", nil},
		"AKI issuer without serial":     {extensions(ext(oidAuthorityKeyID, false, seq(tlv(0xa1, uri("x"))))), "authorityKeyIdentifier: want", nil},
		"AKI trailing field":            {extensions(ext(oidAuthorityKeyID, false, seq(tlv(0x80, []byte{1}), null))), "authorityKeyIdentifier: trailing data", nil},
		"too many extensions":           {extensions(manyExtensions()...), "more than 32 extensions", nil},
		"IDP empty":                     {extensions(idpExt()), "issuingDistributionPoint: empty", nil},
		"IDP indirect":                  {extensions(idpExt(only(4))), "indirect CRLs are not supported", nil},
		"IDP user and CA":               {extensions(idpExt(only(1), only(2))), "more than one of onlyContainsUserCerts", nil},
		"IDP user and attribute":        {extensions(idpExt(only(1), only(5))), "more than one of", nil},
		"IDP fields out of order":       {extensions(idpExt(only(2), only(1))), "want the fields [0] to [5] in order", nil},
		"IDP field twice":               {extensions(idpExt(only(1), only(1))), "want the fields [0] to [5] in order", nil},
		"IDP unknown field":             {extensions(idpExt(only(6))), "want the fields [0] to [5]", nil},
		"IDP trailing data":             {extensions(ext(oidIssuingDistribution, true, seq(only(1)), null)), "issuingDistributionPoint: trailing data", nil},
		"IDP boolean 01":                {extensions(idpExt([]byte{0x81, 1, 1})), "boolean 01", nil},
		"IDP point of neither kind":     {extensions(idpExt(tlv(0xa0, tlv(0xa2)))), "want fullName or nameRelativeToCRLIssuer", nil},
		"IDP point of two kinds":        {extensions(idpExt(tlv(0xa0, tlv(0xa0, uri("x")), tlv(0xa0, uri("x"))))), "distributionPoint: trailing data", nil},
		"IDP point without names":       {extensions(idpExt(pointOf())), "fullName: empty", nil},
		"IDP point with no GeneralName": {extensions(idpExt(pointOf(integer(1)))), "want a GeneralName", nil},
		"IDP relative name empty":       {extensions(idpExt(tlv(0xa0, tlv(0xa1)))), "nameRelativeToCRLIssuer: empty", nil},
		"IDP reasons malformed":         {extensions(idpExt(tlv(tagContext|3, []byte{8, 0}))), "reasons: want a bit string", nil},
	}
}

func manyExtensions() [][]byte {
	var many [][]byte
	for i := byte(1); i <= maxExtensions+1; i++ {
		many = append(many, ext(oidUnheardOf+string(i), false))
	}
	return many
}

func TestRefused(t *testing.T) {
	ca := fixedCA(t, corpusKey)
	for name, tt := range refusals(ca) {
		t.Run(name, func(t *testing.T) {
			p := ca.base()
			tt.change(p)
			der := p.der(t, ca)
			if tt.after != nil {
				der = tt.after(der)
			}
			data := golden(t, corpusFile(name), der)
			lists, err := Parse(data)
			if err == nil || lists != nil {
				t.Fatal("accepted")
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %q: want it to contain %q", err, tt.want)
			}
		})
	}
}

// TestCorpusIsComplete finds files that no table makes any more.
func TestCorpusIsComplete(t *testing.T) {
	ca := fixedCA(t, corpusKey)
	var want []string
	for name := range acceptances(t, ca) {
		want = append(want, corpusFile(name))
	}
	for name := range refusals(ca) {
		want = append(want, corpusFile(name))
	}
	slices.Sort(want)
	got, err := filepath.Glob(filepath.Join("testdata", "*.crl"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
