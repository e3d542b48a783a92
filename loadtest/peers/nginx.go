package peers

import (
	"context"
	"regexp"
)

// nginx answers a refused client with status 400, once the handshake is done.
//
// keepalive_requests lift limits of 1000, which would mix handshakes into the
// other windows. A megabyte must not go through a temporary file, and passes
// through buffers larger than the default.
var nginx = &kind{
	name: "nginx",
	find: findNginx,
	file: "nginx.conf",
	log:  "access.log",
	args: func(binary string, s site, config string) []string {
		return []string{binary, "-p", s.Dir, "-e", "stderr", "-c", config}
	},
	config: configuration(`{{if .Root}}user root;
{{end}}daemon off;
worker_processes 1;
worker_rlimit_nofile 16384;
pid {{.Dir}}/nginx.pid;
error_log stderr warn;
events { worker_connections 8192; }
http {
    access_log {{.Dir}}/access.log;
    client_body_temp_path {{.Dir}}/body;
    proxy_temp_path {{.Dir}}/proxy;
    fastcgi_temp_path {{.Dir}}/fastcgi;
    uwsgi_temp_path {{.Dir}}/uwsgi;
    scgi_temp_path {{.Dir}}/scgi;
    upstream target {
        server {{.Target}};
        keepalive 256;
        keepalive_requests 1000000000;
    }
    server {
        listen {{.Address}} ssl http2 backlog=4096;
        server_name localhost;
        keepalive_requests 1000000000;
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_ecdh_curve X25519;
        ssl_session_tickets on;
        ssl_session_timeout 1h;
        ssl_certificate {{.PKI}}/` + serverCertFile + `;
        ssl_certificate_key {{.PKI}}/` + serverKeyFile + `;
        ssl_client_certificate {{.PKI}}/` + rootFile + `;
        ssl_crl {{.PKI}}/` + allCRLsFile + `;
        ssl_verify_client on;
        ssl_verify_depth 2;
        location / {
            proxy_pass http://target;
            proxy_http_version 1.1;
            proxy_buffer_size 64k;
            proxy_buffers 8 64k;
            proxy_busy_buffers_size 128k;
            proxy_max_temp_file_size 0;
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
`),
}

func findNginx(ctx context.Context, _ *Options) (program, error) {
	binary, err := lookUp("nginx")
	if err != nil {
		return program{}, err
	}
	said, err := ask(ctx, binary, "-V")
	return program{binary: binary, version: nginxVersion(said)}, err
}

var (
	nginxNumber  = regexp.MustCompile(`nginx version: nginx/(\S+)`)
	nginxLibrary = regexp.MustCompile(`(?:built|running) with ([A-Za-z-]+ [0-9][\w.-]*)`)
)

// nginxVersion reads what nginx -V says.
func nginxVersion(said string) string {
	version := "of unknown version"
	if m := nginxNumber.FindStringSubmatch(said); m != nil {
		version = m[1]
	}
	// "running with" comes second, and only where the two differ.
	if all := nginxLibrary.FindAllStringSubmatch(said, -1); all != nil {
		version += ", " + all[len(all)-1][1]
	}
	return version
}
