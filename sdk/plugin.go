package sdk

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// Plugin is what [Serve] serves. It must also implement at least one of
// ConnectionAuthorizer, RequestAuthorizer, RequestShaper, ResponseShaper and
// Observer.
type Plugin interface {
	// Manifest says what the plugin is and needs. It is called once, before
	// everything else.
	Manifest() Manifest
}

// Manifest is what a plugin says of itself when it starts.
type Manifest struct {
	// Name is what the plugin is called in logs: letters, digits, "-" and the
	// like, at most 128.
	Name string
	// Version is for people. May be empty.
	Version string
	// Needs are the fields that hooks may ask for, at most 64. Each one is sent
	// with every call, and is a part of the key of cached verdicts: declare few.
	Needs []Field
	// Owns are headers that mean what they say only because this plugin has set
	// them, at most 32. The edge takes them out of every client's requests,
	// whether or not the plugin was asked.
	Owns []string
	// Concurrency is how many hooks may run at once. 0 and 1 mean one after the
	// other, in order; at most 1024.
	Concurrency int
	// MaxFrame is the longest message that the plugin takes, in bytes: 32 KiB to
	// 1 MiB; 0 means 256 KiB. A call whose fields are longer is denied.
	MaxFrame int
	// LogLevel is the least level that is sent to the edge's log.
	LogLevel slog.Level
}

// ConnectionAuthorizer decides on a connection, once, after its handshake. A
// denied client gets the denial as the answer to its first request. Headers that
// the verdict sets are set on every request of the connection. Only the fields
// connection.* and cert.* are known.
type ConnectionAuthorizer interface {
	AuthorizeConnection(ctx context.Context, c Connection) Verdict
}

// RequestAuthorizer decides on a request, before a target sees it, and may edit
// its headers.
type RequestAuthorizer interface {
	AuthorizeRequest(ctx context.Context, r Request) Verdict
}

// RequestShaper edits a request's headers on its way to the target. It is not
// there to deny, but a verdict that does is obeyed: Allow() changes nothing. Of a
// plugin that is a RequestAuthorizer too, it is asked after that has allowed, in
// the same round trip, and both verdicts' edits hold, for the shorter of both
// lifetimes.
type RequestShaper interface {
	ShapeRequest(ctx context.Context, r Request) Verdict
}

// ResponseShaper edits a response's headers on its way to the client.
type ResponseShaper interface {
	ShapeResponse(ctx context.Context, r Response) Verdict
}

// Observer is told of what is over. Nobody waits for it, and under load the edge
// leaves some out. The status is 0 where there was no response, and the fields of
// the request are empty where there was none.
type Observer interface {
	Observe(r Response)
}

// Configurer takes the plugin's section of the edge's configuration. It is called
// once, before every hook; its error is shown to the operator, and the plugin is
// not used. A plugin that is no Configurer refuses any configuration.
type Configurer interface {
	Configure(c Config) error
}

// Narrower is a plugin that needs fewer fields than its manifest says, once it has
// its configuration: one whose rules are in it, say. Needs is called once, after
// Configure. Each field that it gives must be among those of the manifest, where
// AllHeaders and AllResponseHeaders stand for each single header; no other one may
// be asked for then.
type Narrower interface {
	Needs() []Field
}

// Runner is work in the background: a list to fetch again, a database to watch.
// Run is called once after Configure, on a goroutine of its own, and ctx ends with
// the plugin. An error ends the plugin, and the edge starts it anew; to return nil
// is to have no more to do.
type Runner interface {
	Run(ctx context.Context, host *Host) error
}

// Config is the plugin's section of the edge's configuration, as JSON. It is
// empty when the operator has written none.
type Config []byte

// Decode decodes the configuration into what v points to, and refuses keys that
// are not there. An empty configuration leaves v as it is.
func (c Config) Decode(v any) error {
	if c.empty() {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(c))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return fmt.Errorf("decode configuration: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("decode configuration: want one JSON value")
	}
	return nil
}

func (c Config) empty() bool {
	switch string(bytes.TrimSpace(c)) {
	case "", "null", "{}":
		return true
	}
	return false
}
