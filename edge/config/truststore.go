package config

// TrustStore is a set of CAs and of CRLs.
type TrustStore struct {
	// Source is file (the bundle and the CRLs are the files named here) or api
	// (they are put, added and removed by "sallyport truststore" on the running
	// edge, and kept with their versions in state_dir; before the first put every
	// client is refused with TrustStoreUnavailable). A store has one source only.
	// Default file.
	Source TrustStoreSource `yaml:"source"`

	// CABundle is a PEM file of CA certificates, roots or intermediates, each of
	// them an anchor: a path ends at the first it reaches. Read again within a
	// second of a change; a broken file leaves the old bundle in force. Needed
	// with source file, an error with any other.
	CABundle File `yaml:"ca_bundle"`

	// CRLs are certificate revocation lists, PEM (any number in a file) or DER: of
	// files, read again within a second of a change, or of URLs, kept fresh. What
	// is broken leaves the old lists in force. At a start a file has to be sound;
	// a URL that cannot be fetched has the edge start, and refuse those clients
	// who need its lists. An error with any source but file. Default none.
	CRLs []CRL `yaml:"crls"`

	// Revocation says what the CRLs decide.
	Revocation Revocation `yaml:"revocation"`

	// Limits on the bundle and the CRLs; a file beyond one is refused.
	Limits TrustStoreLimits `yaml:"limits"`
}

// File names a file to read.
type File struct {
	// File is its name. Needed.
	File string `yaml:"file"`
}

// Revocation says what CRLs decide for the clients of a trust store.
type Revocation struct {
	// CRL says which issuers must have a usable CRL: require (every one), off
	// (none: CRLs are not looked at), or auto (every issuer that a configured
	// file has ever named, remembered in state_dir until the file is taken out
	// of the configuration; with source api, every issuer that a CRL names which
	// was added and not removed). A certificate whose issuer needs one and has none
	// is refused with ClientCertCrlProcessingError. Default auto.
	CRL CRLMode `yaml:"crl"`

	// Scope is chain (every certificate below the anchor is looked up) or leaf
	// (the client's own only). Default chain.
	Scope RevocationScope `yaml:"scope"`

	// OnExpiredCRL is about certificates that a CRL past its nextUpdate does not
	// list. One that it lists is refused in any case.
	OnExpiredCRL ExpiredCRL `yaml:"on_expired_crl"`

	// DistributionPoints are hosts from which CRLs are fetched when a certificate
	// that was verified names them as its distribution point, and delta CRLs when
	// it or a CRL names them as the freshest: names, names with * as the whole
	// first label, or addresses. A certificate that names such a host needs a CRL
	// under crl: auto, and is refused until one has come. Default none.
	DistributionPoints []string `yaml:"distribution_points"`

	// OCSP is off; staple (an answer that the client sends along, in TLS 1.3 only,
	// counts where no CRL covers its certificate; without one the CRLs decide);
	// fallback (what no CRL in force covers has to be good by a staple or by its
	// responder's answer); or require (every certificate in scope has to be, beside
	// what the CRLs say). Revoked is refused with ClientCertOcspDenied in any mode
	// but off; no answer, or unknown, with ClientCertOcspProcessingError. Answers
	// are kept while they are fresh, and looked at again on resumption. Default off.
	OCSP OCSPMode `yaml:"ocsp"`

	// OCSPSoftFail lets in whom no answer could be had about, and counts it. One
	// that a responder does not know is refused all the same. Default false.
	OCSPSoftFail bool `yaml:"ocsp_soft_fail"`

	// OCSPWait is how long a handshake waits for the answer about a certificate
	// that is not known yet; then it goes on without. Default 200ms.
	OCSPWait Duration `yaml:"ocsp_wait"`

	// OCSPGrace is how long a client that is in may stay under ocsp: require when
	// no fresh good answer about it is to be had any more, after its responder was
	// asked; then its connections end. 0s is not at all. Default 10m.
	OCSPGrace Duration `yaml:"ocsp_grace"`

	// OCSPResponder is asked about all certificates, in the place of the responders
	// that they name. Default none.
	OCSPResponder string `yaml:"ocsp_responder"`

	// OCSPHosts are the hosts, written as those of distribution_points, of the
	// responders that certificates name which may be asked. Default none.
	OCSPHosts []string `yaml:"ocsp_hosts"`

	// OCSPMaxAge is how long after its thisUpdate an answer without nextUpdate
	// counts; 0s is not at all. Default 0s.
	OCSPMaxAge Duration `yaml:"ocsp_max_age"`

	// Fetch says how URLs are reached.
	Fetch Fetch `yaml:"fetch"`
}

// ExpiredCRL says what to do with a certificate that an expired CRL does not
// list.
type ExpiredCRL struct {
	// Grace is how long after nextUpdate the list still counts as fresh.
	// Default 0s.
	Grace Duration `yaml:"grace"`
	// Then is deny (ClientCertCrlProcessingError) or allow (let it in, and count
	// it in a metric). Default deny.
	Then Then `yaml:"then"`
}

// TrustStoreLimits bound what a trust store reads. Those on the bundle are ALB's
// quotas.
type TrustStoreLimits struct {
	// CACertificates in the bundle. Default 25.
	CACertificates int `yaml:"ca_certificates"`
	// CACertificateSize is the largest a certificate of it may be, as PEM.
	// Default 16KiB.
	CACertificateSize Size `yaml:"ca_certificate_size"`
	// SubjectsSize is the sum of the encoded subject names, which a listener
	// that advertises them sends in every handshake. Default 10000B.
	SubjectsSize Size `yaml:"subjects_size"`
	// CRLSize is the largest a CRL may be, in DER or, with all else in its file,
	// as PEM. Default 512MiB.
	CRLSize Size `yaml:"crl_size"`
	// CRLEntries is how many certificates a CRL may list. Default 20000000.
	CRLEntries int `yaml:"crl_entries"`
}
