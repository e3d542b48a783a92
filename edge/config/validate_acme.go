package config

import (
	"net"
	"net/mail"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// sources reports an entry that has none of the ways to come by a certificate, or
// several.
func (v *validator) sources(path string, cert Certificate) {
	file, acme := v.c.source.wrote(child(path, "file")) || cert.File != (KeyPair{}), cert.ACME != nil
	n := 0
	for _, set := range []bool{file, acme, cert.SelfSigned} {
		if set {
			n++
		}
	}
	hosts := child(path, "hosts")
	switch {
	case n == 0 && v.sure(child(path, "acme"), child(path, "file"), child(path, "self_signed")):
		v.needed(child(path, "file"), false, "cert and key, the names of two PEM files; or acme, or self_signed")
	case n > 1:
		v.errorf(path, "want exactly one of file, acme and self_signed, got %d", n)
	case cert.SelfSigned:
		v.needed(hosts, len(cert.Hosts) > 0, "the names that the certificate is to be for")
	}
	if file {
		v.keyPair(child(path, "file"), cert.File)
	}
	if acme {
		v.acme(child(path, "acme"), cert)
	}
}

func (v *validator) acme(path string, cert Certificate) {
	a := cert.ACME
	v.directory(child(path, "directory"), a.Directory)
	if a.Email != "" {
		if m, err := mail.ParseAddress(a.Email); err != nil || m.Address != a.Email {
			v.errorf(child(path, "email"), "%s: want an address such as ops@example.com", quote(a.Email))
		}
	}
	v.eab(child(path, "eab"), a.EAB)
	directories := []string{a.Directory}
	for i, ca := range a.Fallback {
		at := item(child(path, "fallback"), i)
		v.directory(child(at, "directory"), ca.Directory)
		v.eab(child(at, "eab"), ca.EAB)
		if slices.Contains(directories, ca.Directory) && ca.Directory != "" {
			v.errorf(child(at, "directory"), "%s: is tried already, before this one", quote(ca.Directory))
		}
		directories = append(directories, ca.Directory)
	}
	v.challenges(path, cert)
	if a.OnDemand != nil {
		v.onDemand(child(path, "on_demand"), a.OnDemand)
	} else {
		v.needed(child(parent(path), "hosts"), len(cert.Hosts) > 0, "the names that the CA is to be asked for")
	}
}

// directory wants https: by plain http anybody on the way could have a
// certificate for our names made for a key of theirs, or none at all.
func (v *validator) directory(path, text string) {
	if text == "" {
		v.needed(path, false, "the URL of a CA's directory")
		return
	}
	if u, err := url.Parse(text); err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.Fragment != "" {
		v.errorf(path, "%s: want a URL such as %s", quote(text), LetsEncrypt)
	}
}

func (v *validator) eab(path string, e EAB) {
	if e.KeyID == "" && e.HMACFile == "" {
		return
	}
	v.needed(child(path, "key_id"), e.KeyID != "", "what the CA calls the account")
	v.needed(child(path, "hmac_file"), e.HMACFile != "", "the name of a file with the MAC key")
}

func (v *validator) challenges(path string, cert Certificate) {
	a, challenges := cert.ACME, child(path, "challenges")
	if a.Challenges != nil && len(a.Challenges) == 0 {
		v.errorf(challenges, "want at least one; leave the key out for the default")
	}
	words := make([]string, len(a.Challenges))
	for i, c := range a.Challenges {
		words[i] = string(c)
	}
	v.unique(challenges, words, same)
	if !v.sure(challenges, child(path, "dns")) {
		return
	}
	v.dns(child(path, "dns"), a)
	byDNS := slices.Contains(a.Solves(), ChallengeDNS)
	for i, host := range cert.Hosts {
		if strings.HasPrefix(host, "*.") && !byDNS {
			v.errorf(item(child(parent(path), "hosts"), i), "%s: CAs check wildcards by dns-01 only: want dns", quote(host))
		}
	}
	// dns-01 only looks for whoever has no listener that a CA can reach.
	needs := func(challenge ACMEChallenge, protocol Protocol) {
		if !slices.Contains(a.Solves(), challenge) || !v.sure("listeners") {
			return
		}
		for _, l := range v.c.Listeners {
			if l.Protocol == protocol {
				return
			}
		}
		v.errorf(challenges, "%s: no listener has protocol %s, which the CA has to reach", challenge, protocol)
	}
	needs(ChallengeTLSALPN, HTTPS)
	needs(ChallengeHTTP, HTTP)
}

func (v *validator) dns(path string, a *ACME) {
	exec := child(path, "exec")
	if slices.Contains(a.Solves(), ChallengeDNS) {
		v.needed(exec, len(a.DNS.Exec) > 0 && a.DNS.Exec[0] != "", "a program that makes records, for dns-01")
	} else if v.c.source.wrote(path) {
		v.errorf(path, "only for dns-01, which is not among the challenges")
	}
	for i, server := range a.DNS.Resolvers {
		host, port, err := net.SplitHostPort(server)
		if err != nil {
			host, port = server, "53"
		}
		_, badPort := strconv.ParseUint(port, 10, 16)
		if _, err := netip.ParseAddr(host); badPort != nil || err != nil && !isHost(host) {
			v.errorf(item(child(path, "resolvers"), i), "%s: want HOST or HOST:PORT", quote(server))
		}
	}
}

func (v *validator) onDemand(path string, o *OnDemand) {
	if len(o.Allow) == 0 && o.Ask == "" {
		v.needed(path, !v.sure(path), "allow or ask: without a rule anybody could have certificates issued")
	}
	for i, host := range o.Allow {
		v.certificateHost(item(child(path, "allow"), i), strings.ToLower(host))
	}
	v.unique(child(path, "allow"), o.Allow, strings.ToLower)
	if o.Ask != "" {
		if u, err := url.Parse(o.Ask); err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || u.Fragment != "" {
			v.errorf(child(path, "ask"), "%s: want a URL such as http://127.0.0.1:9000/allowed", quote(o.Ask))
		}
	}
	positive(v, child(path, "max_names"), o.MaxNames, "a number")
	positive(v, child(child(path, "rate"), "names"), o.Rate.Names, "a number")
	positive(v, child(child(path, "rate"), "within"), o.Rate.Within, "a duration")
}
