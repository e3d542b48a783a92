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
)

// nginxConfig is nginx's: one worker, the same PKI, CRLs and identity headers.
// The two keepalive_requests lift limits of 1000, which would mix handshakes into
// the keep-alive windows. Groups, tickets and buffers are its defaults.
var nginxConfig = template.Must(template.New("nginx.conf").Parse(`{{if .Root}}user root;
{{end}}daemon off;
worker_processes 1;
pid {{.Dir}}/nginx.pid;
error_log stderr warn;
events { worker_connections 4096; }
http {
    access_log off;
    client_body_temp_path {{.Dir}}/body;
    proxy_temp_path {{.Dir}}/proxy;
    fastcgi_temp_path {{.Dir}}/fastcgi;
    uwsgi_temp_path {{.Dir}}/uwsgi;
    scgi_temp_path {{.Dir}}/scgi;
    upstream backend {
        server {{.Backend}};
        keepalive 256;
        keepalive_requests 1000000000;
    }
    server {
        listen {{.Address}} ssl;
        server_name localhost;
        keepalive_requests 1000000000;
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_certificate {{.PKI}}/` + serverCertFile + `;
        ssl_certificate_key {{.PKI}}/` + serverKeyFile + `;
        ssl_client_certificate {{.PKI}}/` + rootFile + `;
        ssl_crl {{.PKI}}/` + allCRLsFile + `;
        ssl_verify_client on;
        ssl_verify_depth 2;
        location / {
            proxy_pass http://backend;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header X-Forwarded-Port $server_port;
            proxy_set_header X-Amzn-Mtls-Clientcert-Serial-Number $ssl_client_serial;
            proxy_set_header X-Amzn-Mtls-Clientcert-Issuer $ssl_client_i_dn;
            proxy_set_header X-Amzn-Mtls-Clientcert-Subject $ssl_client_s_dn;
            proxy_set_header X-Amzn-Mtls-Clientcert-Validity "NotBefore=$ssl_client_v_start;NotAfter=$ssl_client_v_end";
            proxy_set_header X-Amzn-Mtls-Clientcert-Leaf $ssl_client_escaped_cert;
        }
    }
}
`))

// startNginx starts nginx. Where there is none it notes so, and returns nil.
func (b *bench) startNginx(ctx context.Context) (*server, error) {
	binary, err := exec.LookPath("nginx")
	if err != nil {
		// Debian puts it where few but root look.
		if binary, err = exec.LookPath("/usr/sbin/nginx"); err != nil {
			b.notes = append(b.notes, "nginx is left out: it is not installed")
			return nil, nil
		}
	}
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(b.dir, "nginx")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	var config bytes.Buffer
	err = nginxConfig.Execute(&config, struct {
		Root                       bool
		Dir, PKI, Backend, Address string
	}{os.Geteuid() == 0, dir, b.files.dir, b.address, address})
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
	p, err := startProcess(b.dir, b.cores, b.cores.server, "nginx", binary, "-p", dir, "-e", "stderr", "-c", file)
	if err != nil {
		return nil, err
	}
	if err := p.awaitListening(ctx, address); err != nil {
		p.stop()
		return nil, err
	}
	return &server{name: name, address: address, process: p}, nil
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
