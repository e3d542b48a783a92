package truststore

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/identity"
)

// ParseBundle reads the CA certificates of a PEM bundle, in the order of the
// file and each once, by the rules of ALB's trust stores:
//
//   - the file holds blocks of BEGIN CERTIFICATE and END CERTIFICATE, and lines
//     of comment between them that begin with # and contain no "-"; nothing else,
//     blank lines and the text dumps of "openssl x509 -text" included;
//   - limits bound the number of certificates, the size of each as PEM, and the
//     sum of the subjects.
//
// Leniency is for what cannot be misread: CRLF line ends, spaces at a line's
// end, blank lines at the end of the file, a UTF-8 byte order mark at its start.
//
// Every certificate must be X.509v3 and a CA (basic constraints cA, and the key
// usage keyCertSign where it has a key usage), since each of them is an anchor.
// An error names its line. Warnings are about the file; Warnings is about what
// is in it. A certificate that is there twice is one of them.
func ParseBundle(data []byte, limits config.TrustStoreLimits) (cas []*x509.Certificate, warnings []string, err error) {
	blocks, err := scanPEM(data)
	if err != nil {
		return nil, nil, err
	}
	if len(blocks) == 0 {
		return nil, nil, errors.New("no CERTIFICATE block in it, want at least one CA")
	}
	seen := make(map[[32]byte]int, len(blocks))
	subjects := make(map[string]bool, len(blocks))
	subjectsSize := 0
	for _, b := range blocks {
		if b.size > int(limits.CACertificateSize) {
			return nil, nil, fmt.Errorf("line %d: certificate is %d bytes of PEM, more than ca_certificate_size %v", b.line, b.size, limits.CACertificateSize)
		}
		ca, err := x509.ParseCertificate(b.der)
		if err != nil {
			return nil, nil, fmt.Errorf("line %d: parse certificate: %v", b.line, err)
		}
		if err := checkCA(ca); err != nil {
			return nil, nil, fmt.Errorf("line %d: %s %v", b.line, describe(ca), err)
		}
		sum := sha256.Sum256(ca.Raw)
		if first, again := seen[sum]; again {
			warnings = append(warnings, fmt.Sprintf("line %d: %s is already on line %d", b.line, describe(ca), first))
			continue
		}
		seen[sum] = b.line
		cas = append(cas, ca)
		if len(cas) > limits.CACertificates {
			return nil, nil, fmt.Errorf("line %d: more than ca_certificates %d", b.line, limits.CACertificates)
		}
		if !subjects[string(ca.RawSubject)] {
			subjects[string(ca.RawSubject)] = true
			subjectsSize += len(ca.RawSubject)
		}
		if subjectsSize > int(limits.SubjectsSize) {
			return nil, nil, fmt.Errorf("line %d: the subjects up to here take %d bytes, more than subjects_size %v", b.line, subjectsSize, limits.SubjectsSize)
		}
	}
	return cas, warnings, nil
}

// checkCA is what a certificate must be to anchor a path. RFC 5280, sections
// 4.2.1.3 and 4.2.1.9; v1 roots have no basic constraints to say that they are
// CAs.
func checkCA(c *x509.Certificate) error {
	switch {
	case c.Version != 3:
		return fmt.Errorf("is X.509v%d, want v3", c.Version)
	case !c.BasicConstraintsValid || !c.IsCA:
		return errors.New("is no CA: want the basic constraint CA:TRUE")
	case c.KeyUsage != 0 && c.KeyUsage&x509.KeyUsageCertSign == 0:
		return errors.New("may sign no certificates: its key usage is without keyCertSign")
	case len(c.RawSubject) <= 2:
		return errors.New("has no subject, by which those it issued would name it")
	}
	return nil
}

// describe names a certificate in a message. Its parts are printable ASCII,
// whoever made the certificate, and not much longer than a line.
func describe(c *x509.Certificate) string {
	return fmt.Sprintf("certificate %s (serial %s)", nameOf(c.RawSubject), shorten(identity.Serial(c), 48))
}

// nameOf prints a Name in DER for messages. It is quoted but not escaped again:
// identity.DN has escaped what is not printable ASCII, and quotes.
func nameOf(raw []byte) string {
	name, err := identity.DN(raw)
	if err != nil {
		name = fmt.Sprintf("#%X", raw)
	}
	return `"` + shorten(name, 256) + `"`
}

func shorten(s string, enough int) string {
	if len(s) > enough {
		return s[:enough] + "..."
	}
	return s
}

// block is one certificate of a PEM file.
type block struct {
	line int // of its BEGIN, from 1
	size int // as PEM, without carriage returns
	der  []byte
}

const (
	beginLine = "-----BEGIN CERTIFICATE-----"
	endLine   = "-----END CERTIFICATE-----"
)

// scanPEM is not encoding/pem because that skips what it does not understand: a
// damaged block would be a CA silently missing.
func scanPEM(data []byte) ([]block, error) {
	var (
		blocks []block
		open   *block
		body   []byte
		blank  int // line of the first blank line of a run
		number int
	)
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	data = bytes.TrimSuffix(data, []byte("\n"))
	for raw := range bytes.SplitSeq(data, []byte("\n")) {
		number++
		line := strings.TrimRight(string(raw), " \t\r")
		switch {
		case line == "":
			if open != nil {
				return nil, fmt.Errorf("line %d: blank line in the certificate begun on line %d", number, open.line)
			}
			if blank == 0 {
				blank = number
			}
			continue
		case blank != 0:
			return nil, fmt.Errorf("line %d: blank line, want none before the end of the file", blank)
		}

		if open == nil {
			if line == beginLine {
				open, body = &block{line: number, size: len(line) + 1}, nil
				continue
			}
			if err := checkBetween(line); err != nil {
				return nil, fmt.Errorf("line %d: %v", number, err)
			}
			continue
		}
		open.size += len(line) + 1
		if line != endLine {
			if strings.ContainsAny(line, "-:#") {
				return nil, fmt.Errorf("line %d: %s in the certificate begun on line %d, want base64 or %s", number, quote(line), open.line, endLine)
			}
			body = append(body, line...)
			continue
		}
		der, err := base64.StdEncoding.Strict().DecodeString(string(body))
		if err != nil {
			return nil, fmt.Errorf("line %d: decode certificate: %v", open.line, err)
		}
		open.der = der
		blocks = append(blocks, *open)
		open = nil
	}
	if open != nil {
		return nil, fmt.Errorf("line %d: certificate has no line %s", open.line, endLine)
	}
	return blocks, nil
}

// checkBetween judges a line outside of every block.
func checkBetween(line string) error {
	switch {
	case strings.HasPrefix(line, "#"):
		if strings.Contains(line, "-") {
			return fmt.Errorf("comment %s contains a \"-\", which ALB takes for PEM", quote(line))
		}
		return nil
	case strings.HasPrefix(line, "-----BEGIN ") && strings.Contains(line, "PRIVATE KEY"):
		return fmt.Errorf("%s: a private key has no place in a file of certificates", quote(line))
	case strings.HasPrefix(line, "-----BEGIN "):
		return fmt.Errorf("%s: want %s only", quote(line), beginLine)
	default:
		return fmt.Errorf("%s: want %s or a comment with # (openssl x509 without -text prints nothing else)", quote(line), beginLine)
	}
}

func quote(line string) string { return fmt.Sprintf("%+q", shorten(line, 60)) }
