package revocation

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
)

var (
	asn1FreshestCRL = asn1.ObjectIdentifier{2, 5, 29, 46}
	schemes         = [][]byte{[]byte("http://"), []byte("https://")}
)

// maxURLs is how many URLs of one extension are taken.
const maxURLs = 8

// DistributionURLs are the http and https URLs at which a certificate says that
// lists about it are published: complete ones (RFC 5280 section 4.2.1.13) and
// deltas (4.2.1.15). Points of indirect lists are left out, and so is an extension
// that does not parse. Of each there are eight at the most. That the certificate
// may be believed is the caller's to know.
func DistributionURLs(cert *x509.Certificate) (complete, deltas []string) {
	if cert == nil {
		return nil, nil
	}
	for _, ext := range cert.Extensions {
		switch {
		case ext.Id.Equal(asn1CRLDistributionPoints):
			complete, _ = distributionURLs(ext.Value)
		case ext.Id.Equal(asn1FreshestCRL):
			deltas, _ = distributionURLs(ext.Value)
		}
	}
	return complete, deltas
}

// distributionURLs reads a CRLDistributionPoints.
func distributionURLs(value der) ([]string, error) {
	content, err := value.only(tagSequence)
	if err != nil {
		return nil, err
	}
	var all []string
	for rest := der(content); len(rest) > 0; {
		point, err := rest.read(tagSequence)
		if err != nil {
			return nil, err
		}
		urls, err := pointURLs(point)
		if err != nil {
			return nil, err
		}
		all = append(all, urls...)
	}
	return all[:min(len(all), maxURLs)], nil
}

// pointURLs reads the content of one DistributionPoint.
func pointURLs(in der) (urls []string, err error) {
	for len(in) > 0 {
		tag, content, _, err := in.next()
		if err != nil {
			return nil, err
		}
		switch tag {
		case tagContext | tagConstructed:
			if urls, err = nameURLs(content); err != nil {
				return nil, err
			}
		case tagContext | tagConstructed | 2: // cRLIssuer
			return nil, nil
		}
	}
	return urls, nil
}

// nameURLs reads the content of a DistributionPointName.
func nameURLs(in der) (urls []string, err error) {
	tag, names, _, err := in.next()
	if err != nil || tag != tagContext|tagConstructed {
		return nil, err
	}
	for rest := der(names); len(rest) > 0; {
		tag, content, _, err := rest.next()
		if err != nil {
			return nil, err
		}
		for _, scheme := range schemes {
			if tag == tagURI && len(content) > len(scheme) && bytes.EqualFold(content[:len(scheme)], scheme) {
				urls = append(urls, string(content))
			}
		}
	}
	return urls, nil
}
