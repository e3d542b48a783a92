package main

import (
	"encoding/hex"

	"cel.dev/cel-go/cel"

	"github.com/sallyport/sallyport/sdk"
)

// variable is what rules may name: a field of the edge's under the edge's name,
// in a type of CEL.
type variable struct {
	field sdk.Field
	kind  *cel.Type
	value func(sdk.Request) any
}

// headersVariable is all headers of the request, by their names. A rule may only
// look up one that it names, so that the edge need not send the others.
const headersVariable = "request.headers"

// variables are all but the headers. Certificates as a whole, and what is another
// with each connection or request, are not among them.
var variables = []variable{
	{sdk.CertVerified, cel.BoolType, func(r sdk.Request) any { return r.Peer().Verified() }},
	{sdk.CertSubject, cel.StringType, func(r sdk.Request) any { return r.Peer().Subject() }},
	{sdk.CertIssuer, cel.StringType, func(r sdk.Request) any { return r.Peer().Issuer() }},
	{sdk.CertSerial, cel.StringType, func(r sdk.Request) any { return r.Peer().Serial() }},
	{sdk.CertSHA256, cel.StringType, fingerprint},
	{sdk.CertNotBefore, cel.TimestampType, func(r sdk.Request) any { return r.Peer().NotBefore() }},
	{sdk.CertNotAfter, cel.TimestampType, func(r sdk.Request) any { return r.Peer().NotAfter() }},
	{sdk.CertCommonName, cel.StringType, func(r sdk.Request) any { return r.Peer().CommonName() }},
	{sdk.CertOrganizations, texts, func(r sdk.Request) any { return r.Peer().Organizations() }},
	{sdk.CertOrganizationalUnits, texts, func(r sdk.Request) any { return r.Peer().OrganizationalUnits() }},
	{sdk.CertDNSNames, texts, func(r sdk.Request) any { return r.Peer().DNSNames() }},
	{sdk.CertEmails, texts, func(r sdk.Request) any { return r.Peer().Emails() }},
	{sdk.CertURIs, texts, func(r sdk.Request) any { return r.Peer().URIs() }},
	{sdk.CertIPs, texts, addresses},

	{sdk.ClientIP, cel.StringType, clientIP},
	{sdk.ClientPort, cel.IntType, func(r sdk.Request) any { return int64(r.ClientPort()) }},
	{sdk.ServerPort, cel.IntType, func(r sdk.Request) any { return int64(r.ServerPort()) }},
	{sdk.Listener, cel.StringType, func(r sdk.Request) any { return r.Connection.Listener() }},
	{sdk.ServerName, cel.StringType, func(r sdk.Request) any { return r.ServerName() }},
	{sdk.ALPN, cel.StringType, func(r sdk.Request) any { return r.ALPN() }},
	{sdk.TLSVersion, cel.StringType, func(r sdk.Request) any { return r.TLSVersion() }},
	{sdk.CipherSuite, cel.StringType, func(r sdk.Request) any { return r.CipherSuite() }},
	{sdk.JA4, cel.StringType, func(r sdk.Request) any { return r.JA4() }},
	{sdk.Resumed, cel.BoolType, func(r sdk.Request) any { return r.Resumed() }},

	{sdk.Method, cel.StringType, func(r sdk.Request) any { return r.Method() }},
	{sdk.Scheme, cel.StringType, func(r sdk.Request) any { return r.Scheme() }},
	{sdk.RequestHost, cel.StringType, func(r sdk.Request) any { return r.Host() }},
	{sdk.Path, cel.StringType, func(r sdk.Request) any { return r.Path() }},
	{sdk.Query, cel.StringType, func(r sdk.Request) any { return r.Query() }},
	{sdk.HTTPVersion, cel.StringType, func(r sdk.Request) any { return r.Version() }},
}

var texts = cel.ListType(cel.StringType)

// fingerprint is in hexadecimal, lower case, and empty where there is nobody.
func fingerprint(r sdk.Request) any {
	sum := r.Peer().SHA256()
	if !r.Peer().Verified() {
		return ""
	}
	return hex.EncodeToString(sum[:])
}

func clientIP(r sdk.Request) any {
	if a := r.ClientIP(); a.IsValid() {
		return a.String()
	}
	return ""
}

func addresses(r sdk.Request) any {
	var list []string
	for _, a := range r.Peer().IPs() {
		list = append(list, a.String())
	}
	return list
}

// facts are the variables of one request, for one rule.
type facts struct {
	request sdk.Request
	headers []string
}

// ResolveName implements cel.Activation: each variable is looked up when a rule
// gets to it.
func (f *facts) ResolveName(name string) (any, bool) {
	if name == headersVariable {
		values := make(map[string][]string, len(f.headers))
		for _, h := range f.headers {
			values[h] = f.request.HeaderValues(h)
		}
		return values, true
	}
	v := byName[name]
	if v == nil {
		return nil, false
	}
	return v.value(f.request), true
}

// Parent implements cel.Activation.
func (*facts) Parent() cel.Activation { return nil }

var byName = func() map[string]*variable {
	m := map[string]*variable{}
	for i := range variables {
		m[string(variables[i].field)] = &variables[i]
	}
	return m
}()
