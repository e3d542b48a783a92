package revocation

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"math/big"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/revocation/internal/segment"
)

// agree fails unless crypto/x509 reads of a list in DER what l is. It returns
// false if crypto/x509 refuses it.
func agree(t *testing.T, l *List, der []byte) bool {
	t.Helper()
	want, err := x509.ParseRevocationList(der)
	if err != nil {
		return false
	}
	if l.Entries() != len(want.RevokedCertificateEntries) || !bytes.Equal(l.Issuer(), want.RawIssuer) ||
		!bytes.Equal(l.AuthorityKeyID(), want.AuthorityKeyId) || !l.ThisUpdate().Equal(want.ThisUpdate) ||
		!l.NextUpdate().Equal(want.NextUpdate) || (l.Number() == nil) != (want.Number == nil) ||
		l.Number() != nil && l.Number().Cmp(want.Number) != 0 || l.SignatureAlgorithm() != want.SignatureAlgorithm {
		t.Error("fields differ from those that crypto/x509 reads")
	}
	worst := map[string]segment.Entry{}
	for _, e := range want.RevokedCertificateEntries {
		octets := string(integerOctets(e.SerialNumber))
		got := segment.Entry{At: e.RevocationTime.Unix(), Reason: uint8(e.ReasonCode)}
		if other, listed := worst[octets]; !listed || worse(got, other) {
			worst[octets] = got
		}
	}
	for serial, want := range worst {
		if got, listed, err := l.find([]byte(serial)); !listed || err != nil || got != want {
			t.Errorf("serial %x: %v, %+v, %v: want %+v", serial, listed, got, err, want)
		}
	}
	return true
}

// TestAgreement writes down which lists of testdata crypto/x509 takes and which
// this package does. The package documentation lists the differences.
func TestAgreement(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "*.crl"))
	if err != nil {
		t.Fatal(err)
	}
	var table strings.Builder
	for _, file := range files {
		der, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		lists, err := Parse(der)
		_, theirs := x509.ParseRevocationList(der)
		who := "both"
		switch {
		case err != nil && theirs != nil:
			who = "neither"
		case err != nil:
			who = "crypto/x509"
		case theirs != nil:
			who = "revocation"
		default:
			agree(t, lists[0], der)
		}
		fmt.Fprintf(&table, "%-12s%s\n", who, filepath.Base(file))
	}
	golden(t, filepath.Join("testdata", "agreement.golden"), []byte(table.String()))
}

// TestAgreementOnRandomLists has lists of every form that entries take, short
// ones and some that are longer than a window.
func TestAgreementOnRandomLists(t *testing.T) {
	ca := newCA(t, "Random CA")
	random := rand.New(rand.NewPCG(3, 14))
	for _, n := range []int{0, 1, 2, 50, 300, 9000} {
		entries := make([][]byte, n)
		for i := range entries {
			entries[i] = randomEntry(random)
		}
		p := ca.base()
		if p.revoked = nil; n > 0 {
			p.revoked = seq(entries...)
		}
		der := p.der(t, ca)
		if !agree(t, parseOne(t, der), der) {
			t.Errorf("%d entries: crypto/x509 refuses them", n)
		}
	}
}

func randomEntry(random *rand.Rand) []byte {
	octets := make([]byte, 1+random.IntN(24))
	for i := range octets {
		octets[i] = byte(random.Uint32())
	}
	if random.IntN(3) == 0 {
		octets = octets[:1] // many doubles
	}
	n := new(big.Int).SetBytes(octets)
	if random.IntN(4) == 0 {
		n.Neg(n)
	}
	at := time.Date(1950, 1, 1, 0, 0, random.IntN(100*365*24*3600), 0, time.UTC)
	date := utc(at)
	if random.IntN(5) == 0 {
		date = tlv(tagGeneralizedTime, []byte(at.Format("20060102150405Z")))
	}
	parts := all(tlv(tagInteger, integerOctets(n)), date)
	switch random.IntN(5) {
	case 0, 1:
		parts = append(parts, seq(reasonExt(Reason(1+random.IntN(6)))))
	case 2:
		parts = append(parts, seq(reasonExt(AACompromise), ext(oidUnheardOf, random.IntN(2) == 0, make([]byte, random.IntN(300)))))
	case 3:
		parts = append(parts, seq(ext(oidInvalidityDate, false, tlv(tagGeneralizedTime, []byte("20260101000000Z")))))
	}
	return seq(parts...)
}
