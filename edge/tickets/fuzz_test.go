package tickets

import (
	"bytes"
	"crypto/tls"
	"testing"
)

// FuzzUnwrap offers any bytes under any binding and version to a store with one
// session: only its own ticket, binding and version give it back, and nothing
// gives an error.
func FuzzUnwrap(f *testing.F) {
	state, cs := handshaken(f)
	store := New(Options{})
	conf := &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	session := store.For([32]byte{1})
	session.Attach(conf)
	ticket, err := conf.WrapSession(cs, state)
	if err != nil {
		f.Fatal(err)
	}
	session.Complete(true)
	// The ticket is random: what is fuzzed is the difference to it.
	f.Add([]byte{}, byte(1), uint16(tls.VersionTLS13), uint8(tls.RequireAnyClientCert))
	f.Add([]byte{}, byte(2), uint16(tls.VersionTLS13), uint8(tls.RequireAnyClientCert))
	f.Add([]byte{}, byte(1), uint16(tls.VersionTLS12), uint8(tls.RequireAnyClientCert))
	f.Add([]byte{}, byte(1), uint16(tls.VersionTLS13), uint8(tls.NoClientCert))
	f.Add([]byte{1}, byte(1), uint16(tls.VersionTLS13), uint8(tls.RequireAnyClientCert))
	f.Add(make([]byte, 33), byte(1), uint16(tls.VersionTLS13), uint8(tls.RequireAnyClientCert))
	f.Fuzz(func(t *testing.T, difference []byte, binding byte, version uint16, auth uint8) {
		offered := make([]byte, max(len(difference), len(ticket)))
		copy(offered, ticket)
		for i, b := range difference {
			offered[i] ^= b
		}
		if len(difference) > 64 {
			offered = difference // nothing of the ticket
		}
		conf := &tls.Config{ClientAuth: tls.ClientAuthType(auth % 5)}
		store.For([32]byte{binding}).Attach(conf)
		got, err := conf.UnwrapSession(offered, tls.ConnectionState{Version: version})
		if err != nil {
			t.Fatalf("%x: %v", offered, err)
		}
		want := bytes.Equal(offered, ticket) && binding == 1 && version == tls.VersionTLS13 && conf.ClientAuth != tls.NoClientCert
		if (got != nil) != want {
			t.Errorf("%x under binding %d in version %x: given %v, want %v", offered, binding, version, got != nil, want)
		}
	})
}
