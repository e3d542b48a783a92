package identity

import (
	"crypto/x509"
	"fmt"
)

// shortNames are the names of attribute types, by the body of their OID's DER.
// They are those of RFC 2253 and else OpenSSL's, which differ only in STREET,
// that OpenSSL spells in lower case. OpenSSL's "uid" for uniqueIdentifier
// (0.9.2342.19200300.100.1.44) is left out: names of types ignore case, so that
// it would pass for a UID.
var shortNames = oidTable(map[string]string{
	"2.5.4.3":  "CN",
	"2.5.4.4":  "SN",
	"2.5.4.5":  "serialNumber",
	"2.5.4.6":  "C",
	"2.5.4.7":  "L",
	"2.5.4.8":  "ST",
	"2.5.4.9":  "STREET",
	"2.5.4.10": "O",
	"2.5.4.11": "OU",
	"2.5.4.12": "title",
	"2.5.4.13": "description",
	"2.5.4.15": "businessCategory",
	"2.5.4.16": "postalAddress",
	"2.5.4.17": "postalCode",
	"2.5.4.18": "postOfficeBox",
	"2.5.4.19": "physicalDeliveryOfficeName",
	"2.5.4.20": "telephoneNumber",
	"2.5.4.41": "name",
	"2.5.4.42": "GN",
	"2.5.4.43": "initials",
	"2.5.4.44": "generationQualifier",
	"2.5.4.45": "x500UniqueIdentifier",
	"2.5.4.46": "dnQualifier",
	"2.5.4.49": "distinguishedName",
	"2.5.4.51": "houseIdentifier",
	"2.5.4.54": "dmdName",
	"2.5.4.65": "pseudonym",
	"2.5.4.72": "role",
	"2.5.4.97": "organizationIdentifier",

	"0.9.2342.19200300.100.1.1":  "UID",
	"0.9.2342.19200300.100.1.3":  "mail",
	"0.9.2342.19200300.100.1.9":  "host",
	"0.9.2342.19200300.100.1.25": "DC",

	"1.2.840.113549.1.9.1": "emailAddress",
	"1.2.840.113549.1.9.2": "unstructuredName",
	"1.2.840.113549.1.9.8": "unstructuredAddress",

	"1.3.6.1.4.1.311.60.2.1.1": "jurisdictionL",
	"1.3.6.1.4.1.311.60.2.1.2": "jurisdictionST",
	"1.3.6.1.4.1.311.60.2.1.3": "jurisdictionC",

	"1.2.643.3.131.1.1": "INN",
	"1.2.643.100.1":     "OGRN",
	"1.2.643.100.3":     "SNILS",
	"1.2.643.100.5":     "OGRNIP",
})

func oidTable(names map[string]string) map[string]string {
	table := make(map[string]string, len(names))
	for dotted, name := range names {
		oid, err := x509.ParseOID(dotted)
		if err != nil {
			panic(fmt.Sprintf("attribute type %s: %v", dotted, err))
		}
		body, err := oid.MarshalBinary()
		if err != nil {
			panic(fmt.Sprintf("attribute type %s: %v", dotted, err))
		}
		table[string(body)] = name
	}
	return table
}
