package edge

import (
	"crypto/tls"
	"errors"
	"net"
	"os"
	"strings"

	"github.com/sallyport/sallyport/edge/reason"
)

const noCertificate = "tls: client didn't provide a certificate"

// tlsErrors maps what crypto/tls says, by text only, to reason codes; the first
// match counts. What begins with "tls: " and is not here is the client's
// malformed or unsuitable handshake: ProtocolError. The texts are those of Go
// 1.26; a test makes a real client cause each one that a client can cause, so
// that a change of wording is noticed.
var tlsErrors = []struct {
	text string
	code reason.Code
}{
	{noCertificate, reason.ClientCertMissing},
	{"failed to parse client certificate: x509: unsupported elliptic curve", reason.ClientCertTypeUnsupported},
	{"failed to parse client certificate", reason.ClientCertInvalid},
	{"client sent certificate containing RSA key larger than", reason.ClientCertTypeUnsupported},
	{"client certificate contains an unsupported public key", reason.ClientCertTypeUnsupported},
	// Of all messages only the certificate message may be this long.
	{"exceeds maximum of 262144 bytes", reason.ClientCertMaxSizeExceeded},
	{"invalid signature by the client certificate", reason.ClientCertIntentInvalid},
	{"client certificate used with invalid signature algorithm", reason.ClientCertIntentInvalid},
	{"internal error", reason.InternalError},
	{"failed to sign", reason.InternalError},
	{"private key", reason.InternalError},
}

// refusal turns the error of a failed handshake into one reason code. An error
// that already carries one, because our own check refused, keeps it.
func refusal(err error) *reason.Error {
	var own *reason.Error
	if errors.As(err, &own) {
		return own
	}
	return &reason.Error{Code: classify(err), Cause: err}
}

func classify(err error) reason.Code {
	if err.Error() == noCertificate { // at once: this is what scanners come with
		return reason.ClientCertMissing
	}
	var record tls.RecordHeaderError
	var op *net.OpError
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, net.ErrClosed): // cut at a drain: its time is over, too
		return reason.HandshakeTimeout
	case isClosed(err):
		return reason.ClientClosed
	case isProxyHeader(err):
		return reason.ProxyProtocolError
	case errors.As(err, &record):
		return reason.ProtocolError
	case errors.As(err, &op) && op.Op == "remote error":
		return reason.ClientAlert
	case errors.As(err, &op) && op.Op == "local error":
		return reason.ProtocolError // crypto/tls found fault and says only by which alert
	}
	text := err.Error()
	for _, known := range tlsErrors {
		if strings.Contains(text, known.text) {
			return known.code
		}
	}
	if strings.HasPrefix(text, "tls: ") {
		return reason.ProtocolError
	}
	return reason.UnmappedConnectionError
}
