package ocsp

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"math/big"
	"testing"
	"time"

	xocsp "golang.org/x/crypto/ocsp"
)

// TestRequest compares requests with those of golang.org/x/crypto/ocsp.
func TestRequest(t *testing.T) {
	f := newFixture(t)
	q, err := NewQuestion(f.leaf, f.issuer.cert)
	if err != nil {
		t.Fatal(err)
	}
	for _, hash := range []crypto.Hash{0, crypto.SHA1, crypto.SHA256} {
		want, err := xocsp.CreateRequest(f.leaf, f.issuer.cert, &xocsp.RequestOptions{Hash: hash})
		if err != nil {
			t.Fatal(err)
		}
		got, nonce, err := q.Request(RequestOptions{Hash: hash})
		if err != nil || !bytes.Equal(got, want) || nonce != nil {
			t.Errorf("hash %v: got %x, %x, %v, want %x", hash, got, nonce, err, want)
		}
	}
	der, nonce, err := q.Request(RequestOptions{Nonce: true})
	if err != nil || len(nonce) != 32 || !bytes.Contains(der, nonce) {
		t.Errorf("got nonce %x in %x, %v", nonce, der, err)
	}
	if _, again, _ := q.Request(RequestOptions{Nonce: true}); bytes.Equal(nonce, again) {
		t.Error("the same nonce twice")
	}
	if _, err := xocsp.ParseRequest(der); err != nil {
		t.Errorf("request with nonce does not parse: %v", err)
	}
	if _, _, err := q.Request(RequestOptions{Hash: crypto.MD5}); err == nil {
		t.Error("MD5 was taken")
	}
}

func TestQuestionID(t *testing.T) {
	f, g := newFixture(t), newFixture(t) // the same names and serials, other keys
	id := func(cert, issuer *x509.Certificate) string {
		q, err := NewQuestion(cert, issuer)
		if err != nil {
			t.Fatal(err)
		}
		return q.ID()
	}
	other := *f.leaf
	other.SerialNumber = new(big.Int).Neg(f.leaf.SerialNumber)
	switch one := id(f.leaf, f.issuer.cert); {
	case one != id(f.leaf, f.issuer.cert):
		t.Error("one question has two IDs")
	case one == id(f.leaf, g.issuer.cert), one == id(&other, f.issuer.cert):
		t.Error("two questions have one ID")
	}
}

// TestZeroValues: whatever was forgotten, nobody is Good.
func TestZeroValues(t *testing.T) {
	f := newFixture(t)
	q, err := NewQuestion(f.leaf, f.issuer.cert)
	if err != nil {
		t.Fatal(err)
	}
	if (Answer{}).Status != Unknown || (Answer{}).Fresh(base) {
		t.Error("the zero Answer is worth something")
	}
	for name, validate := range map[string]func() (Answer, error){
		"no time":       func() (Answer, error) { return q.Validate(f.der(), Check{}) },
		"nil question":  func() (Answer, error) { return (*Question)(nil).Validate(f.der(), Check{Now: base}) },
		"zero question": func() (Answer, error) { return new(Question).Validate(f.der(), Check{Now: base}) },
		"no response":   func() (Answer, error) { return q.Validate(nil, Check{Now: base}) },
		"nonce forgotten": func() (Answer, error) {
			return q.Validate(f.der(), Check{Now: base, RequireNonce: true})
		},
		"nonce required": func() (Answer, error) {
			return q.Validate(f.der(), Check{Now: base, Nonce: []byte("x"), RequireNonce: true})
		},
	} {
		if a, err := validate(); err == nil || a != (Answer{}) {
			t.Errorf("%s: got %+v, %v", name, a, err)
		}
	}
	for _, pair := range [][2]*x509.Certificate{{nil, f.leaf}, {f.leaf, nil}, {{}, f.leaf}, {f.leaf, {}}} {
		if _, err := NewQuestion(pair[0], pair[1]); err == nil {
			t.Error("a question about nothing")
		}
	}
}

// TestExpires: an answer is worth nothing once the delegate's certificate is not.
func TestExpires(t *testing.T) {
	f := newFixture(t)
	end := base.Add(30 * time.Minute)
	f.delegate(func(c *x509.Certificate) { c.NotAfter = end })
	q, err := NewQuestion(f.leaf, f.issuer.cert)
	if err != nil {
		t.Fatal(err)
	}
	a, err := q.Validate(f.der(), Check{Now: base})
	if err != nil || !a.Expires.Equal(end) {
		t.Errorf("expires %s, %v, want %s", a.Expires, err, end)
	}
	// Of two statuses, the shorter holds, whichever decides.
	f = newFixture(t)
	f.singles = append(f.singles, f.good())
	f.singles[1].next = base.Add(10 * time.Minute)
	if q, err = NewQuestion(f.leaf, f.issuer.cert); err != nil {
		t.Fatal(err)
	}
	a, err = q.Validate(f.der(), Check{Now: base})
	if err != nil || !a.Expires.Equal(base.Add(10*time.Minute)) {
		t.Errorf("expires %s, %v", a.Expires, err)
	}
}

// TestEverySignature takes each algorithm of the table from end to end.
func TestEverySignature(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for algorithm, der := range writtenAlgorithms {
		key, signer := crypto.Signer(rsaKey), crypto.Signer(nil)
		switch algorithm {
		case x509.PureEd25519:
			key = edKey
		case x509.ECDSAWithSHA256, x509.ECDSAWithSHA384, x509.ECDSAWithSHA512:
			key = p256(t)
		case x509.SHA256WithRSAPSS, x509.SHA384WithRSAPSS, x509.SHA512WithRSAPSS:
			signer = pss{rsaKey}
		}
		ca := issue(t, "Issuing CA", key, nil, nil)
		f := fixtureOf(t, ca, issue(t, "leaf", p256(t), ca, nil).cert)
		f.hash, f.algorithm = hashOf[algorithm], der
		if signer != nil {
			f.signer = &party{ca.cert, signer}
		}
		q, err := NewQuestion(f.leaf, ca.cert)
		if err != nil {
			t.Fatal(err)
		}
		if a, err := q.Validate(f.der(), Check{Now: base}); err != nil || a.Status != Good {
			t.Errorf("%s: got %+v, %v", algorithm, a, err)
		}
	}
}

// BenchmarkValidate is what a stapled response costs in a handshake.
func BenchmarkValidate(b *testing.B) {
	for name, alter := range map[string]func(*fixture){"issuer": func(*fixture) {}, "delegate": func(f *fixture) { f.delegate(nil) }} {
		b.Run(name, func(b *testing.B) {
			f := newFixture(b)
			alter(f)
			der := f.der()
			q, err := NewQuestion(f.leaf, f.issuer.cert)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := q.Validate(der, Check{Now: base}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
