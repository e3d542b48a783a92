package main

// haproxyConfig is HAProxy's: one thread, and an agent at a unix socket.
var haproxyConfig = configuration(`global
    nbthread 1
    noreuseport
    maxconn 4096
    ssl-default-bind-options ssl-min-ver TLSv1.2

defaults
    mode http
    timeout connect 2s
    timeout client 60s
    timeout server 60s

frontend edge
    bind {{.Address}} ssl crt {{.PKI}}/` + serverBothFile + ` ca-file {{.PKI}}/` + caFile + ` verify required alpn http/1.1
    http-request del-header ` + unitHeader + `
{{- if .Decides}}
    filter spoe engine policy config {{.Dir}}/` + spoeFile + `
    http-request deny deny_status 503 unless { var(txn.policy.admitted) -m found }
    http-request deny deny_status 403 unless { var(txn.policy.admitted) -m int 1 }
    http-request set-header ` + unitHeader + ` %[var(txn.policy.unit)]
{{- end}}
    default_backend target

backend target
    http-reuse always
    server target {{.Target}}
{{- if .Decides}}

backend agents
    mode tcp
    timeout server 3m
    server agent unix@{{.Socket}}
{{- end}}
`)

const spoeFile = "spoe.cfg"

var spoeConfig = configuration(`[policy]
spoe-agent policy
    messages decide
    option var-prefix policy
    timeout hello 2s
    timeout idle 2m
    timeout processing ` + deadline.String() + `
    use-backend agents

spoe-message decide
    args unit=ssl_c_s_dn(OU)
    event on-frontend-http-request
`)

func noHAProxy(*bench) string {
	if find("haproxy") == "" {
		return "HAProxy is not installed (Debian: haproxy)"
	}
	return ""
}

func haproxyCommand(decides bool) func(*bench, site) ([]string, error) {
	return func(_ *bench, s site) ([]string, error) {
		s.Decides = decides
		if _, err := s.write(spoeFile, spoeConfig, s); err != nil {
			return nil, err
		}
		file, err := s.write("haproxy.cfg", haproxyConfig, s)
		args := []string{find("haproxy"), "-db", "-f", file}
		if err != nil || !decides {
			return args, err
		}
		return self(roleAgent, append([]string{s.Socket()}, args...)...)
	}
}
