package config

import "time"

// Certificate is an entry of what the edge shows to its clients: a pair of
// files, certificates that a CA issues and renews by ACME (RFC 8555), or one that
// the edge signs itself. Exactly one of file, acme and self_signed is needed.
// Entries may share a name of a host: of several a client gets the first that it
// can use, so an ECDSA and an RSA certificate go side by side.
type Certificate struct {
	// Name, as listeners and logs call it. Needed.
	Name string `yaml:"name"`
	// Hosts are the server names it is for: exact, or with * as the whole first
	// label. Those of a file must be covered by its certificate, and with acme each
	// gets a certificate of its own; needed there without on_demand, and with
	// self_signed. Default: the DNS names in the file's certificate.
	Hosts []string `yaml:"hosts"`
	// File is where it is read from; read again within a second of a change.
	File KeyPair `yaml:"file"`
	// ACME says which CA issues it, and how. Default none.
	ACME *ACME `yaml:"acme"`
	// SelfSigned makes the edge sign it itself, for development: no client trusts
	// it, and the log and status say so. Default false.
	SelfSigned bool `yaml:"self_signed"`
}

// KeyPair names a certificate and its private key.
type KeyPair struct {
	// Cert is a PEM file: the leaf first, then its chain. Needed.
	Cert string `yaml:"cert"`
	// Key is a PEM file: PKCS #8, PKCS #1 or SEC 1, not encrypted. Needed.
	Key string `yaml:"key"`
}

// ACME says how a CA is asked for certificates. Whoever writes it agrees to the
// terms of service of the CAs named. Certificates and keys are kept in state_dir;
// what is there serves at once after a start, whether or not a CA can be reached.
// A certificate is renewed when a third of its life is left (half, if that is
// less than ten days), or when the CA says so (RFC 9773).
type ACME struct {
	// Directory is the URL of the CA's directory. Default
	// https://acme-v02.api.letsencrypt.org/directory.
	Directory string `yaml:"directory"`
	// Email is where the CA may write to. Default none.
	Email string `yaml:"email"`
	// CAFile is a PEM file of the CAs that may vouch for the directory's own TLS.
	// Default: the system's.
	CAFile string `yaml:"ca_file"`
	// EAB binds the account to one that the CA knows already.
	EAB EAB `yaml:"eab"`
	// Profile of certificates that the CA is to issue, by the CA's name for it.
	// Default: whichever the CA takes.
	Profile string `yaml:"profile"`
	// Fallback are CAs that are tried in this order when those before them fail.
	// Default none.
	Fallback []ACMECA `yaml:"fallback"`
	// KeyType is ecdsa-p256, ecdsa-p384, rsa-2048 or rsa-4096. Every certificate
	// has a key of its own. Default ecdsa-p256.
	KeyType KeyType `yaml:"key_type"`
	// Challenges are how the CA may check that the host is ours, tried in this
	// order: tls-alpn-01 (on port 443 of the host, where a listener with protocol
	// https must be reached), http-01 (port 80, protocol http), dns-01 (by the
	// command under dns; the only one for wildcards). Default: dns-01 where dns is
	// written, else tls-alpn-01.
	Challenges []ACMEChallenge `yaml:"challenges"`
	// DNS says how records for dns-01 are made.
	DNS ACMEDNS `yaml:"dns"`
	// OnDemand has certificates issued for names that clients ask for and no entry
	// has. Default none.
	OnDemand *OnDemand `yaml:"on_demand"`
}

// ACMECA is a CA that is tried when others fail.
type ACMECA struct {
	// Directory is the URL of the CA's directory. Needed.
	Directory string `yaml:"directory"`
	// CAFile is a PEM file of the CAs that may vouch for the directory's own TLS.
	// Default: the system's.
	CAFile string `yaml:"ca_file"`
	// EAB binds the account to one that the CA knows already.
	EAB EAB `yaml:"eab"`
	// Profile of certificates that the CA is to issue. Default: whichever the CA
	// takes.
	Profile string `yaml:"profile"`
}

// EAB is an external account binding (RFC 8555, section 7.3.4): both of its
// fields, or none.
type EAB struct {
	// KeyID is what the CA calls the account. Default none.
	KeyID string `yaml:"key_id"`
	// HMACFile holds the account's MAC key, in base64url as CAs hand it out.
	// Default none.
	HMACFile string `yaml:"hmac_file"`
}

// ACMEDNS makes TXT records by a command of your own, for dns-01.
type ACMEDNS struct {
	// Exec is a program and its arguments. It is run with three more: present
	// or cleanup, the record's name with a dot at its end, and its value. It must
	// exit with 0 once the record is made, or gone, within a minute. It gets PATH
	// and HOME of the edge's environment and nothing else. Default none.
	Exec []string `yaml:"exec"`
	// Resolvers are DNS servers, HOST:PORT or HOST, that are asked whether a record
	// can be seen. Default: the system's, for the zone's own servers.
	Resolvers []string `yaml:"resolvers"`
	// PropagationTimeout is how long a record may take to be seen there. 0s does not
	// look. Default 2m.
	PropagationTimeout Duration `yaml:"propagation_timeout"`
}

// OnDemand has certificates issued while clients wait. A handshake waits for no
// longer than its listener's limits.handshake_timeout; the certificate is there
// for the next one. A name that is not allowed never reaches a CA: for its client
// it is an unknown server name. At least one of allow and ask is needed.
type OnDemand struct {
	// Allow are server names, exact or with * as the whole first label. Default
	// none.
	Allow []string `yaml:"allow"`
	// Ask is a URL that is asked about names that Allow does not have, by GET with
	// the parameter domain: 200 allows, anything else refuses, for a minute. A
	// status from 500, or no answer within 5s, leaves it open: no CA is asked, and the
	// client is refused until the service answers. It is asked before every order, also
	// of a renewal. Default none.
	Ask string `yaml:"ask"`
	// Rate bounds how often a CA is asked, for new names and for renewals.
	Rate OnDemandRate `yaml:"rate"`
	// MaxNames bounds the names kept. Default 1000.
	MaxNames int `yaml:"max_names"`
}

// OnDemandRate is so many orders within a time. Beyond it a client is refused, and a
// renewal waits.
type OnDemandRate struct {
	// Names that may be ordered. Default 10.
	Names int `yaml:"names"`
	// Within is the time in which they may come. Default 1m.
	Within Duration `yaml:"within"`
}

// LetsEncrypt is the directory of Let's Encrypt.
const LetsEncrypt = "https://acme-v02.api.letsencrypt.org/directory"

func (a *ACME) setDefaults() {
	a.Directory, a.KeyType = LetsEncrypt, KeyP256
	a.DNS.setDefaults()
}

func (d *ACMEDNS) setDefaults() { d.PropagationTimeout = Duration(2 * time.Minute) }

func (o *OnDemand) setDefaults() {
	o.MaxNames = 1000
	o.Rate.setDefaults()
}

func (r *OnDemandRate) setDefaults() { *r = OnDemandRate{Names: 10, Within: Duration(time.Minute)} }

// Solves returns the challenges that may be used, in order.
func (a *ACME) Solves() []ACMEChallenge {
	switch {
	case a.Challenges != nil:
		return a.Challenges
	case len(a.DNS.Exec) > 0:
		return []ACMEChallenge{ChallengeDNS}
	}
	return []ACMEChallenge{ChallengeTLSALPN}
}

// CAs returns the CAs in the order in which they are tried.
func (a *ACME) CAs() []ACMECA {
	first := ACMECA{Directory: a.Directory, CAFile: a.CAFile, EAB: a.EAB, Profile: a.Profile}
	return append([]ACMECA{first}, a.Fallback...)
}
