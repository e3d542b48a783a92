package peers

import (
	"context"
	"debug/buildinfo"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
)

// caddyModule is what is built where no Caddy is given. Debian has none.
const (
	caddyPath   = "github.com/caddyserver/caddy/v2"
	caddyModule = caddyPath + "/cmd/caddy@v2.11.9"
)

// caddy knows the certificate's dates only for itself. It takes the name in Host
// for the site, and refuses it where it is not that of SNI.
var caddy = &kind{
	name:  "Caddy",
	find:  findCaddy,
	file:  "Caddyfile",
	log:   "access.log",
	mute:  []string{"Validity"},
	noCRL: "it has no CRL",
	args: func(binary string, _ site, config string) []string {
		return []string{binary, "run", "--config", config, "--adapter", "caddyfile"}
	},
	config: configuration(`{
	admin off
	auto_https off
	persist_config off
	skip_install_trust
	grace_period 1s
	storage file_system {{.Dir}}/storage
	log default {
		output stderr
		level WARN
	}
	servers {
		protocols h1 h2
	}
}

https://{{.Name}} {
	bind {{.Host}}
	tls {{.PKI}}/` + serverCertFile + ` {{.PKI}}/` + serverKeyFile + ` {
		protocols tls1.2 tls1.3
		curves x25519
		client_auth {
			mode require_and_verify
			trust_pool file {{.PKI}}/` + rootFile + `
		}
	}
	log {
		output file {{.Dir}}/access.log {
			roll_disabled
		}
	}
	reverse_proxy {{.Target}} {
		header_up X-Amzn-Mtls-Clientcert-Serial-Number {http.request.tls.client.serial}
		header_up X-Amzn-Mtls-Clientcert-Issuer {http.request.tls.client.issuer}
		header_up X-Amzn-Mtls-Clientcert-Subject {http.request.tls.client.subject}
		header_up X-Amzn-Mtls-Clientcert-Leaf {http.request.tls.client.certificate_der_base64}
		header_up -X-Amzn-Mtls-Clientcert-Validity
		transport http {
			keepalive_idle_conns_per_host 256
		}
	}
}
`),
}

// findCaddy takes the binary that is given, or the one in o.Dir, or builds that.
func findCaddy(ctx context.Context, o *Options) (program, error) {
	binary := o.Caddy
	if binary == "" {
		binary = filepath.Join(o.Dir, "caddy")
		if _, err := os.Stat(binary); err != nil {
			asked := slices.ContainsFunc(o.Peers, func(name string) bool { return strings.EqualFold(name, "Caddy") })
			if o.Quick && !asked {
				return program{}, fmt.Errorf("caddy is %w, and a quick run does not build it", errMissing)
			}
			if err := buildCaddy(ctx, o); err != nil {
				return program{}, err
			}
		}
	}
	binary, err := filepath.Abs(binary)
	if err != nil {
		return program{}, err
	}
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		return program{}, fmt.Errorf("find Caddy: %w", err)
	}
	return program{binary: binary, version: caddyVersion(info)}, nil
}

// caddyVersion is that of the module that a binary was built from, or with.
// "caddy version" does not know it where "go install" built it.
func caddyVersion(info *debug.BuildInfo) string {
	for _, module := range append([]*debug.Module{&info.Main}, info.Deps...) {
		if module.Path == caddyPath {
			return strings.TrimPrefix(module.Version, "v") + ", " + info.GoVersion
		}
	}
	return "of unknown version, " + info.GoVersion
}

func buildCaddy(ctx context.Context, o *Options) error {
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	tool, err := exec.LookPath("go")
	if err != nil {
		return fmt.Errorf("caddy is %w, nor is the go command to build it", errMissing)
	}
	fmt.Fprintf(o.Log, "building %s in %s, once; this takes minutes\n", caddyModule, dir)
	cmd := exec.CommandContext(ctx, tool, "install", caddyModule)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOBIN="+dir, "CGO_ENABLED=0", "GOFLAGS=", "GOOS=", "GOARCH=")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w\n%s", caddyModule, err, tail(out))
	}
	return nil
}
