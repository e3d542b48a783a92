package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"text/template"

	"github.com/sallyport/sallyport/loadtest/benchmark"
)

// nginxConfig is nginx's: one worker, the same CA and the same CRL.
var nginxConfig = template.Must(template.New("nginx.conf").Parse(`{{if .Root}}user root;
{{end}}daemon off;
worker_processes 1;
pid {{.Dir}}/nginx.pid;
error_log stderr warn;
events { worker_connections 1024; }
http {
    access_log off;
    client_body_temp_path {{.Dir}}/body;
    proxy_temp_path {{.Dir}}/proxy;
    fastcgi_temp_path {{.Dir}}/fastcgi;
    uwsgi_temp_path {{.Dir}}/uwsgi;
    scgi_temp_path {{.Dir}}/scgi;
    server {
        listen {{.Address}} ssl;
        server_name localhost;
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_certificate {{.PKI}}/` + serverCertFile + `;
        ssl_certificate_key {{.PKI}}/` + serverKeyFile + `;
        ssl_client_certificate {{.PKI}}/` + caFile + `;
        ssl_crl {{.PKI}}/` + crlPEMFile + `;
        ssl_verify_client on;
        default_type text/plain;
        location / { return 200 "admitted\n"; }
    }
}
`))

// findNginx is nginx's path, empty where there is none.
func findNginx() string {
	// Debian puts it where few but root look.
	for _, name := range []string{"nginx", "/usr/sbin/nginx"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// startNginx starts nginx.
func (b *bench) startNginx(ctx context.Context, binary string) (*server, error) {
	address, err := benchmark.FreeAddress("127.0.0.1")
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(b.dir, "nginx")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	var config bytes.Buffer
	err = nginxConfig.Execute(&config, struct {
		Root              bool
		Dir, PKI, Address string
	}{os.Geteuid() == 0, dir, b.pki.dir, address})
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, config.Bytes(), 0o600); err != nil {
		return nil, err
	}
	name, err := nginxName(ctx, binary)
	if err != nil {
		return nil, err
	}
	p, err := startProcess(b.dir, "nginx", binary, "-p", dir, "-e", "stderr", "-c", file)
	if err != nil {
		return nil, err
	}
	s := &server{name: name, address: address, process: p}
	return s, b.awaitServer(ctx, s)
}

var (
	nginxVersion = regexp.MustCompile(`nginx version: nginx/(\S+)`)
	nginxLibrary = regexp.MustCompile(`(?:built|running) with ([A-Za-z-]+ [0-9][\w.-]*)`)
)

// nginxName is nginx with its version and that of the TLS library it runs with.
func nginxName(ctx context.Context, binary string) (string, error) {
	out, err := exec.CommandContext(ctx, binary, "-V").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("ask %s for its version: %w\n%s", binary, err, bytes.TrimSpace(out))
	}
	name := "nginx"
	if m := nginxVersion.FindSubmatch(out); m != nil {
		name += " " + string(m[1])
	}
	// "running with" comes second, and only where the two differ.
	if all := nginxLibrary.FindAllSubmatch(out, -1); all != nil {
		name += ", " + string(all[len(all)-1][1])
	}
	return name, nil
}
