package config

func (v *validator) trustStore(path string, s TrustStore) {
	if s.Source == SourceAPI {
		v.filledByAPI(path, s)
		v.revocation(child(path, "revocation"), s.Revocation, s.Source, 0)
		v.trustStoreLimits(child(path, "limits"), s.Limits)
		return
	}
	v.needed(child(path, "ca_bundle"), s.CABundle.File != "" || !v.sure(child(path, "source")), "file: the name of a PEM file, or source: api")

	v.crls(child(path, "crls"), s.CRLs)
	v.revocation(child(path, "revocation"), s.Revocation, s.Source, len(s.CRLs))
	v.trustStoreLimits(child(path, "limits"), s.Limits)
}

// filledByAPI refuses the files of a store that takes none: whatever they hold
// would not be in force.
func (v *validator) filledByAPI(path string, s TrustStore) {
	for _, key := range []string{"ca_bundle", "crls"} {
		if p := child(path, key); v.c.source.wrote(p) && v.sure(p, child(path, "source")) {
			v.errorf(p, "has no meaning with source: api, which takes no files: want one or the other")
		}
	}
}

func (v *validator) revocation(path string, r Revocation, source TrustStoreSource, crls int) {
	mode, expired := child(path, "crl"), child(path, "on_expired_crl")
	v.freshness(path, r, source)
	if !v.sure(mode) {
		return
	}
	switch r.CRL {
	case CRLOff:
		if r.Scope != ScopeChain {
			v.errorf(child(path, "scope"), "%s: has no meaning with crl: off", quote(string(r.Scope)))
		}
		if r.OnExpiredCRL.Grace != 0 {
			v.errorf(child(expired, "grace"), "%v: has no meaning with crl: off", r.OnExpiredCRL.Grace)
		}
		if r.OnExpiredCRL.Then != ThenDeny {
			v.errorf(child(expired, "then"), "%s: has no meaning with crl: off", quote(string(r.OnExpiredCRL.Then)))
		}
		if crls > 0 {
			v.warnf(mode, "off: the lists under crls are not looked at")
		}
	case CRLRequire:
		if source != SourceAPI && crls == 0 && len(r.DistributionPoints) == 0 && v.sure(child(parent(path), "crls")) {
			v.warnf(mode, "require: without crls every client is refused")
		}
	}
}

func (v *validator) trustStoreLimits(path string, l TrustStoreLimits) {
	positive(v, child(path, "ca_certificates"), l.CACertificates, "a number")
	positive(v, child(path, "ca_certificate_size"), l.CACertificateSize, "a size")
	positive(v, child(path, "subjects_size"), l.SubjectsSize, "a size")
	positive(v, child(path, "crl_size"), l.CRLSize, "a size")
	positive(v, child(path, "crl_entries"), l.CRLEntries, "a number")
}
