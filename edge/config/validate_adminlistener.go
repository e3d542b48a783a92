package config

func (v *validator) adminListener() {
	const path = "admin.listener"
	a := v.c.Admin.Listener
	if !v.c.source.wrote(path) {
		return
	}
	address := child(path, "address")
	v.needed(address, a.On(), "HOST:PORT or :PORT")
	if _, ok := socketAddress(a.Address); a.On() && !ok {
		v.errorf(address, "%s: want HOST:PORT or :PORT, with an IP address for HOST", quote(a.Address))
	}
	certificate, store := child(path, "certificate"), child(path, "trust_store")
	if a.Certificate != "" {
		v.among(certificate, "certificates", a.Certificate, v.c.certificateNames())
	} else {
		v.needed(certificate, len(v.c.Certificates) > 0, "a name from certificates, which is empty")
	}
	v.needed(store, a.TrustStore != "", "the name of a trust store of operators' CAs")
	if a.TrustStore != "" {
		v.among(store, "trust_stores", a.TrustStore, sorted(v.c.TrustStores))
	}
	v.identityFilters(child(path, "identity_filters"), a.IdentityFilters)
}
