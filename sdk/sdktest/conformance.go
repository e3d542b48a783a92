package sdktest

import (
	"crypto/x509"
	"fmt"
	"reflect"
	"sync"
	"testing"

	"github.com/sallyport/sallyport/sdk/frame"
)

// Conformance checks what every plugin must stand, whatever it decides: many calls
// at once, calls that are cancelled, clients without a certificate and with a chain
// as long as a call can be, fields of a newer edge, and an edge that sends
// garbage, or is gone. It asks every hook that the plugin has; start is called for
// each check, with Start or Run.
func Conformance(t *testing.T, start func(t *testing.T) *Plugin) {
	t.Run("many calls at once", func(t *testing.T) { manyCalls(t, start(t)) })
	t.Run("cancelled calls", func(t *testing.T) { cancelledCalls(t, start(t)) })
	t.Run("nothing known", func(t *testing.T) { nothingKnown(t, start(t)) })
	t.Run("longest chain", func(t *testing.T) { longestChain(t, start(t)) })
	t.Run("unknown fields", func(t *testing.T) { unknownFields(t, start(t)) })
	t.Run("calls before GOAWAY", func(t *testing.T) { callsBeforeGoAway(t, start(t)) })
	t.Run("byte by byte", func(t *testing.T) { byteByByte(t, start(t)) })
	t.Run("edge has gone", func(t *testing.T) { start(t).end() })
	for name, garbage := range malformed() {
		t.Run("malformed/"+name, func(t *testing.T) {
			p := start(t)
			p.write(garbage)
			p.await("end after a malformed frame")
			p.end()
		})
	}
}

// hooks are the plugin's, by the frame that asks them, with a call for each that
// could be real.
func (p *Plugin) hooks(peer *Peer) map[frame.Type][]byte {
	c := Connection{Peer: peer}
	hooks := make(map[frame.Type][]byte)
	if p.hello.Hooks&frame.HookConnection != 0 {
		hooks[frame.Connection] = p.connectionBody(c)
	}
	if p.hello.Hooks&(frame.HookRequest|frame.HookShapeRequest) != 0 {
		hooks[frame.Request] = p.requestBody(Request{Connection: c})
	}
	if p.hello.Hooks&frame.HookShapeResponse != 0 {
		hooks[frame.Response] = p.responseBody(Response{Request: Request{Connection: c}})
	}
	return hooks
}

func manyCalls(t *testing.T, p *Plugin) {
	const callers, each = 32, 20
	for kind, body := range p.hooks(NewPeer(t, WithCN("client"))) {
		want, err := p.receiveVerdict(p.send(kind, body))
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for range callers {
			wg.Go(func() {
				for range each {
					got, err := p.receiveVerdict(p.send(kind, body))
					if err != nil {
						t.Errorf("%v: %v", kind, err)
						return
					}
					if got.Allowed != want.Allowed {
						t.Errorf("%v: %v, and for the same fields %v", kind, got, want)
					}
				}
			})
		}
		wg.Wait()
	}
}

func cancelledCalls(t *testing.T, p *Plugin) {
	for kind, body := range p.hooks(NewPeer(t)) {
		for range 50 {
			c := p.send(kind, body)
			p.write(frame.Append(nil, frame.Cancel, c.id))
		}
		p.write(frame.Append(nil, frame.Cancel, 1<<31)) // of a call that never was
		if _, err := p.receiveVerdict(p.send(kind, body)); err != nil {
			t.Errorf("%v after cancelled ones: %v", kind, err)
		}
	}
	if err := p.ping(); err != nil {
		t.Errorf("after cancelled calls: %v", err)
	}
}

func nothingKnown(t *testing.T, p *Plugin) {
	for kind, body := range p.hooks(nil) {
		for what, b := range map[string][]byte{"without a field": nil, "without a certificate": body} {
			if _, err := p.receiveVerdict(p.send(kind, b)); err != nil {
				t.Errorf("%v %s: %v", kind, what, err)
			}
		}
	}
	for kind, body := range p.hooks(NewPeer(t, Unverified())) {
		if _, err := p.receiveVerdict(p.send(kind, body)); err != nil {
			t.Errorf("%v of an unverified client: %v", kind, err)
		}
	}
}

// longestChain fills a call to the last byte that the plugin takes.
func longestChain(t *testing.T, p *Plugin) {
	peer := NewPeer(t)
	for kind, body := range p.hooks(peer) {
		b := append([]byte(nil), body...)
		filler := frame.TagLimit // a field that is not known, for a plugin that wants no chain
		for _, need := range p.needs {
			if need.Tag == frame.TagCertChain {
				filler = need.Tag
			}
		}
		left := func() int { return p.max - (frame.HeaderSize - 4) - len(b) }
		for one := fieldSize(peer.Certificate); left() > 2*one; {
			b = frame.AppendField(b, filler, peer.Certificate.Raw)
		}
		b = frame.AppendField(b, frame.TagLimit, make([]byte, left()-6))
		if _, err := p.receiveVerdict(p.send(kind, b)); err != nil {
			t.Errorf("%v of %d bytes: %v", kind, len(b), err)
		}
	}
}

func fieldSize(c *x509.Certificate) int { return 6 + len(c.Raw) }

func unknownFields(t *testing.T, p *Plugin) {
	for kind, body := range p.hooks(NewPeer(t)) {
		want, err := p.receiveVerdict(p.send(kind, body))
		if err != nil {
			t.Fatal(err)
		}
		more := frame.AppendString(append([]byte(nil), body...), frame.TagLimit+7, "of a newer edge")
		more = frame.AppendString(more, 0xFFFF, "")
		got, err := p.receiveVerdict(p.send(kind, more))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%v with fields that are not known: %v, error %v; without: %v", kind, got, err, want)
		}
	}
}

func callsBeforeGoAway(t *testing.T, p *Plugin) {
	var calls []call
	for kind, body := range p.hooks(NewPeer(t)) {
		for range 20 {
			calls = append(calls, p.send(kind, body))
		}
	}
	if err := p.Stop(); err != nil {
		t.Errorf("the plugin ended: %v", err)
	}
	for _, c := range calls {
		if _, err := p.receiveVerdict(c); err != nil {
			t.Errorf("call %d, which came before GOAWAY: %v", c.id, err)
		}
	}
}

// byteByByte sends frames in the smallest pieces that there are.
func byteByByte(t *testing.T, p *Plugin) {
	for kind, body := range p.hooks(NewPeer(t)) {
		id, answer := p.open()
		for _, b := range appendFrame(nil, kind, id, body) {
			p.write([]byte{b})
		}
		if _, err := p.receiveVerdict(call{id, answer}); err != nil {
			t.Errorf("%v: %v", kind, err)
		}
	}
}

// malformed are frames that no edge sends, and that end a plugin.
func malformed() map[string][]byte {
	cut := frame.End(append(frame.Begin(nil, frame.Request, 1), 1, 3, 255), 0)
	long := frame.End(append(frame.Begin(nil, frame.Request, 1), 1, 3, 255, 255, 255, 255), 0)
	flags := frame.Append(nil, frame.Ping, 1)
	flags[5] = 1
	garbage := map[string][]byte{
		"field cut short":      cut,
		"field without an end": long,
		"flags":                flags,
		"length too small":     {7, 0, 0, 0, byte(frame.Ping), 0, 0, 0, 1, 0, 0, 0},
		"length too great":     {255, 255, 255, 255, byte(frame.Ping), 0, 0, 0, 1, 0, 0, 0},
		"no protocol at all":   []byte("GET / HTTP/1.1\r\nHost: plugin\r\n\r\n"),
		"type of a plugin":     frame.Append(nil, frame.Verdict, 1),
		"configured again":     frame.End(frame.AppendUint(frame.Begin(nil, frame.Configure, 0), frame.TagProtocol, 1), 0),
	}
	for _, kind := range []byte{0, 15, 255} {
		b := frame.Append(nil, frame.Ping, 1)
		b[4] = kind
		garbage[fmt.Sprintf("type %d", kind)] = b
	}
	return garbage
}
