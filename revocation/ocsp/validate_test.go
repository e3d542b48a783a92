package ocsp

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"
)

// unknownExtension is one that nobody knows.
var unknownExtension = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 99999, 1}

// fixtureCase is a response, what is to be made of it, and what openssl makes of it.
type fixtureCase struct {
	name  string
	make  func(f *fixture)
	check func(c *Check)
	want  Status
	err   string // where it is to be refused
	// openssl's verdict where it is not ours: good, revoked, unknown or refused.
	openssl string
	// reason of a Revoked
	reason Reason
}

var fixtureCases = []fixtureCase{
	{name: "good", make: func(*fixture) {}, want: Good},
	{name: "good by name", make: func(f *fixture) { f.byName = true }, want: Good},
	{name: "issuer's certificate sent along", make: func(f *fixture) { f.certs = []*party{f.issuer} }, want: Good},
	{name: "unknown", make: func(f *fixture) { f.singles[0].status = statusUnknown }, want: Unknown},
	{name: "revoked", make: func(f *fixture) { f.singles[0] = f.revoked(1) }, want: Revoked, reason: KeyCompromise},
	{name: "revoked without reason", make: func(f *fixture) { f.singles[0] = f.revoked(-1) }, want: Revoked},
	{name: "revoked, on hold", make: func(f *fixture) { f.singles[0] = f.revoked(6) }, want: Revoked, reason: CertificateHold},
	{name: "revoked, removeFromCRL", make: func(f *fixture) { f.singles[0] = f.revoked(8) }, want: Revoked, reason: RemoveFromCRL},
	{name: "revoked, reason 7", make: func(f *fixture) { f.singles[0] = f.revoked(7) }, want: Revoked, reason: 7},
	{name: "revoked, reason 300", make: func(f *fixture) { f.singles[0] = f.revoked(300) }, want: Revoked},
	{name: "SHA-256 certID", make: func(f *fixture) { f.singles[0].hash, f.singles[0].hashID = crypto.SHA256, oidSHA256 }, want: Good},
	{name: "SHA-512 certID", make: func(f *fixture) { f.singles[0].hash, f.singles[0].hashID = crypto.SHA512, oidSHA512 }, want: Good},
	{name: "SHA-384 signature", make: func(f *fixture) { f.hash = crypto.SHA384 }, want: Good},
	{name: "extension not critical", make: func(f *fixture) {
		f.extensions = []extension{{id: unknownExtension, value: []byte{5, 0}}}
		f.singles[0].extensions = f.extensions
	}, want: Good},

	// Envelope.
	{name: "tryLater", make: func(f *fixture) { f.status = 3 }, err: "tryLater"},
	{name: "unauthorized", make: func(f *fixture) { f.status = 6 }, err: "unauthorized"},
	{name: "other type", make: func(f *fixture) { f.kind = oidNonce }, err: "want id-pkix-ocsp-basic"},
	{name: "version 2", make: func(f *fixture) { f.version = 1 }, err: "version 1", openssl: "good"},
	{name: "bytes behind", make: func(f *fixture) { f.behind = []byte{0} }, err: "bytes behind", openssl: "good"},
	{name: "too large", make: func(f *fixture) { f.behind = make([]byte, MaxResponse) }, err: "want at most 65536", openssl: "good"},
	{name: "no status", make: func(f *fixture) { f.singles = nil }, err: "other certificates"},

	// About whom.
	{name: "other serial", make: func(f *fixture) { f.singles[0].serial = big.NewInt(4) }, err: "other certificates"},
	{name: "negative serial", make: func(f *fixture) { f.singles[0].serial = new(big.Int).Neg(f.leaf.SerialNumber) }, err: "other certificates"},
	{name: "other issuer name", make: func(f *fixture) { f.singles[0].name = []byte{0x30, 0} }, err: "other certificates"},
	{name: "other issuer key", make: func(f *fixture) { f.singles[0].key = []byte{1} }, err: "other certificates"},
	{name: "certID of unknown hash", make: func(f *fixture) { f.singles[0].hashID = unknownExtension }, err: "other certificates"},
	{name: "second of several", make: func(f *fixture) {
		other := f.revoked(1)
		other.serial = big.NewInt(4)
		f.singles = []answer{other, f.good()}
	}, want: Good},
	{name: "same serial of another CA first", make: func(f *fixture) {
		other := f.good()
		other.key = []byte{1}
		f.singles = []answer{other, f.revoked(4)}
	}, want: Revoked, reason: Superseded},
	{name: "good, then revoked", make: func(f *fixture) {
		later := f.revoked(1)
		later.hash, later.hashID = crypto.SHA256, oidSHA256
		f.singles = append(f.singles, later)
	}, want: Revoked, reason: KeyCompromise, openssl: "good"},
	{name: "good, then unknown", make: func(f *fixture) {
		later := f.good()
		later.status = statusUnknown
		f.singles = append(f.singles, later)
	}, want: Unknown, openssl: "good"},
	{name: "revoked, then good", make: func(f *fixture) { f.singles = []answer{f.revoked(1), f.good()} }, want: Revoked, reason: KeyCompromise},
	{name: "critical extension of another's status", make: func(f *fixture) {
		other := f.good()
		other.serial, other.extensions = big.NewInt(4), []extension{{unknownExtension, true, []byte{5, 0}}}
		f.singles = append(f.singles, other)
	}, want: Good},

	// Extensions.
	{name: "critical in the response", make: func(f *fixture) {
		f.extensions = []extension{{unknownExtension, true, []byte{5, 0}}}
	}, err: "critical extension", openssl: "good"},
	{name: "critical in the status", make: func(f *fixture) {
		f.singles[0].extensions = []extension{{unknownExtension, true, []byte{5, 0}}}
	}, err: "critical extension", openssl: "good"},
	{name: "extension twice", make: func(f *fixture) {
		f.extensions = []extension{{unknownExtension, false, nil}, {unknownExtension, false, nil}}
	}, err: "twice", openssl: "good"},
	{name: "nonce", make: func(f *fixture) { f.extensions = []extension{nonceExtension("right")} },
		check: func(c *Check) { c.Nonce, c.RequireNonce = []byte("right"), true }, want: Good},
	{name: "critical nonce", make: func(f *fixture) {
		f.extensions = []extension{nonceExtension("right")}
		f.extensions[0].critical = true
	}, check: func(c *Check) { c.Nonce = []byte("right") }, want: Good},
	{name: "other nonce", make: func(f *fixture) { f.extensions = []extension{nonceExtension("wrong")} },
		check: func(c *Check) { c.Nonce = []byte("right") }, err: "another nonce"},
	{name: "empty nonce", make: func(f *fixture) { f.extensions = []extension{nonceExtension("")} },
		check: func(c *Check) { c.Nonce = []byte("right") }, err: "another nonce"},
	{name: "nonce of no form", make: func(f *fixture) { f.extensions = []extension{{oidNonce, false, []byte("right")}} },
		check: func(c *Check) { c.Nonce = []byte("right") }, err: "no OCTET STRING"},
	{name: "nonce not echoed", make: func(*fixture) {}, check: func(c *Check) { c.Nonce = []byte("right") }, want: Good},
	{name: "nonce not asked for", make: func(f *fixture) { f.extensions = []extension{nonceExtension("any")} }, want: Good},

	// Time. It goes on before openssl looks at the clock, so what is still within
	// limits then is well within.
	{name: "nextUpdate past, within skew", make: func(f *fixture) { f.singles[0].next = base.Add(-Skew + 4*time.Minute) }, want: Good},
	{name: "nextUpdate past", make: func(f *fixture) { f.singles[0].next = base.Add(-Skew - time.Minute) }, err: "out of date"},
	{name: "revoked, nextUpdate past", make: func(f *fixture) {
		f.singles[0] = f.revoked(1)
		f.singles[0].next = base.Add(-Skew - time.Minute)
	}, err: "out of date"},
	{name: "thisUpdate ahead, within skew", make: func(f *fixture) { f.singles[0].this = base.Add(Skew - 2*time.Minute) }, want: Good},
	{name: "thisUpdate ahead", make: func(f *fixture) { f.singles[0].this = base.Add(Skew + 5*time.Minute) }, err: "thisUpdate of"},
	{name: "thisUpdate after producedAt", make: func(f *fixture) { f.produced = base.Add(-2 * time.Hour) }, err: "after producedAt", openssl: "good"},
	{name: "producedAt ahead", make: func(f *fixture) { f.produced = base.Add(Skew + 2*time.Minute) }, err: "which is to come", openssl: "good"},
	{name: "nextUpdate before thisUpdate", make: func(f *fixture) {
		f.singles[0].this, f.singles[0].next = base.Add(-time.Minute), base.Add(-2*time.Minute)
	}, err: "before thisUpdate"},
	{name: "no nextUpdate", make: func(f *fixture) { f.singles[0].next = time.Time{} }, err: "no maximum age", openssl: "good"},
	{name: "no nextUpdate, young", make: func(f *fixture) { f.singles[0].next = time.Time{} },
		check: func(c *Check) { c.MaxAge = 2 * time.Hour }, want: Good},
	{name: "no nextUpdate, old", make: func(f *fixture) { f.singles[0].next = time.Time{} },
		check: func(c *Check) { c.MaxAge = 50 * time.Minute }, err: "maximum age is 50m0s"},
	{name: "several, one out of date", make: func(f *fixture) {
		f.singles = append(f.singles, f.good())
		f.singles[1].next = base.Add(-Skew - time.Minute)
	}, err: "out of date", openssl: "good"},

	// Who signed.
	{name: "signature spoilt", make: func(f *fixture) { f.spoil = true }, err: "issuer's key"},
	{name: "delegate, signature spoilt", make: func(f *fixture) { f.delegate(nil); f.spoil = true }, err: "delegate's key"},
	{name: "signed by a stranger", make: func(f *fixture) { f.signer = issue(f.t, "stranger", p256(f.t), nil, nil) }, err: "issuer's key"},
	{name: "signed by the leaf, as the issuer", make: func(f *fixture) {
		f.byName = true
		f.delegate(func(c *x509.Certificate) { c.ExtKeyUsage = nil })
		f.named = f.issuer
	}, err: "issuer's key"},
	{name: "another CA of the same name", make: func(f *fixture) {
		f.signer = issue(f.t, "Issuing CA", p256(f.t), nil, nil)
		f.named, f.certs, f.byName = f.signer, []*party{f.signer}, true
	}, err: "OCSPSigning"},
	{name: "responder ID of nobody", make: func(f *fixture) { f.named = issue(f.t, "stranger", p256(f.t), nil, nil) }, err: "names neither"},
	{name: "delegate", make: func(f *fixture) { f.delegate(nil) }, want: Good},
	{name: "delegate by name", make: func(f *fixture) { f.byName = true; f.delegate(nil) }, want: Good},
	{name: "delegate behind the issuer's certificate", make: func(f *fixture) {
		f.delegate(nil)
		f.certs = []*party{f.issuer, f.certs[0]}
	}, want: Good},
	{name: "delegate's certificate missing", make: func(f *fixture) { f.delegate(nil); f.certs = nil }, err: "names neither"},
	{name: "delegate without usage", make: func(f *fixture) { f.delegate(func(c *x509.Certificate) { c.ExtKeyUsage = nil }) }, err: "OCSPSigning"},
	{name: "delegate for clients", make: func(f *fixture) {
		f.delegate(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} })
	}, err: "OCSPSigning"},
	{name: "delegate for anything", make: func(f *fixture) {
		f.delegate(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageAny} })
	}, err: "OCSPSigning"},
	{name: "delegate's key usage", make: func(f *fixture) {
		f.delegate(func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyAgreement })
	}, err: "digitalSignature", openssl: "good"},
	{name: "delegate expired", make: func(f *fixture) {
		f.delegate(func(c *x509.Certificate) { c.NotAfter = base.Add(-time.Minute) })
	}, err: "is valid from"},
	{name: "delegate not yet valid", make: func(f *fixture) {
		f.delegate(func(c *x509.Certificate) { c.NotBefore = base.Add(time.Hour) })
	}, err: "is valid from"},
	{name: "delegate's critical extension", make: func(f *fixture) {
		f.delegate(func(c *x509.Certificate) {
			c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: unknownExtension, Critical: true, Value: []byte{5, 0}})
		})
	}, err: "not understood"},
	{name: "delegate of a stranger", make: func(f *fixture) { f.delegateOf(issue(f.t, "stranger", p256(f.t), nil, nil), nil) }, err: "is issued by"},
	{name: "delegate of the issuer's name only", make: func(f *fixture) { f.delegateOf(issue(f.t, "Issuing CA", p256(f.t), nil, nil), nil) }, err: "not signed by the issuer"},
	{name: "delegate of a delegate", make: func(f *fixture) {
		f.delegate(func(c *x509.Certificate) {
			c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign
		})
		ca := f.signer
		f.delegateOf(ca, nil)
		f.certs = append(f.certs, ca)
	}, err: "is issued by"},
	{name: "delegate, signature of another", make: func(f *fixture) { f.delegate(nil); f.signer = f.issuer }, err: "delegate's key"},
	{name: "delegate without nocheck", make: func(f *fixture) { f.delegate(noNoCheck) }, err: "nocheck", openssl: "good"},
	{name: "delegate without nocheck, vouched for", make: func(f *fixture) { f.delegate(noNoCheck) },
		check: func(c *Check) { c.Delegate = func(*x509.Certificate) error { return nil } }, want: Good},
	{name: "delegate revoked", make: func(f *fixture) { f.delegate(noNoCheck) },
		check: func(c *Check) { c.Delegate = func(*x509.Certificate) error { return errors.New("revoked") } }, err: "not to be trusted: revoked", openssl: "good"},

	// Weak.
	{name: "SHA-1 signature", make: func(f *fixture) { f.hash = crypto.SHA1 }, err: "signature algorithm 1.2.840.10045.4.1", openssl: "good"},
	{name: "MD5 with RSA", make: func(f *fixture) { f.rsa(2048); f.hash = crypto.MD5 }, err: "signature algorithm 1.2.840.113549.1.1.4", openssl: "good"},
	{name: "RSA", make: func(f *fixture) { f.rsa(2048) }, want: Good},
	{name: "RSA 1024", make: func(f *fixture) { f.rsa(1024) }, err: "issuer's RSA key has 1024 bits", openssl: "good"},
	{name: "P-224", make: func(f *fixture) {
		key, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
		f.ca(key, err)
	}, err: "P-224", openssl: "good"},
	{name: "Ed25519", make: func(f *fixture) {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		f.ca(key, err)
	}, want: Good},
	{name: "delegate of RSA 1024", make: func(f *fixture) {
		f.delegate(nil)
		key, err := rsa.GenerateKey(rand.Reader, 1024)
		if err != nil {
			f.t.Fatal(err)
		}
		d := issue(f.t, "weak", key, f.issuer, func(c *x509.Certificate) {
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning}
			c.ExtraExtensions = []pkix.Extension{{Id: oidNoCheck, Value: []byte{5, 0}}}
		})
		f.signer, f.named, f.certs = d, d, []*party{d}
	}, err: "too weak: RSA key has 1024 bits", openssl: "good"},
	{name: "delegate signed with SHA-1", make: func(f *fixture) {
		f.rsa(2048)
		f.delegate(nil)
		f.signer.cert = withSHA1(f.t, f.signer.cert, f.issuer)
	}, err: "insecure algorithm SHA1-RSA", openssl: "good"},
	{name: "algorithm of another key", make: func(f *fixture) { f.algorithm = algorithmOf(f.t, x509.SHA256WithRSA) }, err: "issuer's key"},
	{name: "nine certificates", make: func(f *fixture) {
		for range 9 {
			f.certs = append(f.certs, f.issuer)
		}
	}, err: "more than 8 certificates", openssl: "good"},
}

func noNoCheck(c *x509.Certificate) { c.ExtraExtensions = nil }

// rsa makes the issuer one with an RSA key, ca one with key.
func (f *fixture) rsa(bits int) {
	key, err := rsa.GenerateKey(rand.Reader, bits)
	f.ca(key, err)
}

func (f *fixture) ca(key crypto.Signer, err error) {
	if err != nil {
		f.t.Fatal(err)
	}
	issuer := issue(f.t, "Issuing CA", key, nil, nil)
	*f = *fixtureOf(f.t, issuer, issue(f.t, "leaf", p256(f.t), issuer, nil).cert)
}

// answer validates the fixture's response.
func (tt fixtureCase) answer(t *testing.T) (*fixture, []byte, Answer, error) {
	t.Helper()
	f := newFixture(t)
	tt.make(f)
	der := f.der()
	q, err := NewQuestion(f.leaf, f.issuer.cert)
	if err != nil {
		t.Fatal(err)
	}
	c := Check{Now: base}
	if tt.check != nil {
		tt.check(&c)
	}
	before := bytes.Clone(der)
	a, err := q.Validate(der, c)
	if !bytes.Equal(der, before) {
		t.Error("the response was written to")
	}
	return f, der, a, err
}

func TestValidate(t *testing.T) {
	for _, tt := range fixtureCases {
		t.Run(tt.name, func(t *testing.T) {
			f, _, a, err := tt.answer(t)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("got error %v, want one with %q", err, tt.err)
				}
				if a != (Answer{}) {
					t.Errorf("got %+v with the error, want nothing", a)
				}
				if stale := strings.Contains(tt.err, "out of date") || strings.Contains(tt.err, "age is"); errors.Is(err, ErrStale) != stale {
					t.Errorf("ErrStale is %t in %v", !stale, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if a.Status != tt.want || a.Reason != tt.reason {
				t.Errorf("got %s, %s, want %s, %s", a.Status, a.Reason, tt.want, tt.reason)
			}
			if revoked := base.Add(-2 * time.Hour); a.Status == Revoked && !a.RevokedAt.Equal(revoked) || a.Status != Revoked && !a.RevokedAt.IsZero() {
				t.Errorf("revoked at %s", a.RevokedAt)
			}
			if (a.Delegate != nil) != (f.signer != f.issuer) {
				t.Errorf("delegate is %v", a.Delegate)
			}
			if !a.Fresh(base) || a.Fresh(a.Expires.Add(Skew+time.Second)) {
				t.Errorf("fresh is wrong about %s", a.Expires)
			}
		})
	}
}
