package config

import (
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"time"
)

// crls judges where lists come from.
func (v *validator) crls(path string, crls []CRL) {
	from, files := make([]string, len(crls)), map[string]bool{}
	for i, crl := range crls {
		p := item(path, i)
		if !v.sure(p, child(p, "file"), child(p, "url")) {
			from[i] = p // like no other
			continue
		}
		switch {
		case crl.File != "" && crl.URL != "":
			v.errorf(p, "has a file and a url: want one of them")
		case crl.File == "" && crl.URL == "":
			v.errorf(p, "needed: want file: the name of a PEM or DER file, or url: where one is")
		case crl.URL != "":
			v.fetchable(child(p, "url"), crl.URL)
		case crl.CA != "":
			v.errorf(child(p, "ca"), "%s: has a meaning with url only", quote(crl.CA))
		}
		if from[i] = crl.URL; crl.File != "" {
			from[i] = crl.File
			files[crl.File] = true
		}
		if from[i] == "" {
			from[i] = p
		}
	}
	v.unique(path, from, func(name string) string {
		if files[name] {
			return filepath.Clean(v.c.ResolvePath(name))
		}
		return name
	})
}

// fetchable reports a URL that is not http or https, or has no host, or has a
// password in it.
func (v *validator) fetchable(path, text string) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		v.errorf(path, "%s: want http:// or https:// with a host", quote(text))
	case u.User != nil:
		v.errorf(path, "%s: want a URL without user name and password", quote(text))
	case u.Fragment != "":
		v.errorf(path, "%s: want a URL without #", quote(text))
	}
}

// hostPatterns reports what is neither a host's name nor an address.
func (v *validator) hostPatterns(path string, patterns []string) {
	for i, pattern := range patterns {
		_, err := netip.ParseAddr(pattern)
		if err != nil && !isHost(strings.TrimPrefix(pattern, "*.")) {
			v.errorf(item(path, i), "%s: want a host's name in lower case, which may have * as its first label, or an address", quote(pattern))
		}
	}
	v.unique(path, patterns, same)
}

// freshness judges what is fetched and who is asked.
func (v *validator) freshness(path string, r Revocation, source TrustStoreSource) {
	at := func(key string) string { return child(path, key) }
	v.hostPatterns(at("distribution_points"), r.DistributionPoints)
	v.hostPatterns(at("ocsp_hosts"), r.OCSPHosts)
	if len(r.DistributionPoints) > 0 {
		switch {
		case r.CRL == CRLOff:
			v.errorf(at("distribution_points"), "has no meaning with crl: off")
		case source == SourceAPI:
			v.errorf(at("distribution_points"), "has no meaning with source: api, which takes CRLs as they are added")
		}
	}
	if r.OCSPResponder != "" {
		v.fetchable(at("ocsp_responder"), r.OCSPResponder)
	}
	if v.sure(at("ocsp")) {
		v.ocsp(path, r)
	}
	fetch := at("fetch")
	if r.Fetch.Interval < Duration(time.Second) && v.sure(child(fetch, "interval")) {
		v.errorf(child(fetch, "interval"), "%v: want at least 1s", r.Fetch.Interval)
	}
	positive(v, child(fetch, "timeout"), r.Fetch.Timeout, "a duration")
}

func (v *validator) ocsp(path string, r Revocation) {
	at := func(key string) string { return child(path, key) }
	if r.OCSP != OCSPRequire && r.OCSPGrace != Duration(defaultOCSPGrace) && v.sure(at("ocsp_grace")) {
		v.errorf(at("ocsp_grace"), "has no meaning with ocsp: %s", r.OCSP)
	}
	if r.OCSP.Asks() {
		if r.OCSPResponder == "" && len(r.OCSPHosts) == 0 && v.sure(at("ocsp_hosts"), at("ocsp_responder")) {
			v.errorf(at("ocsp"), "%s: nobody may be asked: want ocsp_responder: a URL, or ocsp_hosts: the hosts of those that certificates name", r.OCSP)
		}
		return
	}
	for _, key := range []struct {
		name string
		set  bool
	}{
		{"ocsp_soft_fail", r.OCSPSoftFail}, {"ocsp_wait", r.OCSPWait != Duration(defaultOCSPWait)},
		{"ocsp_responder", r.OCSPResponder != ""}, {"ocsp_hosts", len(r.OCSPHosts) > 0},
	} {
		if key.set && v.sure(at(key.name)) {
			v.errorf(at(key.name), "has no meaning with ocsp: %s", r.OCSP)
		}
	}
	if r.OCSP == OCSPOff && r.OCSPMaxAge != 0 {
		v.errorf(at("ocsp_max_age"), "has no meaning with ocsp: off")
	}
}
