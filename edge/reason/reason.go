// Package reason is the closed list of why a connection was let in or turned
// away. The connection log, the metrics, the admin API, bans and plugins all
// speak these codes and no others.
package reason

import (
	"errors"
	"fmt"
)

// Code is one outcome of a connection's admission. Its text form is what ALB's
// connection log prints behind "Failed:", where ALB has the code at all. The
// zero Code is UnmappedConnectionError, so a forgotten outcome is a refusal.
type Code uint8

// The codes, in the order in which the edge judges: the first failing step
// gives the code.
const (
	UnmappedConnectionError Code = iota // what no other code names; must not happen, and is counted

	Success

	// Before and around the handshake.
	ProxyProtocolError    // PROXY header missing, malformed or from elsewhere
	LimitExceeded         // a limit of the listener or of the address
	Banned                // banned, found so in user space
	HandshakeTimeout      // no bytes, or too slow
	ClientClosed          // closed or reset by the client before the end
	ClientAlert           // the client ended it by an alert: it distrusts us, say
	ProtocolError         // not TLS, nothing in common, malformed message
	AcmeChallenge         // a CA has checked a name, by acme-tls/1, and was let in no further
	UnknownServerName     // SNI nobody serves, where unknown names are refused
	ServerCertUnavailable // the edge's certificate for the name has not been issued yet
	TrustStoreUnavailable // the trust store has not loaded yet
	InternalError         // our own failure

	// The client's certificate.
	ClientCertMissing
	ClientCertMaxSizeExceeded
	ClientCertMaxChainDepthExceeded
	ClientCertInvalid
	ClientCertTypeUnsupported
	ClientCertUntrusted
	ClientCertIncompatible
	ClientCertNotYetValid
	ClientCertExpired
	ClientCertPurposeInvalid
	ClientCertRejected

	// Revocation.
	ClientCertCrlHit
	ClientCertCrlProcessingError
	ClientCertOcspDenied
	ClientCertOcspProcessingError

	// Proof of possession, and plugins.
	ClientCertIntentInvalid
	PluginUnavailable

	codes // how many there are
)

var names = [codes]string{
	UnmappedConnectionError:         "UnmappedConnectionError",
	Success:                         "Success",
	ProxyProtocolError:              "ProxyProtocolError",
	LimitExceeded:                   "LimitExceeded",
	Banned:                          "Banned",
	HandshakeTimeout:                "HandshakeTimeout",
	ClientClosed:                    "ClientClosed",
	ClientAlert:                     "ClientAlert",
	ProtocolError:                   "ProtocolError",
	AcmeChallenge:                   "AcmeChallenge",
	UnknownServerName:               "UnknownServerName",
	ServerCertUnavailable:           "ServerCertUnavailable",
	TrustStoreUnavailable:           "TrustStoreUnavailable",
	InternalError:                   "InternalError",
	ClientCertMissing:               "ClientCertMissing",
	ClientCertMaxSizeExceeded:       "ClientCertMaxSizeExceeded",
	ClientCertMaxChainDepthExceeded: "ClientCertMaxChainDepthExceeded",
	ClientCertInvalid:               "ClientCertInvalid",
	ClientCertTypeUnsupported:       "ClientCertTypeUnsupported",
	ClientCertUntrusted:             "ClientCertUntrusted",
	ClientCertIncompatible:          "ClientCertIncompatible",
	ClientCertNotYetValid:           "ClientCertNotYetValid",
	ClientCertExpired:               "ClientCertExpired",
	ClientCertPurposeInvalid:        "ClientCertPurposeInvalid",
	ClientCertRejected:              "ClientCertRejected",
	ClientCertCrlHit:                "ClientCertCrlHit",
	ClientCertCrlProcessingError:    "ClientCertCrlProcessingError",
	ClientCertOcspDenied:            "ClientCertOcspDenied",
	ClientCertOcspProcessingError:   "ClientCertOcspProcessingError",
	ClientCertIntentInvalid:         "ClientCertIntentInvalid",
	PluginUnavailable:               "PluginUnavailable",
}

// String returns the code as logs and metrics print it.
func (c Code) String() string {
	if c >= codes {
		return names[UnmappedConnectionError]
	}
	return names[c]
}

// MarshalText makes a code its name in JSON.
func (c Code) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText takes a name back; an unknown one is an error.
func (c *Code) UnmarshalText(text []byte) error {
	for i, name := range names {
		if name == string(text) {
			*c = Code(i)
			return nil
		}
	}
	return fmt.Errorf("parse reason code %q: want one of those documented in edge/reason", text)
}

// All returns every code, Success included, in judging order.
func All() []Code {
	all := make([]Code, codes)
	for i := range all {
		all[i] = Code(i)
	}
	return all
}

// Error is a refusal: the code that others count by, and the cause that a
// person reads. It wraps its cause.
type Error struct {
	Code  Code
	Cause error
}

// Errorf returns a refusal with the given code and a formatted cause.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Cause: fmt.Errorf(format, args...)}
}

func (e *Error) Error() string { return e.Code.String() + ": " + e.Cause.Error() }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Of returns the code carried by err's chain, and whether there is one. A nil
// error carries none: only the station that admits may say Success.
func Of(err error) (Code, bool) {
	var e *Error
	if errors.As(err, &e) {
		return e.Code, true
	}
	return UnmappedConnectionError, false
}
