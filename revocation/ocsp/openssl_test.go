package ocsp

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func needOpenSSL(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("openssl is missing, and CI must not skip")
		}
		t.Skip("no openssl command")
	}
}

func openssl(t *testing.T, dir string, arguments ...string) string {
	t.Helper()
	command := exec.Command("openssl", arguments...)
	command.Dir = dir
	out, err := command.CombinedOutput() // says in words what it refuses
	if command.ProcessState == nil || !command.ProcessState.Exited() {
		t.Fatalf("openssl %s: no verdict: %v: %s", strings.Join(arguments, " "), err, out)
	}
	return string(out)
}

func writePEM(t *testing.T, dir, name, label string, der []byte) {
	t.Helper()
	write(t, dir, name, pem.EncodeToMemory(&pem.Block{Type: label, Bytes: der}))
}

func write(t *testing.T, dir, name string, content []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// opensslVerdict is good, revoked or unknown, or refused.
func opensslVerdict(out string) string {
	switch {
	case !strings.Contains(out, "Response verify OK"), strings.Contains(out, "Nonce Verify error"),
		strings.Contains(out, "WARNING: Status times invalid"), strings.Contains(out, "No Status found"):
		return "refused"
	}
	for _, status := range []string{"good", "revoked", "unknown"} {
		if strings.Contains(out, "leaf.pem: "+status) {
			return status
		}
	}
	return "refused"
}

// TestOpenSSLAgrees has openssl judge every fixture. Where it is known to judge
// otherwise, fixtureCase.openssl says how, and the package's documentation why.
func TestOpenSSLAgrees(t *testing.T) {
	needOpenSSL(t)
	for _, tt := range fixtureCases {
		t.Run(tt.name, func(t *testing.T) {
			f, der, a, err := tt.answer(t)
			ours := a.Status.String()
			if err != nil {
				ours = "refused"
			}
			want := tt.openssl
			if want == "" {
				want = ours
			}
			dir := t.TempDir()
			write(t, dir, "response.der", der)
			writePEM(t, dir, "issuer.pem", "CERTIFICATE", f.issuer.cert.Raw)
			writePEM(t, dir, "leaf.pem", "CERTIFICATE", f.leaf.Raw)
			c := Check{}
			if tt.check != nil {
				tt.check(&c)
			}
			arguments := []string{"ocsp", "-respin", "response.der", "-issuer", "issuer.pem", certIDFlag(f), "-cert", "leaf.pem",
				"-CAfile", "issuer.pem", "-no_nonce", "-validity_period", fmt.Sprint(int(Skew / time.Second))}
			if c.MaxAge != 0 {
				arguments = append(arguments, "-status_age", fmt.Sprint(int((c.MaxAge+Skew)/time.Second)))
			}
			out := openssl(t, dir, arguments...)
			got := opensslVerdict(out)
			if c.Nonce != nil {
				// With a request given, openssl compares its nonce and prints no status.
				write(t, dir, "request.der", requestWithNonce(t, f, c.Nonce))
				out = openssl(t, dir, "ocsp", "-respin", "response.der", "-reqin", "request.der", "-CAfile", "issuer.pem", "-issuer", "issuer.pem")
				if strings.Contains(out, "Nonce Verify error") {
					got = "refused"
				}
			}
			if got != want {
				t.Errorf("openssl says %s, want %s (ours is %s, %v):\n%s", got, want, ours, err, out)
			}
		})
	}
}

// certIDFlag is the hash that openssl is to look for: it knows one at a time.
func certIDFlag(f *fixture) string {
	if len(f.singles) > 0 && f.singles[0].hash != crypto.SHA1 {
		return fmt.Sprintf("-sha%d", f.singles[0].hash.Size()*8)
	}
	return "-sha1"
}

// requestWithNonce puts nonce where Request put a random one.
func requestWithNonce(t *testing.T, f *fixture, nonce []byte) []byte {
	t.Helper()
	q, err := NewQuestion(f.leaf, f.issuer.cert)
	if err != nil {
		t.Fatal(err)
	}
	defer func(n int) { nonceLength = n }(nonceLength)
	nonceLength = len(nonce)
	der, random, err := q.Request(RequestOptions{Nonce: true})
	if err != nil {
		t.Fatal(err)
	}
	return []byte(strings.Replace(string(der), string(random), string(nonce), 1))
}

// TestOpenSSLResponder asks a real responder with our requests.
func TestOpenSSLResponder(t *testing.T) {
	needOpenSSL(t)
	f := newFixture(t)
	f.delegate(noNoCheck)
	dir := t.TempDir()
	writePEM(t, dir, "ca.pem", "CERTIFICATE", f.issuer.cert.Raw)
	writePEM(t, dir, "responder.pem", "CERTIFICATE", f.signer.cert.Raw)
	key, err := x509.MarshalPKCS8PrivateKey(f.signer.key)
	if err != nil {
		t.Fatal(err)
	}
	writePEM(t, dir, "key.pem", "PRIVATE KEY", key)
	q, err := NewQuestion(f.leaf, f.issuer.cert)
	if err != nil {
		t.Fatal(err)
	}
	line := func(kind, revoked string) string {
		return fmt.Sprintf("%s\t%s\t%s\t%X\tunknown\t/CN=leaf\n", kind, f.leaf.NotAfter.Format("060102150405Z"), revoked, f.leaf.SerialNumber)
	}
	revoked := base.Add(-3 * time.Hour)
	for _, tt := range []struct {
		index  string
		hash   crypto.Hash
		want   Status
		reason Reason
	}{
		{line("V", ""), crypto.SHA1, Good, 0},
		{line("V", ""), crypto.SHA256, Good, 0},
		{line("R", revoked.Format("060102150405Z")+",keyCompromise"), 0, Revoked, KeyCompromise},
		{line("R", revoked.Format("060102150405Z")+",holdInstruction,1.2.840.10040.2.2"), 0, Revoked, CertificateHold},
		{"", 0, Unknown, 0},
	} {
		request, nonce, err := q.Request(RequestOptions{Hash: tt.hash, Nonce: true})
		if err != nil {
			t.Fatal(err)
		}
		write(t, dir, "request.der", request)
		write(t, dir, "index.txt", []byte(tt.index))
		out := openssl(t, dir, "ocsp", "-index", "index.txt", "-CA", "ca.pem", "-rsigner", "responder.pem", "-rkey", "key.pem",
			"-rmd", "sha256", "-nmin", "60", "-reqin", "request.der", "-respout", "response.der")
		response, err := os.ReadFile(filepath.Join(dir, "response.der"))
		if err != nil {
			t.Fatalf("%v:\n%s", err, out)
		}
		a, err := q.Validate(response, Check{Now: time.Now(), Nonce: nonce, RequireNonce: true,
			Delegate: func(*x509.Certificate) error { return nil }})
		if err != nil {
			t.Fatalf("%s: %v\n%s", tt.want, err, out)
		}
		if a.Status != tt.want || a.Reason != tt.reason || !a.NonceEchoed || a.Delegate == nil {
			t.Errorf("got %+v, want %s, %s", a, tt.want, tt.reason)
		}
		if tt.want == Revoked && !a.RevokedAt.Equal(revoked) {
			t.Errorf("revoked at %s, want %s", a.RevokedAt, revoked)
		}
	}
}
