package config

import (
	"encoding/hex"
	"fmt"
	"reflect"
	"strings"
)

// IdentityFilters say whom a listener lets in of those that its trust store
// vouches for. Every key that is written must be satisfied, each by at least one
// of its values; otherwise the client is refused with ClientCertRejected. They
// look at the client's own certificate, and nothing in it passes for what it is
// not: a common name is no DNS name, nor is a URI. What holds a character that
// does not print satisfies nothing.
type IdentityFilters struct {
	// Subject of the certificate.
	Subject NameFilter `yaml:"subject"`

	// Issuer of the certificate: the subject of the CA that signed it.
	Issuer NameFilter `yaml:"issuer"`

	// DNS are for the subject alternative names of type DNS: exact, or with * as
	// the whole first label, which stands for one label. Case does not matter. A
	// name that is itself a wildcard satisfies nothing. Default none.
	DNS []string `yaml:"dns"`

	// URI are for the subject alternative names of type URI: exact, or with /* at
	// the end, which stands for one or more segments of a path without escapes,
	// dot segments, empty segments, query and fragment. Case matters but for the
	// scheme and the host; nothing else is normalised. Default none.
	URI []string `yaml:"uri"`

	// SPIFFEID are for the one subject alternative name of type URI: a
	// certificate with several has no SPIFFE ID. It must be a valid one, with a
	// path: exact, or with /* at the end for one or more segments. Case matters.
	// Default none.
	SPIFFEID []string `yaml:"spiffe_id"`

	// Email are for the subject alternative names of type email: exact, or with *
	// for all of what is before the @. Case does not matter in the domain.
	// Default none.
	Email []string `yaml:"email"`

	// IP are addresses or networks for the subject alternative names of type IP
	// address, which are not where the client connects from. Default none.
	IP []Network `yaml:"ip"`

	// SPKISHA256 pins keys: the SHA-256 of the certificate's
	// SubjectPublicKeyInfo, which stays the same when a certificate is renewed
	// with its key. Default none.
	SPKISHA256 []Fingerprint `yaml:"spki_sha256"`

	// CertificateSHA256 pins certificates: the SHA-256 of the DER. Default none.
	CertificateSHA256 []Fingerprint `yaml:"certificate_sha256"`

	// AllowedCertificates are PEM files of clients' own certificates, any number
	// in a file; no others are let in. Read at start and at each reload. Default
	// none.
	AllowedCertificates []File `yaml:"allowed_certificates"`
}

// NameFilter is for the parts of a subject or an issuer: exact, or with * at the
// beginning or the end, which stands for one or more characters. Case matters.
// Where a name has a part several times, one that is satisfied is enough.
type NameFilter struct {
	// CommonName, CN. Default none.
	CommonName []string `yaml:"common_name"`
	// Organization, O. Default none.
	Organization []string `yaml:"organization"`
	// OrganizationalUnit, OU. Default none.
	OrganizationalUnit []string `yaml:"organizational_unit"`
	// OrganizationIdentifier, 2.5.4.97: who a bank or a company is by law, such
	// as PSDDE-BAFIN-123456. Default none.
	OrganizationIdentifier []string `yaml:"organization_identifier"`
	// Country, C. Default none.
	Country []string `yaml:"country"`
	// State or province, ST. Default none.
	State []string `yaml:"state"`
	// Locality, L. Default none.
	Locality []string `yaml:"locality"`
	// SerialNumber that is part of the name, of a device say; not that of the
	// certificate. Default none.
	SerialNumber []string `yaml:"serial_number"`
	// UserID, UID. Default none.
	UserID []string `yaml:"user_id"`
}

// IsZero tells that nothing is written, so that nobody is kept out.
func (f IdentityFilters) IsZero() bool { return reflect.ValueOf(f).IsZero() }

// IsZero tells that nothing is written.
func (f NameFilter) IsZero() bool { return reflect.ValueOf(f).IsZero() }

// NamePart is a key of a NameFilter.
type NamePart struct {
	Key    string   // common_name
	Type   string   // CN, as package identity prints it
	Values []string // nil where the key is not written
}

// Parts are all keys of f in their order.
func (f NameFilter) Parts() []NamePart {
	return []NamePart{
		{"common_name", "CN", f.CommonName},
		{"organization", "O", f.Organization},
		{"organizational_unit", "OU", f.OrganizationalUnit},
		{"organization_identifier", "organizationIdentifier", f.OrganizationIdentifier},
		{"country", "C", f.Country},
		{"state", "ST", f.State},
		{"locality", "L", f.Locality},
		{"serial_number", "serialNumber", f.SerialNumber},
		{"user_id", "UID", f.UserID},
	}
}

// Fingerprint is a SHA-256, written as 64 hex digits of any case, with or
// without a colon between each two.
type Fingerprint [32]byte

func (f Fingerprint) String() string { return hex.EncodeToString(f[:]) }

// MarshalText writes 64 hex digits.
func (f Fingerprint) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText reads a fingerprint.
func (f *Fingerprint) UnmarshalText(text []byte) error {
	digits := string(text)
	if strings.Count(digits, ":") == len(f)-1 {
		for i := range len(f) - 1 {
			if at := 3*i + 2; at >= len(digits) || digits[at] != ':' {
				return fingerprintError(text)
			}
		}
		digits = strings.ReplaceAll(digits, ":", "")
	}
	sum, err := hex.DecodeString(digits)
	if err != nil || len(sum) != len(f) {
		return fingerprintError(text)
	}
	copy(f[:], sum)
	return nil
}

func fingerprintError(text []byte) error {
	return fmt.Errorf("%s: want a SHA-256 of 64 hex digits", quote(string(text)))
}
