package demo

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"text/template"
	"time"

	"github.com/sallyport/sallyport/loadtest/pki"
)

// pkiFiles is the demo's PKI: what is in the directory, and the CA that the page
// issues from.
type pkiFiles struct {
	ca                                  *pki.CA
	client, revoked, expired, untrusted *pki.Leaf
	stolen                              *pki.Leaf // the client's certificate with somebody else's key
	serverCA                            *pki.CA
}

// makePKI makes the PKI and writes it into dir, keys with mode 0600. addresses
// are what the server's certificate must be good for, besides localhost.
func makePKI(dir string, addresses ...string) (*pkiFiles, error) {
	p := &pkiFiles{}
	var err error
	if p.ca, err = pki.NewRoot(pki.CommonName("Sallyport demo client CA")); err != nil {
		return nil, err
	}
	stranger, err := pki.NewRoot(pki.CommonName("A CA that nobody here trusts"))
	if err != nil {
		return nil, err
	}
	if p.serverCA, err = pki.NewRoot(pki.CommonName("Sallyport demo server CA")); err != nil {
		return nil, err
	}
	server, err := p.serverCA.Issue(pki.CommonName("localhost"), pki.Server(serverNames(addresses)...))
	if err != nil {
		return nil, err
	}
	now := time.Now()
	for _, c := range []struct {
		name string
		leaf **pki.Leaf
		ca   *pki.CA
		opts []pki.Option
	}{
		{"client", &p.client, p.ca, nil},
		{"revoked", &p.revoked, p.ca, nil},
		{"expired", &p.expired, p.ca, []pki.Option{pki.NotBefore(now.AddDate(0, 0, -30)), pki.NotAfter(now.AddDate(0, 0, -1))}},
		{"untrusted", &p.untrusted, stranger, nil},
	} {
		leaf, err := c.ca.Issue(append(c.opts, pki.CommonName("demo "+c.name))...)
		if err != nil {
			return nil, fmt.Errorf("issue %s: %w", c.name, err)
		}
		if err := leaf.WriteFiles(dir, c.name); err != nil {
			return nil, err
		}
		*c.leaf = leaf
	}
	key, err := pki.NewKey(pki.P256)
	if err != nil {
		return nil, err
	}
	p.stolen = p.client.WithKey(key)

	crl, err := p.ca.CRL(pki.Revoke(p.revoked))
	if err != nil {
		return nil, err
	}
	if err := server.WriteFiles(dir, "server"); err != nil {
		return nil, err
	}
	for name, data := range map[string][]byte{
		"ca.pem":        p.ca.CertPEM(),
		"server-ca.pem": p.serverCA.CertPEM(),
		"crl.pem":       pki.CRLPEM(crl),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// serverNames are localhost and the loopback addresses, and the hosts of
// addresses.
func serverNames(addresses []string) []string {
	names := []string{"localhost", "127.0.0.1", "::1"}
	for _, address := range addresses {
		host, _, err := net.SplitHostPort(address)
		if ip := net.ParseIP(host); err == nil && ip != nil && !ip.IsUnspecified() && !ip.IsLoopback() {
			names = append(names, host)
		}
	}
	return names
}

// configuration is what a newcomer would write, but for the addresses.
var configuration = template.Must(template.New("sallyport.yaml").Parse(`# The demo's configuration. "sallyport check -c" it, change it, "sallyport reload -c" it.
state_dir: state
admin: {socket: admin.sock}
logs:
  connection: {file: connection.log, format: alb}
  access: {file: access.log}

trust_stores:
  clients:
    ca_bundle: {file: ca.pem}
    crls: [{file: crl.pem}]

certificates:
  - {name: localhost, file: {cert: server.crt, key: server.key}}

target_groups:
  echo: {targets: ["http://{{.Echo}}"]}

listeners:
  verify:
    address: "{{.Verify}}"
    mutual_authentication: {mode: verify, trust_store: clients}
    default_action: {forward: echo}
  passthrough:
    address: "{{.Passthrough}}"
    mutual_authentication: {mode: passthrough}
    default_action: {forward: echo}
`))

func (d *demo) writeConfig(echo string) error {
	var b bytes.Buffer
	err := configuration.Execute(&b, struct{ Echo, Verify, Passthrough string }{echo, d.verify, d.passthrough})
	if err != nil {
		return err
	}
	return os.WriteFile(d.configFile(), b.Bytes(), 0o600)
}

// port is the port of an address.
func portOf(address string) string { return address[strings.LastIndexByte(address, ':')+1:] }
