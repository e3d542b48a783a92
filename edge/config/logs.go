package config

import (
	"slices"
	"strings"
	"time"
)

// Logs says where connections, requests and health checks are logged. What a log
// cannot take in time is dropped and counted, and holds nobody up. SIGHUP opens
// files anew, also when the configuration that it finds is refused.
type Logs struct {
	// Connection gets one record for every accepted connection, refused ones
	// included. Default none.
	Connection Log `yaml:"connection"`

	// Access gets one record for every request that could be read as one, which
	// names its connection by conn_trace_id. Default none.
	Access Log `yaml:"access"`

	// HealthCheck gets one record for every health check of a target. Default none.
	HealthCheck Log `yaml:"health_check"`
}

// Log is a log's place and form. It has exactly one place: file, stream or syslog.
type Log struct {
	// File is appended to, and made with mode 0600 if it is missing. Default none.
	File string `yaml:"file"`
	// Stream is stdout or stderr: the edge's own. Default none.
	Stream LogStream `yaml:"stream"`
	// Syslog is a receiver of messages of RFC 5424, one for each record. Default
	// none.
	Syslog *Syslog `yaml:"syslog"`
	// Format is alb (ALB's fields, space-separated) or json (the same names as
	// keys, and ours). Default: json for the access log, alb for the others.
	Format LogFormat `yaml:"format"`
	// Rotate has the file cut into pieces under ALB's names, below AWSLogs in its
	// folder. Without it the file grows until somebody else moves it away and sends
	// SIGHUP. Default none.
	Rotate *Rotate `yaml:"rotate"`
}

// Syslog is a receiver of messages of RFC 5424. What it does not take waits, up to
// 8 MiB, while the edge connects again every second.
type Syslog struct {
	// Address is unix:PATH of a datagram socket, udp://HOST:PORT, or
	// tcp://HOST:PORT, where every message stands behind its length (RFC 6587,
	// section 3.4.1). Default unix:/dev/log.
	Address string `yaml:"address"`
	// Facility is one of RFC 5424, section 6.2.1: user, daemon, auth, authpriv, or
	// local0 to local7. Default local0.
	Facility Facility `yaml:"facility"`
}

// Rotate says when a log's file is cut off into a piece, and what becomes of
// pieces.
type Rotate struct {
	// Size is how large the file becomes before it is cut, at least 64KiB; 0B for
	// any. Default 100MiB.
	Size Size `yaml:"size"`
	// Every is after how long a file with something in it is cut, at multiples of it
	// in UTC, at least 1m; 0s for any. Default 5m.
	Every Duration `yaml:"every"`
	// Compress is gzip, or none. Default gzip.
	Compress Compression `yaml:"compress"`
	// Keep is how long pieces are kept; 0s for ever. Default 7d.
	Keep Duration `yaml:"keep"`
	// KeepSize is how much all pieces of the log may take up together; beyond it
	// the oldest are removed. 0B for any. Default 0B.
	KeepSize Size `yaml:"keep_size"`
}

// The closed sets of words of the logs section.
type (
	LogFormat   string
	LogStream   string
	Compression string
	Facility    string
)

const (
	LogALB  LogFormat = "alb"
	LogJSON LogFormat = "json"

	StreamStdout LogStream = "stdout"
	StreamStderr LogStream = "stderr"

	CompressGzip Compression = "gzip"
	CompressNone Compression = "none"
)

func (LogFormat) words() []string   { return []string{"alb", "json"} }
func (LogStream) words() []string   { return []string{"stdout", "stderr"} }
func (Compression) words() []string { return []string{"gzip", "none"} }

func (Facility) words() []string {
	return []string{"user", "daemon", "auth", "authpriv", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7"}
}

// Number returns the facility's number of RFC 5424, section 6.2.1.
func (f Facility) Number() int {
	numbers := []int{1, 3, 4, 10, 16, 17, 18, 19, 20, 21, 22, 23} // in the order of words
	if i := slices.Index(f.words(), string(f)); i >= 0 {
		return numbers[i]
	}
	return 16
}

// Split returns the receiver's network as package net names it, unixgram, udp or
// tcp, and its address there: a path, or HOST:PORT. It returns "" for an address
// of no such form.
func (s *Syslog) Split() (network, address string) {
	if path, ok := strings.CutPrefix(s.Address, "unix:"); ok && path != "" {
		return "unixgram", path
	}
	scheme, address, ok := strings.Cut(s.Address, "://")
	if !ok || scheme != "udp" && scheme != "tcp" {
		return "", ""
	}
	return scheme, address
}

// On says whether the log is wanted.
func (l *Log) On() bool { return l.File != "" || l.Stream != "" || l.Syslog != nil }

func (l *Logs) setDefaults() {
	l.Connection.Format = LogALB
	l.Access.Format = LogJSON
	l.HealthCheck.Format = LogALB
}

func (s *Syslog) setDefaults() { *s = Syslog{Address: "unix:/dev/log", Facility: "local0"} }

func (r *Rotate) setDefaults() {
	*r = Rotate{Size: 100 << 20, Every: Duration(5 * time.Minute), Compress: CompressGzip, Keep: Duration(7 * 24 * time.Hour)}
}
