package revocation

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"math/big"
	"strings"
	"testing"
	"time"
)

// wantStatus fails unless the lists answer so about the link at t0.
func wantStatus(t *testing.T, want Status, l *Link, lists ...*List) Verdict {
	t.Helper()
	v := NewIndex(lists).Check(l, t0)
	if v.Status != want {
		t.Errorf("%s (%s): want %s", v.Status, v.Why, want)
	}
	if (v.Status == Unknown) != (v.Why != "") || (v.Status == Unknown) != (v.List == nil) {
		t.Errorf("%s with why %q and list %p", v.Status, v.Why, v.List)
	}
	return v
}

func TestZeroValuesAreUnknown(t *testing.T) {
	ca := newCA(t, "Zero CA")
	link := ca.link(t, 7)
	full := NewIndex([]*List{nil, ca.list(t, t0, all(revoke(7)), nil), nil})
	var none *Index
	for name, v := range map[string]Verdict{
		"nil Index":       none.Check(link, t0),
		"zero Index":      new(Index).Check(link, t0),
		"empty Index":     NewIndex(nil).Check(link, t0),
		"nil Link":        full.Check(nil, t0),
		"zero Link":       full.Check(new(Link), t0),
		"Prepare of nil":  full.Check(Prepare(nil, nil), t0),
		"zero Verdict":    {Why: "zero"},
		"unnamed issuer":  full.Check(newCA(t, "Other CA").link(t, 7), t0),
		"not its issuer":  full.Check(Prepare(newCA(t, "Other CA").issue(t, big.NewInt(7)), ca.cert), t0),
		"empty cert":      full.Check(Prepare(new(x509.Certificate), ca.cert), t0),
		"empty CA":        full.Check(Prepare(ca.cert, new(x509.Certificate)), t0),
		"serial, no more": full.Check(Prepare(&x509.Certificate{SerialNumber: big.NewInt(7)}, new(x509.Certificate)), t0),
	} {
		if v.Status != Unknown || v.Why == "" || v.Number() != nil {
			t.Errorf("%s: %+v", name, v)
		}
	}
	if full.Lists()[0].Entries() != 1 || len(full.Lists()) != 1 || none.Lists() != nil {
		t.Errorf("lists %v", full.Lists())
	}
}

func TestVerdictCarriesTheEntry(t *testing.T) {
	ca := newCA(t, "Verdict CA")
	at := t0.Add(-3 * time.Hour)
	list := ca.list(t, t0, all(revokeAt(integer(7), at, reasonExt(CACompromise))), all(numberExt(9)))

	v := wantStatus(t, Revoked, ca.link(t, 7), list)
	if v.Reason != CACompromise || !v.RevokedAt.Equal(at) || v.Number().Int64() != 9 || !v.ThisUpdate.Equal(t0) || !v.NextUpdate.Equal(t1) {
		t.Errorf("verdict %+v", v)
	}
	v = wantStatus(t, Good, ca.link(t, 8), list)
	if v.Reason != Unspecified || !v.RevokedAt.IsZero() || v.List != list || !v.ThisUpdate.Equal(t0) || !v.NextUpdate.Equal(t1) {
		t.Errorf("verdict %+v", v)
	}
	p := ca.base()
	p.next = nil
	if v = wantStatus(t, Good, ca.link(t, 8), parseOne(t, p.der(t, ca))); !v.NextUpdate.IsZero() {
		t.Errorf("nextUpdate %s: want zero", v.NextUpdate)
	}
	// Freshness is not judged here: an expired list still says what it says.
	later := NewIndex([]*List{list})
	if v := later.Check(ca.link(t, 7), t0.AddDate(5, 0, 0)); v.Status != Revoked {
		t.Errorf("expired: %s", v.Status)
	}
	if v := later.Check(ca.link(t, 8), t0.AddDate(5, 0, 0)); v.Status != Good || !v.NextUpdate.Equal(t1) {
		t.Errorf("expired: %s", v.Status)
	}
}

func TestSerials(t *testing.T) {
	ca := newCA(t, "Serial CA")
	long := new(big.Int).Lsh(big.NewInt(0x55), 39*8)
	revoked := []*big.Int{
		big.NewInt(1), big.NewInt(127), big.NewInt(128), big.NewInt(256), big.NewInt(-2), big.NewInt(-128), big.NewInt(-129),
		new(big.Int).SetBytes(bytes.Repeat([]byte{0xff}, 20)), long,
	}
	clear := []*big.Int{
		big.NewInt(0), big.NewInt(-1), big.NewInt(2), big.NewInt(129), big.NewInt(-127), big.NewInt(-256), big.NewInt(255),
		big.NewInt(65536), new(big.Int).SetBytes(bytes.Repeat([]byte{0xff}, 19)), new(big.Int).Add(long, big.NewInt(1)),
		new(big.Int).Neg(long),
	}
	var entries [][]byte
	for _, n := range revoked {
		entries = append(entries, revokeAt(tlv(tagInteger, integerOctets(n)), t0))
	}
	list := ca.list(t, t0, entries, nil)
	// Certificates with such serials cannot be made or parsed by crypto/x509
	// throughout, so the serial is put into a parsed one.
	link := func(n *big.Int) *Link {
		cert := *ca.issue(t, big.NewInt(1))
		cert.SerialNumber = n
		l := Prepare(&cert, ca.cert)
		if l.Serial().Cmp(n) != 0 {
			t.Errorf("serial %s: want %s", l.Serial(), n)
		}
		return l
	}
	for _, n := range revoked {
		wantStatus(t, Revoked, link(n), list)
	}
	for _, n := range clear {
		wantStatus(t, Good, link(n), list)
	}
}

func TestDuplicateEntriesKeepTheWorst(t *testing.T) {
	ca := newCA(t, "Duplicate CA")
	early, late := t0.Add(-2*time.Hour), t0.Add(-time.Hour)
	hold := revokeAt(integer(7), late, reasonExt(CertificateHold))
	lasting := revokeAt(integer(7), early, reasonExt(KeyCompromise))
	later := revokeAt(integer(7), late, reasonExt(Superseded))
	for name, tt := range map[string]struct {
		entries [][]byte
		want    Reason
	}{
		"hold after":  {all(lasting, hold), KeyCompromise},
		"hold before": {all(hold, lasting), KeyCompromise},
		"later after": {all(lasting, later, lasting), Superseded},
		"later first": {all(later, lasting, hold), Superseded},
	} {
		if v := wantStatus(t, Revoked, ca.link(t, 7), ca.list(t, t0, tt.entries, nil)); v.Reason != tt.want {
			t.Errorf("%s: %s: want %s", name, v.Reason, tt.want)
		}
	}
}

func TestIssuersDoNotAnswerForOneAnother(t *testing.T) {
	a, b, twin := newCA(t, "CA A"), newCA(t, "CA B"), newCA(t, "CA A")
	listA := a.list(t, t0, all(revoke(7)), nil)
	listB := b.list(t, t0, all(revoke(8)), nil)
	listTwin := twin.list(t, t0.Add(time.Minute), all(revoke(9)), nil)
	lists := []*List{listA, listB, listTwin}

	for _, tt := range []struct {
		ca      *testCA
		revoked int64
	}{{a, 7}, {b, 8}, {twin, 9}} {
		for serial := int64(7); serial <= 9; serial++ {
			want := Good
			if serial == tt.revoked {
				want = Revoked
			}
			wantStatus(t, want, tt.ca.link(t, serial), lists...)
		}
	}
	// Without its own list the twin has no answer, listed or not.
	v := wantStatus(t, Unknown, twin.link(t, 7), listA, listB)
	if want := "signature does not verify"; !strings.Contains(v.Why, want) {
		t.Errorf("why %q: want %q", v.Why, want)
	}
	wantStatus(t, Unknown, twin.link(t, 8), listA, listB)

	if a.link(t, 7).IssuerKey() != twin.link(t, 7).IssuerKey() || a.link(t, 7).IssuerKeyID() == twin.link(t, 7).IssuerKeyID() {
		t.Error("the twins must share the name and not the key")
	}
}

func TestNamesAreComparedFolded(t *testing.T) {
	ca := newCA(t, "Folded CA")
	p := ca.base()
	p.issuer = cn(tagUTF8String, " folded   ca")
	list := parseOne(t, p.der(t, ca))
	wantStatus(t, Revoked, ca.link(t, 7), list)
	wantStatus(t, Good, ca.link(t, 8), list)
}

func TestManyKeysOfOneName(t *testing.T) {
	ca := newCA(t, "Crowd CA")
	ix := NewIndex([]*List{ca.list(t, t0, all(revoke(7)), nil)})
	link := ca.link(t, 7)
	for range maxViews + 10 {
		l := *link
		if _, err := rand.Read(l.signer.id[:]); err != nil {
			t.Fatal(err)
		}
		ix.Check(&l, t0)
		if n := len(*ix.issuers[ix.byName[link.issuer]].views.Load()); n > maxViews {
			t.Fatalf("%d keys remembered", n)
		}
	}
	if v := ix.Check(link, t0); v.Status != Revoked {
		t.Errorf("%s", v.Status)
	}
}

func TestFutureListRevokesOnly(t *testing.T) {
	ca := newCA(t, "Future CA")
	future := ca.list(t, t0.Add(maxSkew+time.Second), all(revoke(7)), all(numberExt(2)))
	near := ca.list(t, t0.Add(maxSkew), nil, all(numberExt(2)))
	old := ca.list(t, t0.Add(-time.Hour), all(revoke(8)), all(numberExt(1)))

	wantStatus(t, Unknown, ca.link(t, 9), future)
	wantStatus(t, Revoked, ca.link(t, 7), future, old)
	wantStatus(t, Good, ca.link(t, 9), near)
	// It does not hide the list that is in force, nor speak for it.
	wantStatus(t, Revoked, ca.link(t, 8), future, old)
	if v := wantStatus(t, Good, ca.link(t, 9), future, old); v.List != old {
		t.Errorf("answered by list %s", v.Number())
	}
	// Once its time has come, it decides.
	ix := NewIndex([]*List{future, old})
	if v := ix.Check(ca.link(t, 8), t0.Add(time.Hour)); v.Status != Good || v.List != future {
		t.Errorf("%s by list %s", v.Status, v.Number())
	}
}

func TestNewestListDecides(t *testing.T) {
	ca := newCA(t, "Newest CA")
	v1 := func(at time.Time, entries ...[]byte) *List { return ca.list(t, at, entries, nil) }
	numbered := func(n int64, at time.Time, entries ...[]byte) *List {
		return ca.list(t, at, entries, all(numberExt(n)))
	}
	before := t0.Add(-time.Hour)
	for name, tt := range map[string]struct {
		lists []*List
		want  Status
	}{
		"removed by higher number and later date": {all2(numbered(1, before, revoke(7)), numbered(2, t0)), Good},
		"added by higher number and later date":   {all2(numbered(1, before), numbered(2, t0, revoke(7))), Revoked},
		"same date, higher number":                {all2(numbered(1, t0, revoke(7)), numbered(2, t0)), Good},
		"same number, later date":                 {all2(numbered(1, before, revoke(7)), numbered(1, t0)), Good},
		"without numbers, later date":             {all2(v1(before, revoke(7)), v1(t0)), Good},
		"number appears":                          {all2(v1(before, revoke(7)), numbered(1, t0)), Good},
		"number vanishes":                         {all2(numbered(1, before, revoke(7)), v1(t0)), Good},
		"same number and date, one revokes":       {all2(numbered(1, t0, revoke(7)), numbered(1, t0)), Revoked},
		"higher number, earlier date, is listed":  {all2(numbered(2, before, revoke(7)), numbered(1, t0)), Revoked},
		"lower number, later date, is listed":     {all2(numbered(2, before), numbered(1, t0, revoke(7))), Revoked},
		"contradiction, not listed":               {all2(numbered(2, before), numbered(1, t0)), Good},
		"one list twice":                          {all2(numbered(1, t0), numbered(1, t0)), Good},
	} {
		t.Run(name, func(t *testing.T) {
			wantStatus(t, tt.want, ca.link(t, 7), tt.lists...)
			wantStatus(t, tt.want, ca.link(t, 7), tt.lists[1], tt.lists[0])
		})
	}
}

func all2(a, b *List) []*List { return []*List{a, b} }

func TestNotUnderstoodRevokesOnly(t *testing.T) {
	ca := newCA(t, "Critical CA")
	inList := ca.list(t, t0, all(revoke(7)), all(numberExt(2), ext(oidUnheardOf, true)))
	inEntry := ca.list(t, t0, all(revoke(6), revoke(7, ext(oidUnheardOf, true))), all(numberExt(2)))
	harmless := ca.list(t, t0, all(revoke(7, ext(oidUnheardOf, false))), all(numberExt(2), ext(oidUnheardOf, false)))
	older := ca.list(t, t0.Add(-time.Hour), nil, all(numberExt(1)))
	newer := ca.list(t, t0.Add(time.Minute), nil, all(numberExt(3)))

	for _, list := range []*List{inList, inEntry} {
		if err := list.Unusable(); err == nil || !strings.Contains(err.Error(), "1.3.6.1.4.1.65535.1") {
			t.Errorf("unusable %v", err)
		}
		wantStatus(t, Revoked, ca.link(t, 7), list)
		wantStatus(t, Unknown, ca.link(t, 8), list)
		wantStatus(t, Revoked, ca.link(t, 7), list, older)
		wantStatus(t, Unknown, ca.link(t, 8), list, older)
		wantStatus(t, Good, ca.link(t, 7), list, newer)
	}
	wantStatus(t, Revoked, ca.link(t, 7), harmless)
	wantStatus(t, Good, ca.link(t, 8), harmless)
}

func TestSignerMustBeAllowed(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	usage := func(u x509.KeyUsage) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.KeyUsage = u }
	}
	allowed := newCAWithKey(t, "Usage CA", key)
	lacking := newCAWithKey(t, "Usage CA", key, usage(x509.KeyUsageCertSign))
	without := newCAWithKey(t, "Usage CA", key, usage(0))
	noCA := newCAWithKey(t, "Usage CA", key, func(c *x509.Certificate) { c.IsCA = false })
	list := allowed.list(t, t0, all(revoke(7)), nil)

	ix := NewIndex([]*List{list})
	for _, tt := range []struct {
		ca     *testCA
		listed Status
		other  Status
		err    string
	}{
		{allowed, Revoked, Good, ""},
		{lacking, Unknown, Unknown, "keyUsage without cRLSign"},
		{without, Revoked, Good, ""},
		{noCA, Unknown, Unknown, "basicConstraints without cA"},
	} {
		if v := ix.Check(tt.ca.link(t, 7), t0); v.Status != tt.listed {
			t.Errorf("%s: %s", tt.err, v.Status)
		}
		if v := ix.Check(tt.ca.link(t, 8), t0); v.Status != tt.other {
			t.Errorf("%s: %s", tt.err, v.Status)
		}
		known, err := list.CheckIssuer([]*x509.Certificate{tt.ca.cert})
		if !known || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("CheckIssuer: %v, %v: want %q", known, err, tt.err)
		}
	}
}

func TestCheckIssuer(t *testing.T) {
	ca, twin, other := newCA(t, "Known CA"), newCA(t, "Known CA"), newCA(t, "Other CA")
	aki := func(id []byte) [][]byte { return all(ext(oidAuthorityKeyID, false, seq(tlv(0x80, id)))) }
	plain := ca.list(t, t0, nil, nil)
	named := ca.list(t, t0, nil, aki(ca.cert.SubjectKeyId))
	misnamed := ca.list(t, t0, nil, aki([]byte{1}))
	forged := twin.list(t, t0, nil, aki(ca.cert.SubjectKeyId))

	for name, tt := range map[string]struct {
		list  *List
		cas   []*x509.Certificate
		known bool
		err   string
	}{
		"none":                    {plain, nil, false, ""},
		"nil":                     {plain, []*x509.Certificate{nil}, false, ""},
		"other name":              {plain, []*x509.Certificate{other.cert}, false, ""},
		"its CA":                  {plain, []*x509.Certificate{other.cert, ca.cert}, true, ""},
		"name only":               {plain, []*x509.Certificate{twin.cert}, true, "signature does not verify"},
		"both of the name":        {plain, []*x509.Certificate{twin.cert, ca.cert}, true, ""},
		"key id":                  {named, []*x509.Certificate{ca.cert}, true, ""},
		"key id of another":       {named, []*x509.Certificate{twin.cert}, false, ""},
		"wrong key id, right key": {misnamed, []*x509.Certificate{ca.cert}, true, ""},
		"right key id, wrong key": {forged, []*x509.Certificate{ca.cert}, true, "signature does not verify"},
	} {
		known, err := tt.list.CheckIssuer(tt.cas)
		if known != tt.known || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%s: %v, %v: want %v, %q", name, known, err, tt.known, tt.err)
		}
	}
}

// TestSignatureAlgorithms has crypto/x509 sign with every algorithm that is
// taken, and checks that each verifies with the right key only.
func TestSignatureAlgorithms(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	curve := func(c elliptic.Curve) crypto.Signer {
		key, err := ecdsa.GenerateKey(c, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	other := newCA(t, "Algorithm CA")
	for _, tt := range []struct {
		key        crypto.Signer
		algorithms []x509.SignatureAlgorithm
	}{
		{rsaKey, []x509.SignatureAlgorithm{x509.SHA256WithRSA, x509.SHA384WithRSA, x509.SHA512WithRSA,
			x509.SHA256WithRSAPSS, x509.SHA384WithRSAPSS, x509.SHA512WithRSAPSS}},
		{curve(elliptic.P256()), []x509.SignatureAlgorithm{x509.ECDSAWithSHA256, x509.ECDSAWithSHA384, x509.ECDSAWithSHA512}},
		{curve(elliptic.P384()), []x509.SignatureAlgorithm{x509.ECDSAWithSHA384}},
		{curve(elliptic.P521()), []x509.SignatureAlgorithm{x509.ECDSAWithSHA512}},
		{edKey, []x509.SignatureAlgorithm{x509.PureEd25519}},
	} {
		ca := newCAWithKey(t, "Algorithm CA", tt.key)
		for _, algorithm := range tt.algorithms {
			der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
				SignatureAlgorithm: algorithm, Number: big.NewInt(1), ThisUpdate: t0, NextUpdate: t1,
				RevokedCertificateEntries: []x509.RevocationListEntry{{SerialNumber: big.NewInt(7), RevocationTime: t0}},
			}, ca.cert, ca.key)
			if err != nil {
				t.Fatal(err)
			}
			list := parseOne(t, der)
			if list.SignatureAlgorithm() != algorithm {
				t.Errorf("%s read as %s", algorithm, list.SignatureAlgorithm())
			}
			wantStatus(t, Revoked, ca.link(t, 7), list)
			wantStatus(t, Good, ca.link(t, 8), list)
			wantStatus(t, Unknown, other.link(t, 7), list)

			der[len(der)-1] ^= 1
			broken := parseOne(t, der)
			wantStatus(t, Unknown, ca.link(t, 7), broken)
			wantStatus(t, Good, ca.link(t, 8), broken, list)
		}
	}
}

func TestWeakKeysDoNotSign(t *testing.T) {
	t.Setenv("GODEBUG", "rsa1024min=0")
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []crypto.Signer{small, p224} {
		ca := newCAWithKey(t, "Weak CA", key)
		der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
			Number: big.NewInt(1), ThisUpdate: t0, NextUpdate: t1,
		}, ca.cert, key)
		if err != nil {
			t.Fatal(err)
		}
		list := parseOne(t, der)
		wantStatus(t, Unknown, ca.link(t, 7), list)
		if known, err := list.CheckIssuer([]*x509.Certificate{ca.cert}); !known || err == nil {
			t.Errorf("CheckIssuer: %v, %v", known, err)
		}
	}
}

// TestListOfIntermediate checks a list whose CA is met first in a client's
// chain, below the anchor.
func TestListOfIntermediate(t *testing.T) {
	root, sub := newCA(t, "Root"), newCA(t, "Sub")
	template := *sub.cert
	template.AuthorityKeyId = nil
	sub.cert = createCert(t, &template, root.cert, sub.key.Public(), root.key)
	ix := NewIndex([]*List{
		sub.list(t, t0, all(revoke(7)), nil),
		root.list(t, t0, all(revokeAt(tlv(tagInteger, integerOctets(sub.cert.SerialNumber)), t0)), nil),
	})
	if v := ix.Check(sub.link(t, 7), t0); v.Status != Revoked {
		t.Errorf("leaf: %s %s", v.Status, v.Why)
	}
	if v := ix.Check(sub.link(t, 8), t0); v.Status != Good {
		t.Errorf("other leaf: %s %s", v.Status, v.Why)
	}
	if v := ix.Check(Prepare(sub.cert, root.cert), t0); v.Status != Revoked {
		t.Errorf("intermediate: %s %s", v.Status, v.Why)
	}
}

func TestReasonNames(t *testing.T) {
	if KeyCompromise.String() != "keyCompromise" || Reason(7).String() != "reason(7)" || Reason(99).String() != "reason(99)" {
		t.Error(KeyCompromise, Reason(7), Reason(99))
	}
	if Unknown.String() != "unknown" || Good.String() != "good" || Revoked.String() != "revoked" || Status(9).String() != "unknown" {
		t.Error(Unknown, Good, Revoked, Status(9))
	}
}
