package revocation

import (
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

var (
	opensslUpdate = regexp.MustCompile(`(?m)^ *(Last|Next) Update: (.*)$`)
	opensslNumber = regexp.MustCompile(`(?m)X509v3 CRL Number: *\n *(-?)(0x)?([0-9A-F:]+) *$`)
	opensslSerial = regexp.MustCompile(`(?m)^ *Serial Number: (-?)([0-9A-F:]+)$`)
)

// TestOpenSSLReadsTestdata has openssl crl read every list of testdata. What this
// package takes, openssl takes, and reads the same from it; and by the same key the
// signature verifies, or does not.
func TestOpenSSLReadsTestdata(t *testing.T) {
	needOpenSSL(t)
	files, err := filepath.Glob(filepath.Join("testdata", "*.crl"))
	if err != nil || len(files) < 100 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	block, _ := pem.Decode(fileText(t, filepath.Join("testdata", "ca.pem")))
	ca, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	compared := 0
	for _, file := range files {
		lists, err := Parse(fileText(t, file))
		if err != nil {
			continue // openssl is milder: see the package documentation
		}
		l, name := lists[0], filepath.Base(file)
		read := []string{"crl", "-inform", "DER", "-in", file, "-noout", "-text"}
		out, err := openssl(t, ".", append(read, "-CAfile", filepath.Join("testdata", "ca.pem"))...)
		if err != nil { // that of another CA, and what is no signature at all, it does not print
			out, err = openssl(t, ".", read...)
		}
		if err != nil {
			t.Errorf("%s: openssl refuses it: %s", name, out)
			continue
		}
		compared++
		out = strings.ReplaceAll(out, "\\\n", "") // which is how it breaks long numbers
		known, err := l.CheckIssuer([]*x509.Certificate{ca})
		if sound := strings.Contains(out, "verify OK"); sound != (known && err == nil) {
			t.Errorf("%s: verifies with us: %t, %v; openssl: %t", name, known, err, sound)
		}
		for _, date := range []struct {
			which string
			ours  time.Time
		}{{"Last", l.ThisUpdate()}, {"Next", l.NextUpdate()}} {
			text := "NONE"
			if !date.ours.IsZero() {
				text = date.ours.UTC().Format("Jan _2 15:04:05 2006 GMT")
			}
			found := slices.ContainsFunc(opensslUpdate.FindAllStringSubmatch(out, -1), func(m []string) bool { return m[1] == date.which && m[2] == text })
			if !found {
				t.Errorf("%s: %s update is %s here, and not with openssl:\n%s", name, date.which, text, out)
			}
		}
		if m := opensslNumber.FindStringSubmatch(out); (m == nil) != (l.Number() == nil) {
			t.Errorf("%s: number %v here, openssl has %q", name, l.Number(), m)
		} else if m != nil {
			base := 10
			if m[2] != "" || len(m[3]) > 18 {
				base = 16
			}
			if n, ok := new(big.Int).SetString(m[1]+m[3], base); !ok || n.Cmp(l.Number()) != 0 {
				t.Errorf("%s: number %v here, openssl has %q", name, l.Number(), m)
			}
		}
		serials := opensslSerial.FindAllStringSubmatch(out, -1)
		if len(serials) != l.Entries() {
			t.Errorf("%s: %d entries here, %d with openssl", name, l.Entries(), len(serials))
		}
		for _, m := range serials {
			serial, ok := new(big.Int).SetString(m[1]+strings.ReplaceAll(m[2], ":", ""), 16)
			if !ok {
				t.Fatalf("%s: serial %q", name, m)
			}
			if _, listed, err := l.find(integerOctets(serial)); !listed || err != nil {
				t.Errorf("%s: serial %x is not listed here: %v", name, serial, err)
			}
		}
	}
	if compared < 45 {
		t.Errorf("%d lists were compared", compared)
	}
}

func fileText(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
