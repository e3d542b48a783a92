package peers

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"text/template"
)

// site is what a server is set up for. Every configuration is made from one, so
// that all servers do the same work. What is not in it is the server's default,
// or said in its template with the reason.
//
// Besides, all of them: offer TLS 1.2 and 1.3, HTTP/1.1 and HTTP/2, and X25519
// alone, since old OpenSSL has no other group that Go's has too; hand out session
// tickets; keep connections to the target; log every connection or request to a
// file; and lift limits that the load would run into.
type site struct {
	Address string // to listen at
	Target  string // to pass requests to, by plain HTTP
	PKI     string // folder of the files below
	Dir     string // folder of the server's own: configuration, logs, state
	Root    bool   // nginx as root has to be told to stay so, to read the files
}

// Host is Address's IP address.
func (s site) Host() string {
	host, _, _ := net.SplitHostPort(s.Address)
	return host
}

// Name is Address by the name in the certificate.
func (s site) Name() string { return hostAt(s.Address) }

// The files in site.PKI.
const (
	rootFile       = "root.pem"
	rootCRLFile    = "root.crl"
	issuingCRLFile = "issuing.crl"
	allCRLsFile    = "all.crl" // both, for servers that take one file
	serverCertFile = "server.crt"
	serverKeyFile  = "server.key"
	serverBothFile = "server.pem" // certificate, chain and key
)

// identityNames are the headers by which servers tell the target who the client
// is, without their prefix; identityName adds it.
var identityNames = []string{"Serial-Number", "Issuer", "Subject", "Validity", "Leaf"}

func identityName(name string) string { return "X-Amzn-Mtls-Clientcert-" + name }

// configuration parses a template of a site, at start-up.
func configuration(text string) *template.Template {
	return template.Must(template.New("").Option("missingkey=error").Parse(text))
}

// render is a server's configuration for the site.
func (k *kind) render(s site) ([]byte, error) {
	var text bytes.Buffer
	if err := k.config.Execute(&text, s); err != nil {
		return nil, fmt.Errorf("make %s's configuration: %w", k.name, err)
	}
	return text.Bytes(), nil
}

// write writes the configuration into the site's folder and returns its path.
func (k *kind) write(s site) (string, error) {
	text, err := k.render(s)
	if err != nil {
		return "", err
	}
	file := filepath.Join(s.Dir, k.file)
	return file, os.WriteFile(file, text, 0o600)
}
