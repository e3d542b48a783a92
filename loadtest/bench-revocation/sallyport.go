package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"text/template"

	"github.com/sallyport/sallyport/loadtest/benchmark"
)

// sallyportConfig is Sallyport's. Its defaults stand but for connections per
// address: all of them come from one. It answers itself, as nginx does.
var sallyportConfig = template.Must(template.New("sallyport.yaml").Parse(`state_dir: {{.Dir}}/state
admin: {socket: {{.Dir}}/admin/admin.sock}
trust_stores:
  clients:
    ca_bundle: {file: {{.PKI}}/` + caFile + `}
    crls: [{file: {{.CRL}}}]
certificates:
  - {name: server, file: {cert: {{.PKI}}/` + serverCertFile + `, key: {{.PKI}}/` + serverKeyFile + `}}
listeners:
  bench:
    address: "{{.Address}}"
    mutual_authentication: {mode: verify, trust_store: clients}
    limits: {connections_per_address: 10000}
    default_action: {fixed_response: {status_code: 200, message_body: "admitted\n"}}
`))

// startSallyport starts Sallyport.
func (b *bench) startSallyport(ctx context.Context, crl string) (*server, error) {
	address, err := benchmark.FreeAddress("127.0.0.1")
	if err != nil {
		return nil, err
	}
	if crl, err = filepath.Abs(crl); err != nil {
		return nil, err
	}
	dir := filepath.Join(b.dir, "sallyport")
	if err := os.MkdirAll(filepath.Join(dir, "admin"), 0o700); err != nil {
		return nil, err
	}
	var config bytes.Buffer
	if err := sallyportConfig.Execute(&config, struct{ Dir, PKI, CRL, Address string }{dir, b.pki.dir, crl, address}); err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "sallyport.yaml")
	if err := os.WriteFile(file, config.Bytes(), 0o600); err != nil {
		return nil, err
	}
	p, err := startProcess(b.dir, "sallyport", b.sallyport, "run", "-c", file)
	if err != nil {
		return nil, err
	}
	s := &server{name: "Sallyport", address: address, process: p}
	return s, b.awaitServer(ctx, s)
}
