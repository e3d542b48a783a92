package main

// nginxConfig is nginx's: one worker, and a subrequest to an HTTP server at a unix
// socket, by connections that are kept, without the client's own headers.
var nginxConfig = configuration(`{{if .Root}}user root;
{{end}}daemon off;
worker_processes 1;
pid {{.Dir}}/nginx.pid;
error_log stderr error;
events { worker_connections 4096; }
http {
    access_log off;
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
{{- if .Decides}}
    upstream decider {
        server unix:{{.Socket}};
        keepalive 256;
        keepalive_requests 1000000000;
    }
    map $ssl_client_s_dn $client_unit { "~(?:^|,)OU=(?<ou>[^,]*)" $ou; }
{{- end}}
    server {
        listen {{.Address}} ssl;
        server_name localhost;
        keepalive_requests 1000000000;
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_certificate {{.PKI}}/` + serverCertFile + `;
        ssl_certificate_key {{.PKI}}/` + serverKeyFile + `;
        ssl_client_certificate {{.PKI}}/` + caFile + `;
        ssl_verify_client on;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        location / {
{{- if .Decides}}
            auth_request /decide;
            auth_request_set $unit $upstream_http_x_unit;
            proxy_set_header ` + unitHeader + ` $unit;
{{- else}}
            proxy_set_header ` + unitHeader + ` "";
{{- end}}
            proxy_set_header Connection "";
            proxy_set_header Host $host;
            proxy_pass http://target;
        }
{{- if .Decides}}
        location = /decide {
            internal;
            proxy_pass_request_body off;
            proxy_pass_request_headers off;
            proxy_set_header Connection "";
            proxy_set_header Host localhost;
            proxy_set_header ` + unitHeader + ` $client_unit;
            proxy_pass http://decider/;
        }
{{- end}}
    }
}
`)

func noNginx(*bench) string {
	if find("nginx") == "" {
		return "nginx is not installed (Debian: nginx-light)"
	}
	return ""
}

func nginxCommand(decides bool) func(*bench, site) ([]string, error) {
	return func(_ *bench, s site) ([]string, error) {
		s.Decides = decides
		file, err := s.write("nginx.conf", nginxConfig, s)
		args := []string{find("nginx"), "-p", s.Dir, "-e", "stderr", "-c", file}
		if err != nil || !decides {
			return args, err
		}
		return self(roleAuth, append([]string{s.Socket()}, args...)...)
	}
}
