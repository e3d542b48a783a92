// Package config is the edge's configuration: one immutable value whose types
// are its manual. The YAML file is one source of it.
//
// Unless a field says otherwise, a change applies at the next reload (SIGHUP or
// "sallyport reload") to new connections and to new requests on open ones.
// Names (of listeners, trust stores, target groups, certificates, security
// policies, plugins) follow ALB: letters, digits and single hyphens inside, 1 to 32 long.
// Relative file names are taken from the configuration file's directory.
package config

// Config is a whole configuration. A loaded Config is never changed again;
// any number of goroutines may read it.
type Config struct {
	// StateDir is where the edge keeps what must survive a restart. It is made
	// with mode 0700 if it is missing, and refused if others can read or write
	// it. Default /var/lib/sallyport. Applies at start only.
	StateDir string `yaml:"state_dir"`

	// User is whom an edge that is started as root becomes, by name or number,
	// before it opens anything: with no capabilities but CAP_NET_BIND_SERVICE and,
	// where the configuration wants XDP, CAP_BPF and CAP_NET_ADMIN. It must be able
	// to read every file that the configuration names; the state directory and that
	// of the admin socket are made for it where they are missing. Started by
	// anybody else, the edge must be that user already. Default: who starts it.
	// Applies at start only.
	User string `yaml:"user"`

	// Admin says where the running edge is spoken to. Applies at start only.
	Admin Admin `yaml:"admin"`

	// LoadBalancer is what logs in ALB's formats call this edge.
	LoadBalancer LoadBalancer `yaml:"load_balancer"`

	// Logs says where connections, requests and health checks are logged.
	Logs Logs `yaml:"logs"`

	// Tracing says where OpenTelemetry spans are sent.
	Tracing Tracing `yaml:"tracing"`

	// SecurityPolicies are TLS policies of your own, by name, beside those of
	// ALB, which are built in under their AWS names; only those begin with
	// ELBSecurityPolicy-. Default none.
	SecurityPolicies map[string]SecurityPolicy `yaml:"security_policies"`

	// TrustStores are the CAs, with their CRLs, that clients are judged by; by
	// name. Several listeners may use one. Default none.
	TrustStores map[string]TrustStore `yaml:"trust_stores"`

	// Certificates are what the edge shows to its clients. The first one listed
	// is the default of every listener that names none. Default none.
	Certificates []Certificate `yaml:"certificates"`

	// TargetGroups are the services behind the edge, by name. Default none.
	TargetGroups map[string]TargetGroup `yaml:"target_groups"`

	// Listeners are the ways in, by name. Needed, at least one.
	Listeners map[string]Listener `yaml:"listeners"`

	// Plugins are programs of your own that authorize connections and requests and
	// shape headers, by name. Listeners say which they use. Default none.
	Plugins map[string]Plugin `yaml:"plugins"`

	// Ban says whom the edge bans.
	Ban Ban `yaml:"ban"`

	source source
}

// Admin says where the running edge is spoken to.
type Admin struct {
	// Socket is the unix socket of the admin API, which can do everything: its
	// directory is made with mode 0700, and the socket has mode 0600. Default
	// /run/sallyport/admin.sock.
	Socket string `yaml:"socket"`

	// Metrics is the TCP address, HOST:PORT or :PORT, that serves /metrics to
	// Prometheus and nothing else. A host is an IP address. Default none.
	Metrics string `yaml:"metrics"`

	// Listener serves the status page to operators with a client certificate. A
	// change applies at a reload.
	Listener AdminListener `yaml:"listener"`
}

// LoadBalancer is what logs in ALB's formats call this edge. The elb field
// prints app/NAME/ID, and ARNs carry the account and region.
type LoadBalancer struct {
	// Name of the edge. Default sallyport.
	Name string `yaml:"name"`
	// ID of the edge, 16 hex digits. Default 0000000000000000.
	ID string `yaml:"id"`
	// Account in ARNs, 12 digits. Default 000000000000.
	Account string `yaml:"account"`
	// Region in ARNs. Default local.
	Region string `yaml:"region"`
}

// SecurityPolicy is what a TLS listener offers. What Go's crypto/tls cannot
// keep to is refused: it neither orders suites nor leaves out one of TLS 1.3's.
type SecurityPolicy struct {
	// Protocols are the versions offered, without a gap: TLSv1.0, TLSv1.1,
	// TLSv1.2, TLSv1.3. Needed.
	Protocols []string `yaml:"protocols"`
	// CipherSuites for TLS 1.2 and below, by their OpenSSL names. Needed unless
	// TLSv1.3 is the only protocol; TLS 1.3's three are then always offered.
	CipherSuites []string `yaml:"cipher_suites"`
	// Groups of the key exchange: X25519, P-256, P-384, P-521, X25519MLKEM768,
	// SecP256r1MLKEM768, SecP384r1MLKEM1024. Default all of them.
	Groups []string `yaml:"groups"`
}

// TargetGroup is a service: targets that requests go to in turn.
type TargetGroup struct {
	// Targets are URLs of scheme, host and port only: http://10.0.0.5:8080, or
	// https:// for TLS to the target; without a port, 80 or 443. Needed.
	Targets []string `yaml:"targets"`
	// ProtocolVersion spoken to targets: http1, http2 (over TLS by ALPN, else with
	// prior knowledge), or grpc, which is http2 for gRPC requests only: POST by
	// HTTP/2 with a content type of application/grpc; any other request gets 464,
	// and so no listener without HTTP/2 may forward to it. WebSockets need http1.
	// Default http1.
	ProtocolVersion ProtocolVersion `yaml:"protocol_version"`
	// HTTPS is how targets with https:// are authenticated.
	HTTPS TargetTLS `yaml:"https"`
	// Timeouts of the way to a target.
	Timeouts TargetTimeouts `yaml:"timeouts"`
	// HealthCheck says how it is found out which targets may have requests.
	HealthCheck HealthCheck `yaml:"health_check"`
}

// TargetTLS is how https:// targets are authenticated. They always are.
type TargetTLS struct {
	// CA is a PEM file of the CAs that may vouch for a target. Default: the
	// system's.
	CA string `yaml:"ca"`
	// ServerName is the name a target must prove, sent as SNI. Default: the host
	// in the target's URL.
	ServerName string `yaml:"server_name"`
	// Certificate, by its name under certificates, that the edge shows to a
	// target that asks. Default none.
	Certificate string `yaml:"certificate"`
}

// TargetTimeouts bound the way to a target.
type TargetTimeouts struct {
	// Connect bounds connecting, TLS included; beyond it the client gets 504.
	// Default 2s.
	Connect Duration `yaml:"connect"`
	// Response bounds the wait for the response's head once the request is sent;
	// beyond it the client gets 504. Default 60s.
	Response Duration `yaml:"response"`
	// Idle is how long an unused connection to a target is kept. Default 60s.
	Idle Duration `yaml:"idle"`
}

// Listener is a way in.
type Listener struct {
	// Address is HOST:PORT or :PORT, or a list of such. A host is an IP address;
	// port 0 lets the kernel pick one. The host may be a prefix and the port a
	// range, 203.0.113.0/24:8000-8999: then the kernel steers what comes there to
	// one socket, and of addresses that overlap the most specific wins, by the
	// longer prefix, then by fewer ports. Needed.
	Address Addresses `yaml:"address"`

	// Protocol is https, or http for redirects and the like: there no client
	// ever has an identity. Default https.
	Protocol Protocol `yaml:"protocol"`

	// Certificates are names from the certificates section. Default all of them.
	// The first is the default certificate, shown for a server name that none
	// is for.
	Certificates []string `yaml:"certificates"`

	// UnknownServerName is what a client gets that names a server no
	// certificate is for: default_certificate, or refuse. A client that names
	// none gets the default certificate in any case. Default
	// default_certificate.
	UnknownServerName UnknownServerName `yaml:"unknown_server_name"`

	// SecurityPolicy is ALB's or your own. Default
	// ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09.
	SecurityPolicy string `yaml:"security_policy"`

	// MutualAuthentication says how clients are judged.
	MutualAuthentication MutualAuthentication `yaml:"mutual_authentication"`

	// Hosts are judged otherwise than the listener's mutual_authentication says,
	// by the server name (SNI) that the client asks for: an exact name, or one
	// with * as the whole first label, of which the exact one counts. A request
	// whose Host is judged otherwise than its connection was is answered 421.
	// Default none.
	Hosts map[string]Host `yaml:"hosts"`

	// ProxyProtocol says from where a PROXY protocol header (v1 or v2) is taken,
	// which then names the client. From anywhere else it is refused. Default none.
	ProxyProtocol ProxyProtocol `yaml:"proxy_protocol"`

	// SessionTickets let clients resume a TLS session: on or off. What a full
	// handshake checks of the client is checked on resumption too. Default on.
	// Applies to new connections.
	SessionTickets OnOff `yaml:"session_tickets"`

	// IdentityHeaders say what of the client's certificate a target is told.
	IdentityHeaders IdentityHeaders `yaml:"identity_headers"`

	// Attributes are ALB's, of the HTTP side.
	Attributes Attributes `yaml:"attributes"`

	// Tracing is what it does about traces that clients have begun.
	Tracing ListenerTracing `yaml:"tracing"`

	// Timeouts of the client's side.
	Timeouts Timeouts `yaml:"timeouts"`

	// Limits of the client's side. Applies to new connections.
	Limits Limits `yaml:"limits"`

	// Plugins are asked about this listener's connections and requests, in this
	// order, by their names under plugins. The first that denies ends the asking.
	// Default none.
	Plugins []string `yaml:"plugins"`

	// DefaultAction is what becomes of a request. Needed.
	DefaultAction Action `yaml:"default_action"`
}

// MutualAuthentication says how clients are judged. What is for mode verify is
// an error in any other, and on a listener with protocol http.
type MutualAuthentication struct {
	// Mode is off (clients are not asked), passthrough (a certificate is asked
	// for and must be presented; the chain is handed to the target unjudged),
	// verify, or optional (a client without a certificate is let in as nobody; a
	// certificate that is presented is judged as in verify, and one that fails
	// is refused). Default off.
	Mode Mode `yaml:"mode"`

	// TrustStore that clients are judged by, from the trust_stores section.
	// Needed in the modes verify and optional, an error in any other.
	TrustStore string `yaml:"trust_store"`

	// IgnoreClientCertificateExpiry lets in clients whose own certificate or an
	// intermediate of it is past its notAfter. Never one before its notBefore.
	// Default false.
	IgnoreClientCertificateExpiry bool `yaml:"ignore_client_certificate_expiry"`

	// AdvertiseTrustStoreCANames sends the subjects of the trust store's CAs in
	// the handshake, by which clients pick a certificate: on or off. Default off.
	AdvertiseTrustStoreCANames OnOff `yaml:"advertise_trust_store_ca_names"`

	// MaxChainDepth is how many certificates a client may present, 1 to 16.
	// Default 4.
	MaxChainDepth int `yaml:"max_chain_depth"`

	// CertificateRules is alb, or strict, which also requires the extended key
	// usage clientAuth, the key usage digitalSignature, a leaf that is no CA, and
	// serial numbers as in RFC 5280, section 4.1.2.2. Default alb.
	CertificateRules CertificateRules `yaml:"certificate_rules"`

	// AllowEd25519 admits Ed25519 keys, which ALB does not. Default false.
	AllowEd25519 bool `yaml:"allow_ed25519"`

	// IdentityFilters say whom to let in of those that the trust store vouches
	// for.
	IdentityFilters IdentityFilters `yaml:"identity_filters"`
}

// Host is a server name that is judged in its own way.
type Host struct {
	// MutualAuthentication takes the place of the listener's, whole: what is not
	// written here has its default, not the listener's value. Needed.
	MutualAuthentication MutualAuthentication `yaml:"mutual_authentication"`
}

// ProxyProtocol says from where a PROXY protocol header is taken.
type ProxyProtocol struct {
	// From are the networks of the proxies in front of the edge, as CIDR. A
	// connection from there must begin with a header; one from elsewhere that
	// does is refused, both with ProxyProtocolError. The header must be complete
	// within limits.handshake_timeout. Default none.
	From []Network `yaml:"from"`
}

// IdentityHeaders say what of the client's certificate a target is told. Every
// such header that a client sends is stripped, on every listener, whether or
// not it is set here.
type IdentityHeaders struct {
	// Presets of headers to send, one or several: alb, xfcc (Envoy's
	// X-Forwarded-Client-Cert) and rfc9440 (Client-Cert and Client-Cert-Chain).
	// Clients of mode passthrough, whom nobody has verified, are for alb alone: a
	// listener or host of that mode takes no other preset. An empty list sends
	// none. Default [alb].
	Presets []HeaderPreset `yaml:"presets"`

	// XFCCDetails are the elements that X-Forwarded-Client-Cert has behind By and
	// Hash: cert, chain, subject, uri, dns. Default: cert, subject, uri and dns.
	XFCCDetails []XFCCDetail `yaml:"xfcc_details"`

	// Rename gives a header another name, one that means nothing in HTTP already;
	// keys are those of Omit. Default none.
	Rename map[HeaderKey]string `yaml:"rename"`

	// Omit leaves headers out. Of alb: serial_number, issuer, subject, validity,
	// leaf (mode verify), clientcert (mode passthrough), tls_version,
	// tls_cipher_suite. Of xfcc: xfcc. Of rfc9440: client_cert_chain, and
	// client_cert, without which there is no chain either. Default none.
	Omit []HeaderKey `yaml:"omit"`

	// MaxSize of one header's value; a longer one is left out, and NAME-Too-Large:
	// 1 is sent in its place. A certificate is never cut. Default 16KiB.
	MaxSize Size `yaml:"max_size"`
}

// Attributes are those of ALB's attributes that are about HTTP.
type Attributes struct {
	// XFFHeaderProcessing is append (add the client's address to a client's own
	// X-Forwarded-For), preserve (pass that on as it came), or remove. Default
	// append.
	XFFHeaderProcessing XFFMode `yaml:"xff_header_processing"`

	// XFFClientPort adds the client's port to what append writes. Default false.
	XFFClientPort bool `yaml:"xff_client_port"`

	// TLSVersionAndCipherSuite sends X-Amzn-Tls-Version and
	// X-Amzn-Tls-Cipher-Suite to targets. Default false.
	TLSVersionAndCipherSuite bool `yaml:"x_amzn_tls_version_and_cipher_suite"`

	// DesyncMitigationMode is which HTTP/1.1 requests are refused for not saying
	// clearly where they end or whom they are for: monitor (only what has no single
	// reading), defensive (also what servers are known to read differently) or
	// strictest (all but what is RFC 9112's to the letter). What a target gets is
	// written anew in any mode. Default defensive.
	DesyncMitigationMode DesyncMode `yaml:"desync_mitigation_mode"`

	// Response says which fields every response to a client has.
	Response ResponseAttributes `yaml:"response"`

	// HTTP2 offers h2 beside http/1.1. Default true. Applies to new connections.
	HTTP2 bool `yaml:"http2"`
}

// Timeouts bound the client's side.
type Timeouts struct {
	// Idle ends a connection on which nothing moves: between requests, within a
	// body, or in a WebSocket. Default 60s.
	Idle Duration `yaml:"idle"`
	// RequestHead bounds the reading of a request's head, from its first byte.
	// Default 10s.
	RequestHead Duration `yaml:"request_head"`
	// MaxConnectionAge ends a connection this long after its handshake: requests
	// under way may finish within a second. 0s is no limit. Default 0s. Applies
	// to new connections.
	MaxConnectionAge Duration `yaml:"max_connection_age"`
	// Drain is how long requests may go on once their connection is to end,
	// before it is cut. Default 30s.
	Drain Duration `yaml:"drain"`
}

// Limits bound what clients of a listener may take up.
type Limits struct {
	// HandshakeTimeout runs from the accepted connection to the end of the TLS
	// handshake. Default 5s.
	HandshakeTimeout Duration `yaml:"handshake_timeout"`
	// Connections open at once. Default 100000.
	Connections int `yaml:"connections"`
	// ConnectionsPerAddress open at once from one IPv4 address, or from one IPv6 /64:
	// whoever has one address of it has them all. Default 1000.
	ConnectionsPerAddress int `yaml:"connections_per_address"`
	// Handshakes worked on at once; one beyond it waits its turn within
	// HandshakeTimeout. One that waits for its client takes up no turn. Default
	// 1000.
	Handshakes int `yaml:"handshakes"`
	// ClientCertificate bounds the sum of the certificates a client presents, as
	// DER; at most 256KiB. Default 64KiB.
	ClientCertificate Size `yaml:"client_certificate"`
}

// Action is what becomes of a request: exactly one of its fields.
type Action struct {
	// Forward names a target group. Default none.
	Forward string `yaml:"forward"`
	// FixedResponse answers at the edge. Default none.
	FixedResponse *FixedResponse `yaml:"fixed_response"`
	// Redirect sends the client elsewhere. Default none.
	Redirect *Redirect `yaml:"redirect"`
}

// FixedResponse is an answer of the edge's own.
type FixedResponse struct {
	// StatusCode is from 200 to 299 or from 400 to 599. Needed.
	StatusCode int `yaml:"status_code"`
	// ContentType is text/plain, text/css, text/html, application/javascript or
	// application/json. Default text/plain.
	ContentType string `yaml:"content_type"`
	// MessageBody, at most 1024 bytes. Default empty.
	MessageBody string `yaml:"message_body"`
}

// Redirect sends the client elsewhere, to a URL that differs in protocol, host,
// port or path. Host, path and query may use #{protocol}, #{host}, #{port},
// #{path} (without its leading /) and #{query} of the request, in quotes, as #
// begins a comment in YAML.
type Redirect struct {
	// Protocol is HTTP or HTTPS; never HTTP on a listener with protocol https.
	// Default #{protocol}.
	Protocol string `yaml:"protocol"`
	// Host of the new URL. Default #{host}.
	Host string `yaml:"host"`
	// Port of the new URL. Default #{port}.
	Port string `yaml:"port"`
	// Path of the new URL, with its leading /. Default /#{path}.
	Path string `yaml:"path"`
	// Query of the new URL, without its ?. Default #{query}.
	Query string `yaml:"query"`
	// StatusCode is HTTP_301 or HTTP_302. Needed.
	StatusCode string `yaml:"status_code"`
}
