package config

import (
	"net/netip"
	"strings"
)

func (v *validator) certificates() {
	seen := map[string]bool{}
	for i, cert := range v.c.Certificates {
		path := item("certificates", i)
		name := child(path, "name")
		switch {
		case cert.Name == "":
			v.needed(name, false, "a name")
		case !isName(cert.Name):
			v.errorf(name, "%s: want %s", quote(cert.Name), nameForm)
		case seen[cert.Name]:
			v.errorf(name, "%s: is the name of another certificate already", quote(cert.Name))
		}
		seen[cert.Name] = true

		hosts := child(path, "hosts")
		if cert.Hosts != nil && len(cert.Hosts) == 0 {
			v.errorf(hosts, "want at least one name; leave the key out for those in the certificate")
		}
		for j, host := range cert.Hosts {
			v.certificateHost(item(hosts, j), host)
		}
		v.unique(hosts, cert.Hosts, same)

		v.sources(path, cert)
	}
}

func (v *validator) certificateHost(path, host string) {
	if _, err := netip.ParseAddr(host); err == nil {
		v.errorf(path, "%s: want a DNS name, as clients name no server when they connect to an IP address", quote(host))
		return
	}
	if !isHost(strings.TrimPrefix(host, "*.")) {
		v.errorf(path, "%s: want a DNS name such as www.example.com or *.example.com", quote(host))
	}
}

func (v *validator) keyPair(path string, pair KeyPair) {
	v.needed(child(path, "cert"), pair.Cert != "", "the name of a PEM file")
	v.needed(child(path, "key"), pair.Key != "", "the name of a PEM file")
}

func (c *Config) certificateNames() []string {
	names := make([]string, 0, len(c.Certificates))
	for _, cert := range c.Certificates {
		if cert.Name != "" {
			names = append(names, cert.Name)
		}
	}
	return names
}
