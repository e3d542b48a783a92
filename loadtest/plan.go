package loadtest

import (
	"crypto/tls"
	"crypto/x509"
	"time"
)

// Plan is what to run. Its zero value is no plan: Target and Scenario have to be
// set; what else is empty or zero has the default that its field names. In YAML
// the keys are those of the tags, and durations are written 500ms, 10s or 1h.
type Plan struct {
	Name string `yaml:"name,omitempty" json:"name,omitempty"` // of the run, in reports; default Target
	// Target is an https URL: host, port (default 443), path and query.
	Target string `yaml:"target" json:"target"`
	// ConfirmTarget is Target's HOST:PORT once more. Without it only what is on
	// this machine is loaded: loopback, or a test address in a network namespace
	// of its own.
	ConfirmTarget string   `yaml:"confirm_target,omitempty" json:"confirm_target,omitempty"`
	Scenario      Scenario `yaml:"scenario" json:"scenario"`

	// Protocol is what is offered and spoken; default HTTP1. Where Profile is a
	// browser's, the default is what the browser offers and the server picks.
	Protocol Protocol `yaml:"protocol,omitempty" json:"protocol,omitempty"`
	// ALPN replaces what is offered. Empty: what Protocol needs.
	ALPN []string `yaml:"alpn,omitempty" json:"alpn,omitempty"`
	// Method defaults to GET, or to POST where a body is sent.
	Method string `yaml:"method,omitempty" json:"method,omitempty"`
	// Headers are sent as well as Host, User-Agent and Content-Length, of which it
	// may replace the first two.
	Headers map[string]string `yaml:"headers,omitempty" json:"headers,omitempty"`
	// BodySize is how many bytes of body a request has.
	BodySize int64 `yaml:"body_size,omitempty" json:"body_size,omitempty"`
	// ExpectStatus is the status of a unit that is done; default 200.
	ExpectStatus int `yaml:"expect_status,omitempty" json:"expect_status,omitempty"`
	// ExpectRefusal says that the server is to refuse: a unit that it serves has
	// failed.
	ExpectRefusal bool `yaml:"expect_refusal,omitempty" json:"expect_refusal,omitempty"`

	// Certificate and Key are PEM files of the client's certificate, with its
	// intermediates after it, and of its key. Both empty: the client presents
	// none. Key empty: the key is in Certificate.
	Certificate string `yaml:"certificate,omitempty" json:"certificate,omitempty"`
	Key         string `yaml:"key,omitempty" json:"key,omitempty"`
	// Identities are many clients, used in rotation, after that of Certificate.
	Identities []Identity `yaml:"identities,omitempty" json:"identities,omitempty"`
	// IdentityFiles is a pattern (as of path.Match) of many certificates' PEM
	// files, in the order of their names. A key is in the same file, or in the one
	// that has .key for the last extension, or else it is Key, for all.
	IdentityFiles string `yaml:"identity_files,omitempty" json:"identity_files,omitempty"`
	// CA is a PEM file of what the server's certificate has to lead to; default
	// the system's roots.
	CA string `yaml:"ca,omitempty" json:"ca,omitempty"`
	// ServerName is what is sent in SNI, and what the server's certificate has to
	// be for; default Target's host. An address is not sent (RFC 6066 section 3).
	ServerName string `yaml:"server_name,omitempty" json:"server_name,omitempty"`
	// Profile is whose ClientHello to send: one of Profiles; default "go".
	Profile string `yaml:"profile,omitempty" json:"profile,omitempty"`
	// TLSVersion is the only one offered, "1.2" or "1.3"; default both. With
	// profile go only.
	TLSVersion string `yaml:"tls_version,omitempty" json:"tls_version,omitempty"`
	// Groups are the key exchange groups offered, of x25519mlkem768, x25519, p256,
	// p384 and p521; default Go's. With profile go only.
	Groups []string `yaml:"groups,omitempty" json:"groups,omitempty"`

	// Pace is when units begin; the zero value is closed loop.
	Pace Pace `yaml:"pace,omitempty" json:"pace"`
	// Connections is how many there are at once, and with them how many units;
	// default 16.
	Connections int `yaml:"connections,omitempty" json:"connections,omitempty"`
	// Streams is how many requests are under way at once on a connection of
	// HTTP/2; default 8.
	Streams int `yaml:"streams,omitempty" json:"streams,omitempty"`

	// Duration is how long units are begun for; default 10s, or unbounded up to
	// MaxDuration where Count is set. In scenario idle it is how long connections
	// are held.
	Duration time.Duration `yaml:"duration,omitempty" json:"duration,omitempty"`
	// Count is how many units to begin at most; default MaxCount. Scenario idle
	// has Connections instead.
	Count int64 `yaml:"count,omitempty" json:"count,omitempty"`
	// WarmUp is how long the same load runs before anything is measured; default
	// not at all. Scenario idle has none.
	WarmUp time.Duration `yaml:"warm_up,omitempty" json:"warm_up,omitempty"`
	// Timeout bounds a unit, from when it was begun; default 10s.
	Timeout time.Duration `yaml:"timeout,omitempty" json:"timeout,omitempty"`

	// PID is a process of this machine, the server's first: its CPU time and
	// memory, and that of all below it, are accounted. 0: none.
	PID int `yaml:"pid,omitempty" json:"pid,omitempty"`
	// Calibrate measures Result.Capacity, after the run.
	Calibrate bool `yaml:"calibrate,omitempty" json:"calibrate,omitempty"`

	// Clients are used in rotation, before any that files hold. Go callers only.
	Clients []tls.Certificate `yaml:"-" json:"-"`
	// Roots are used instead of CA. Go callers only.
	Roots *x509.CertPool `yaml:"-" json:"-"`
}

// Bounds of every run.
const (
	MaxDuration    = 24 * time.Hour
	MaxCount       = 1_000_000_000
	MaxRate        = 1_000_000 // units a second
	MaxConnections = 60_000
	MaxStreams     = 1000
	MaxBodySize    = 1 << 40
)

// Scenario is what a unit is.
type Scenario string

const (
	// Handshake connects, makes a full handshake, sends one request, reads the
	// answer and closes.
	Handshake Scenario = "handshake"
	// Resume is Handshake on a resumed session. Each of the connections has
	// a client of its own, and gets its first session before the clock runs.
	Resume Scenario = "resume"
	// Request is a request and its answer on a connection that is there already.
	Request Scenario = "request"
	// Download is Request: the name to say that the answer's body matters.
	Download Scenario = "download"
	// Upload is Request with a body, of BodySize.
	Upload Scenario = "upload"
	// Idle opens Connections connections, sends one request on each, and holds
	// them for Duration: RSSAfter of the server is with all of them open.
	Idle Scenario = "idle"
)

// Protocol is a version of HTTP.
type Protocol string

const (
	HTTP1 Protocol = "http1"
	HTTP2 Protocol = "http2"
)

// Identity is a client's certificate, with its intermediates after it, and its
// key, as PEM files. Key empty: the key is in Certificate.
type Identity struct {
	Certificate string `yaml:"certificate" json:"certificate"`
	Key         string `yaml:"key,omitempty" json:"key,omitempty"`
}
