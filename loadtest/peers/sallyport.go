package peers

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// sallyport has its defaults, but for the group, the logs, and connections per
// address: all of them come from one.
var sallyport = &kind{
	name: "Sallyport",
	find: findSallyport,
	file: "sallyport.yaml",
	log:  "access.log",
	args: func(binary string, _ site, config string) []string {
		return []string{binary, "run", "-c", config}
	},
	config: configuration(`state_dir: {{.Dir}}/state
admin: {socket: {{.Dir}}/admin/admin.sock}
logs:
  connection: {file: {{.Dir}}/connection.log}
  access: {file: {{.Dir}}/access.log}
security_policies:
  peers:
    protocols: [TLSv1.2, TLSv1.3]
    cipher_suites: [ECDHE-ECDSA-AES128-GCM-SHA256, ECDHE-ECDSA-AES256-GCM-SHA384]
    groups: [X25519]
trust_stores:
  clients:
    ca_bundle: {file: {{.PKI}}/` + rootFile + `}
    crls: [{file: {{.PKI}}/` + rootCRLFile + `}, {file: {{.PKI}}/` + issuingCRLFile + `}]
certificates:
  - {name: server, file: {cert: {{.PKI}}/` + serverCertFile + `, key: {{.PKI}}/` + serverKeyFile + `}}
target_groups:
  target: {targets: ["http://{{.Target}}"]}
listeners:
  edge:
    address: "{{.Address}}"
    security_policy: peers
    mutual_authentication: {mode: verify, trust_store: clients}
    limits: {connections_per_address: 10000}
    default_action: {forward: target}
`),
}

func findSallyport(ctx context.Context, o *Options) (program, error) {
	binary, err := filepath.Abs(o.Sallyport)
	if err != nil {
		return program{}, err
	}
	if _, err := os.Stat(binary); err != nil {
		return program{}, fmt.Errorf("find Sallyport's binary: %w", err)
	}
	said, err := ask(ctx, binary, "--version")
	fields := strings.Fields(said)
	if len(fields) == 0 {
		return program{binary: binary, version: "of unknown version"}, err
	}
	return program{binary: binary, version: fields[len(fields)-1]}, err
}
