package revocation

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func openssl(t *testing.T, dir string, arguments ...string) (string, error) {
	t.Helper()
	command := exec.Command("openssl", arguments...)
	command.Dir = dir
	out, err := command.CombinedOutput()
	if err != nil && (command.ProcessState == nil || !command.ProcessState.Exited()) {
		t.Fatalf("openssl %s: no verdict: %v: %s", strings.Join(arguments, " "), err, out)
	}
	return string(out), err
}

func writePEM(t *testing.T, path, label string, der []byte) {
	t.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: label, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

func needOpenSSL(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("openssl is missing, and CI must not skip")
		}
		t.Skip("no openssl command")
	}
}

// TestOpenSSLAgrees asks openssl verify about the same lists and certificates.
func TestOpenSSLAgrees(t *testing.T) {
	needOpenSSL(t)
	const one, two = "http://crl.example/1.crl", "http://crl.example/2.crl"
	for name, tt := range map[string]struct {
		extensions [][]byte
		cert       func(*x509.Certificate)
	}{
		"whole":          {nil, notCA},
		"number":         {all(numberExt(1)), notCA},
		"point matches":  {all(numberExt(1), idpExt(pointOf(uri(one)))), withPoints(seq(pointOf(uri(one))))},
		"other point":    {all(numberExt(1), idpExt(pointOf(uri(two)))), withPoints(seq(pointOf(uri(one))))},
		"user list":      {all(numberExt(1), idpExt(only(1))), notCA},
		"CA list":        {all(numberExt(1), idpExt(only(2))), notCA},
		"attribute list": {all(numberExt(1), idpExt(only(5))), notCA},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			ca := newCA(t, "OpenSSL CA")
			p := ca.base()
			p.extensions = nil
			if tt.extensions != nil {
				p.extensions = tlv(0xa0, seq(tt.extensions...))
			}
			if p.extensions == nil {
				p.version, p.revoked = nil, seq(revoke(7))
			}
			raw := p.der(t, ca)
			list := parseOne(t, raw)
			writePEM(t, filepath.Join(dir, "ca.pem"), "CERTIFICATE", ca.cert.Raw)
			writePEM(t, filepath.Join(dir, "crl.pem"), "X509 CRL", raw)
			for _, serial := range []int64{7, 8} {
				cert := ca.issue(t, big.NewInt(serial), tt.cert)
				writePEM(t, filepath.Join(dir, "leaf.pem"), "CERTIFICATE", cert.Raw)
				out, err := openssl(t, dir, "verify", "-crl_check", "-extended_crl", "-attime", fmt.Sprint(t0.Unix()),
					"-CAfile", "ca.pem", "-CRLfile", "crl.pem", "leaf.pem")
				want := Unknown
				switch {
				case err == nil:
					want = Good
				case strings.Contains(out, "certificate revoked"):
					want = Revoked
				case !strings.Contains(out, "CRL"):
					t.Fatalf("openssl: %s", out)
				}
				if v := NewIndex([]*List{list}).Check(Prepare(cert, ca.cert), t0); v.Status != want {
					t.Errorf("serial %d: %s (%s), but openssl says %s: %s", serial, v.Status, v.Why, want, out)
				}
			}
		})
	}
}

// TestOpenSSLIssues reads a list that openssl ca has made.
func TestOpenSSLIssues(t *testing.T) {
	needOpenSSL(t)
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run := func(arguments ...string) {
		if out, err := openssl(t, dir, arguments...); err != nil {
			t.Fatalf("openssl %s: %v: %s", strings.Join(arguments, " "), err, out)
		}
	}
	write("ca.cnf", `
[ca]
default_ca = this
[this]
database = index.txt
crlnumber = number
default_md = sha256
crl_extensions = crl
certificate = ca.pem
private_key = ca.key
[crl]
authorityKeyIdentifier = keyid:always
[req]
distinguished_name = dn
x509_extensions = v3
prompt = no
[dn]
O = Sallyport
CN = Issued by openssl
[v3]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
`)
	write("number", "0100\n")
	write("index.txt", "R\t300101000000Z\t260101000000Z,keyCompromise\t07\tunknown\t/CN=seven\n"+
		"R\t300101000000Z\t260102000000Z\tFFEEDDCCBBAA00112233445566778899\tunknown\t/CN=long\n"+
		"V\t300101000000Z\t\t08\tunknown\t/CN=eight\n")
	run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-config", "ca.cnf")
	run("ca", "-config", "ca.cnf", "-gencrl", "-crldays", "7", "-out", "crl.pem")

	data, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(data)
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if data, err = os.ReadFile(filepath.Join(dir, "crl.pem")); err != nil {
		t.Fatal(err)
	}
	lists, err := Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	if known, err := lists[0].CheckIssuer([]*x509.Certificate{cert}); !known || err != nil {
		t.Errorf("CheckIssuer: %v, %v", known, err)
	}
	if lists[0].Entries() != 2 || lists[0].Number().Int64() != 0x100 {
		t.Errorf("%d entries, number %s", lists[0].Entries(), lists[0].Number())
	}
	long, _ := new(big.Int).SetString("ffeeddccbbaa00112233445566778899", 16)
	for _, tt := range []struct {
		serial *big.Int
		status Status
		reason Reason
		at     time.Time
	}{
		{big.NewInt(7), Revoked, KeyCompromise, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)},
		{long, Revoked, Unspecified, time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)},
		{big.NewInt(8), Good, Unspecified, time.Time{}},
	} {
		leaf := &x509.Certificate{SerialNumber: tt.serial, RawIssuer: cert.RawSubject}
		v := NewIndex(lists).Check(Prepare(leaf, cert), time.Now())
		if v.Status != tt.status || v.Reason != tt.reason || !v.RevokedAt.Equal(tt.at) {
			t.Errorf("serial %x: %s %s %s (%s)", tt.serial, v.Status, v.Reason, v.RevokedAt, v.Why)
		}
	}
}
