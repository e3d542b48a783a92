package loadtest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"

	utls "github.com/refraction-networking/utls"
	"golang.org/x/net/http2"
)

//lint:file-ignore SA1019 it comes from what http2.go uses

// fault is a failure whose kind is known where it arises.
type fault struct {
	kind  string
	cause error
}

func (f *fault) Error() string { return f.kind + ": " + f.cause.Error() }
func (f *fault) Unwrap() error { return f.cause }

func faultf(kind, format string, args ...any) *fault {
	return &fault{kind: kind, cause: fmt.Errorf(format, args...)}
}

// refusals are the statuses by which a server refuses a client, its certificate
// or the lack of one; nginx has some of its own.
var refusals = [...]int{400, 401, 403, 495, 496}

// isAlert says that the other side sent a TLS alert: its own word.
func isAlert(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "remote error"
}

// How the library's errors begin, which have no type, for a request that a server
// did not get to before it went away, and for one that could not be sent then.
const (
	gracefulGoAway = "http2: Transport received Server's graceful shutdown GOAWAY"
	notUsable      = "http2: client conn not usable"
)

// notTaken says that an error is of a request that the server did nothing about,
// and said so.
func notTaken(err error) bool {
	return err != nil && (strings.HasPrefix(err.Error(), gracefulGoAway) || strings.HasPrefix(err.Error(), notUsable))
}

// kindOf is the kind of an error, of a closed set, and whether it is a refusal:
// only what the server itself said is one. connecting says that no connection
// was there yet.
func kindOf(err error, connecting bool) (kind string, refusal bool) {
	var op *net.OpError
	var f *fault
	var timeout net.Error
	var local tls.RecordHeaderError
	var localU utls.RecordHeaderError
	var stream http2.StreamError
	var goAway http2.GoAwayError
	var conn http2.ConnectionError
	switch {
	case isAlert(err):
		errors.As(err, &op)
		return "tls alert " + strings.TrimPrefix(op.Err.Error(), "tls: "), true
	case errors.As(err, &f):
		return f.kind, false
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		if connecting {
			return "connect timeout", false
		}
		return "timeout", false
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connect refused", false
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return "no local port", false
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return "too many open files", false
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH):
		return "unreachable", false
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "reset", false
	case errors.As(err, &goAway), notTaken(err):
		return "http2 goaway", false
	case errors.As(err, &stream):
		return "http2 stream reset", false
	case errors.As(err, &conn):
		return "http2 error", false
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "eof before answer", false
	case errors.As(err, &local), errors.As(err, &localU), errors.As(err, &op) && op.Op == "local error", strings.HasPrefix(err.Error(), "tls: "):
		return "tls failed", false
	case strings.HasPrefix(err.Error(), "http2: "):
		return "http2 error", false
	}
	return "other", false
}
