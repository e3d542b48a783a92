package connlog

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/sallyport/sallyport/edge/jsonline"
)

// End is how an admitted connection ended. The zero End is Error.
type End uint8

const (
	Error         End = iota // the transport or a protocol failed, or nobody said why
	ClientClosed             // the client closed it in order
	Idle                     // no request for the listener's idle timeout
	Revoked                  // its certificate, or a CA's above it, was revoked
	Expired                  // its certificate passed notAfter
	AnchorRemoved            // the CA that it was verified by left the trust store
	PolicyChanged            // the listener would not admit it as it was admitted
	MaxAge                   // it reached its greatest age or number of requests
	Drained                  // the edge stopped, or handed over to its successor
	Banned                   // its address was banned
	Unvouched                // OCSP is required, and no good answer was to be had any more

	ends // how many there are
)

var endNames = [ends]string{
	Error: "Error", ClientClosed: "ClientClosed", Idle: "Idle", Revoked: "Revoked",
	Expired: "Expired", AnchorRemoved: "AnchorRemoved", PolicyChanged: "PolicyChanged",
	MaxAge: "MaxAge", Drained: "Drained", Banned: "Banned", Unvouched: "Unvouched",
}

// String returns the end as logs and metrics print it.
func (e End) String() string {
	if e >= ends {
		return endNames[Error]
	}
	return endNames[e]
}

// MarshalText makes an end its name in JSON.
func (e End) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

// UnmarshalText takes a name back; an unknown one is an error.
func (e *End) UnmarshalText(text []byte) error {
	for i, name := range endNames {
		if name == string(text) {
			*e = End(i)
			return nil
		}
	}
	return fmt.Errorf("parse end of a connection %q: want one of those documented in edge/connlog", text)
}

// Ends returns every End.
func Ends() []End {
	all := make([]End, ends)
	for i := range all {
		all[i] = End(i)
	}
	return all
}

// Ending is the JSON log's second event: an admitted connection is no more.
// ALB's format has none. Its strings may hold anything, as a Record's may.
type Ending struct {
	Time    time.Time
	TraceID string // as in the connection's Record

	// Client and Listener are the Record's, so that the line can be read alone.
	Client   netip.AddrPort
	Listener string

	End   End
	Cause string // for a person

	Duration      time.Duration // since the accept
	BytesReceived int64         // from the client, as sent on the wire
	BytesSent     int64
	Requests      int64
}

// AppendJSON appends the ending as one line of JSON, newline included. All
// members but cause are always there; times and spans are as in a Record.
func (e *Ending) AppendJSON(dst []byte) []byte {
	o := jsonline.Begin(dst)
	o = o.Text("event", "end")
	o = o.Time("timestamp", e.Time)
	o = o.Text("conn_trace_id", e.TraceID)
	o = o.Addr("client_ip", e.Client)
	o = o.Port("client_port", e.Client)
	o = o.Text("listener", e.Listener)
	o = o.Text("end", e.End.String())
	o = o.Mention("cause", short(e.Cause))
	o = o.Microseconds("duration", max(e.Duration, 0))
	o = o.Number("received_bytes", e.BytesReceived)
	o = o.Number("sent_bytes", e.BytesSent)
	o = o.Number("requests", e.Requests)
	return o.End()
}

// MarshalJSON returns what AppendJSON appends.
func (e Ending) MarshalJSON() ([]byte, error) { return e.AppendJSON(nil), nil }
