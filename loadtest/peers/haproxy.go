package peers

import (
	"context"
	"regexp"
)

// haproxy logs to its standard output, which is a file. It has no certificate
// in PEM to tell the target, so Leaf is base64 of DER. It would prefer AES-256 to
// what the client, like the other servers, prefers.
var haproxy = &kind{
	name: "HAProxy",
	find: findHAProxy,
	file: "haproxy.cfg",
	log:  stdoutFile,
	args: func(binary string, _ site, config string) []string {
		return []string{binary, "-db", "-f", config}
	},
	config: configuration(`global
    nbthread 1
    noreuseport
    maxconn 8192
    log stdout format raw local0
    ssl-default-bind-options ssl-min-ver TLSv1.2 prefer-client-ciphers

defaults
    mode http
    log global
    option httplog
    option forwardfor
    timeout connect 2s
    timeout client 60s
    timeout server 60s
    timeout http-request 10s
    timeout http-keep-alive 60s

frontend edge
    bind {{.Address}} backlog 4096 ssl crt {{.PKI}}/` + serverBothFile + ` ca-file {{.PKI}}/` + rootFile + ` crl-file {{.PKI}}/` + allCRLsFile + ` verify required curves X25519 alpn h2,http/1.1
    http-request set-header X-Forwarded-Proto https
    http-request set-header X-Forwarded-Port %[dst_port]
    http-request set-header X-Amzn-Mtls-Clientcert-Serial-Number %[ssl_c_serial,hex]
    http-request set-header X-Amzn-Mtls-Clientcert-Issuer %[ssl_c_i_dn(,0,rfc2253)]
    http-request set-header X-Amzn-Mtls-Clientcert-Subject %[ssl_c_s_dn(,0,rfc2253)]
    http-request set-header X-Amzn-Mtls-Clientcert-Validity NotBefore=%[ssl_c_notbefore];NotAfter=%[ssl_c_notafter]
    http-request set-header X-Amzn-Mtls-Clientcert-Leaf %[ssl_c_der,base64]
    default_backend target

backend target
    http-reuse always
    server target {{.Target}}
`),
}

func findHAProxy(ctx context.Context, _ *Options) (program, error) {
	binary, err := lookUp("haproxy")
	if err != nil {
		return program{}, err
	}
	said, err := ask(ctx, binary, "-vv")
	return program{binary: binary, version: haproxyVersion(said)}, err
}

var (
	haproxyNumber  = regexp.MustCompile(`HAProxy version ([0-9][\w.]*)`)
	haproxyLibrary = regexp.MustCompile(`Running on OpenSSL version : ([A-Za-z-]+ [0-9][\w.-]*)`)
)

// haproxyVersion reads what haproxy -vv says.
func haproxyVersion(said string) string {
	version := "of unknown version"
	if m := haproxyNumber.FindStringSubmatch(said); m != nil {
		version = m[1]
	}
	if m := haproxyLibrary.FindStringSubmatch(said); m != nil {
		version += ", " + m[1]
	}
	return version
}
