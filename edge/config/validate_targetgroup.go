package config

import (
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

func (v *validator) targetGroup(path string, g TargetGroup) {
	targets := child(path, "targets")
	v.needed(targets, len(g.Targets) > 0, "at least one URL such as http://10.0.0.5:8080")
	urls := make([]string, len(g.Targets))
	https := false
	for i, target := range g.Targets {
		if !v.sure(item(targets, i)) {
			continue
		}
		scheme, key, want := targetURL(target)
		if want != "" {
			v.errorf(item(targets, i), "%s: want %s", quote(target), want)
		}
		urls[i] = key
		https = https || scheme == "https"
	}
	for i, key := range urls {
		for j := range i {
			if key != "" && key == urls[j] {
				v.errorf(item(targets, i), "%s: is the same as item %d", quote(g.Targets[i]), j)
				break
			}
		}
	}

	health := child(path, "health_check")
	https = https || g.HealthCheck.Enabled && g.HealthCheck.Protocol == HTTPS
	v.targetTLS(child(path, "https"), g.HTTPS, https || !v.sure(targets, health))
	v.healthCheck(health, g)

	timeouts := child(path, "timeouts")
	positive(v, child(timeouts, "connect"), g.Timeouts.Connect, "a duration")
	positive(v, child(timeouts, "response"), g.Timeouts.Response, "a duration")
	positive(v, child(timeouts, "idle"), g.Timeouts.Idle, "a duration")
}

// protocolVersion says whether clients of l can speak what the group needs.
func (v *validator) protocolVersion(path, group string, l Listener) {
	if v.c.TargetGroups[group].ProtocolVersion != GRPC {
		return
	}
	switch {
	case l.Protocol == HTTP:
		v.errorf(path, "%s: protocol_version grpc needs clients of HTTP/2, which a listener with protocol http has none of", quote(group))
	case !l.Attributes.HTTP2:
		v.errorf(path, "%s: protocol_version grpc needs clients of HTTP/2: want attributes.http2 true", quote(group))
	}
}

func (v *validator) targetTLS(path string, t TargetTLS, https bool) {
	if v.c.source.wrote(path) && !https {
		v.errorf(path, "has no meaning, as no target begins with https://")
	}
	if t.ServerName != "" {
		if _, err := netip.ParseAddr(t.ServerName); err != nil && !isHost(strings.ToLower(t.ServerName)) {
			v.errorf(child(path, "server_name"), "%s: want a DNS name or an IP address", quote(t.ServerName))
		}
	}
	if t.Certificate != "" {
		v.among(child(path, "certificate"), "certificates", t.Certificate, v.c.certificateNames())
	}
}

// targetURL takes a target's URL apart. key is the same for URLs of the same
// target; want is what the URL should be, or "".
func targetURL(target string) (scheme, key, want string) {
	const form = "http:// or https://, a host and a port only, such as http://10.0.0.5:8080"
	u, err := url.Parse(target)
	if err != nil || u.Opaque != "" || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", "", form
	}
	if u.User != nil || u.Path != "" || u.RawQuery != "" || u.ForceQuery || strings.Contains(target, "#") {
		return u.Scheme, "", form
	}
	host := strings.ToLower(u.Hostname())
	if ip, err := netip.ParseAddr(host); err == nil {
		host = ip.Unmap().String()
	} else if !isHost(host) {
		return u.Scheme, "", "a DNS name or an IP address for the host"
	}
	port := u.Port()
	switch {
	case strings.HasSuffix(u.Host, ":"):
		return u.Scheme, "", "a port behind the colon"
	case port == "" && u.Scheme == "https":
		port = "443"
	case port == "":
		port = "80"
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || strconv.FormatUint(n, 10) != port {
		return u.Scheme, "", "a port from 1 to 65535"
	}
	return u.Scheme, u.Scheme + "://" + host + ":" + port, ""
}
