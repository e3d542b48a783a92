package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"text/template"
)

// sallyportConfig is Sallyport's. Its defaults stand but for connections per
// address: all of them come from one.
var sallyportConfig = template.Must(template.New("sallyport.yaml").Parse(`state_dir: {{.Dir}}/state
admin: {socket: {{.Dir}}/admin/admin.sock}
trust_stores:
  clients:
    ca_bundle: {file: {{.PKI}}/` + rootFile + `}
    crls: [{file: {{.PKI}}/` + rootCRLFile + `}, {file: {{.PKI}}/` + issuingCRLFile + `}]
certificates:
  - {name: server, file: {cert: {{.PKI}}/` + serverCertFile + `, key: {{.PKI}}/` + serverKeyFile + `}}
target_groups:
  backend: {targets: ["http://{{.Backend}}"]}
listeners:
  bench:
    address: "{{.Address}}"
    mutual_authentication: {mode: verify, trust_store: clients}
    attributes: {http2: true}
    limits: {connections_per_address: 10000}
    default_action: {forward: backend}
`))

// startSallyport starts Sallyport and returns when it says that it is ready.
func (b *bench) startSallyport(ctx context.Context) (*server, error) {
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(b.dir, "sallyport")
	if err := os.MkdirAll(filepath.Join(dir, "admin"), 0o700); err != nil {
		return nil, err
	}
	var config bytes.Buffer
	err = sallyportConfig.Execute(&config, struct{ Dir, PKI, Backend, Address string }{dir, b.files.dir, b.address, address})
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "sallyport.yaml")
	if err := os.WriteFile(file, config.Bytes(), 0o600); err != nil {
		return nil, err
	}
	p, err := startProcess(b.dir, b.cores, b.cores.server, "sallyport", b.sallyport, "run", "-c", file)
	if err != nil {
		return nil, err
	}
	if err := b.awaitReady(ctx, p, file); err != nil {
		p.stop()
		return nil, fmt.Errorf("await sallyport's readiness: %w%s", err, p.said())
	}
	return &server{name: "Sallyport", address: address, process: p}, nil
}

// awaitReady asks Sallyport until it is ready, or has ended.
func (b *bench) awaitReady(ctx context.Context, p *process, config string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	asked := make(chan error, 1)
	go func() {
		out, err := exec.CommandContext(ctx, b.sallyport, "status", "-c", config, "--wait", patience.String()).CombinedOutput()
		if err != nil {
			err = fmt.Errorf("%w\n%s", err, bytes.TrimSpace(out))
		}
		asked <- err
	}()
	select {
	case err := <-asked:
		return err
	case <-p.done:
		cancel()
		<-asked // it has ended too
		if p.err == nil {
			return errors.New("it ended")
		}
		return fmt.Errorf("it ended: %w", p.err)
	}
}
