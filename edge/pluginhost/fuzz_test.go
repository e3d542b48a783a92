package pluginhost

import (
	"bytes"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/sallyport/sallyport/edge/identity"
	"github.com/sallyport/sallyport/sdk/frame"
	"github.com/sallyport/sallyport/sdk/frame/frametest"
)

// FuzzPlugin feeds the host what a plugin might send while two of its calls are
// waited for. Whatever it is, the host stands, nobody is answered twice, and what
// is admitted touches nothing that it must not.
func FuzzPlugin(f *testing.F) {
	for _, sent := range fromPlugins() {
		f.Add(sent)
	}
	f.Add([]byte("\xff\xff\xff\xff garbage"))
	f.Fuzz(newFed(f).feed)
}

// fromPlugins are frames that a plugin may send: some of them good ones.
func fromPlugins() [][]byte {
	verdict := func(id uint32, v frame.VerdictBody) []byte {
		return frame.End(v.Append(frame.Begin(nil, frame.Verdict, id)), 0)
	}
	invalidate, log := frame.InvalidateBody{One: true}, frame.LogBody{Level: frame.Warn, Message: "m", Attrs: []frame.Attr{{Key: "k", Value: "v"}}}
	return [][]byte{
		verdict(1, frame.VerdictBody{Decision: frame.Allow}),
		verdict(2, frame.VerdictBody{Decision: frame.Deny, Status: 401, Reason: "r", TTL: time.Second, Depends: []string{"request.path"}, Ban: 3}),
		append(verdict(1, frame.VerdictBody{Decision: frame.Allow, Edits: []frame.Edit{{Op: frame.SetHeader, Name: "Host", Value: "a"}}}), verdict(1, frame.VerdictBody{})...),
		verdict(1, frame.VerdictBody{Decision: frame.Allow, Edits: []frame.Edit{{Op: frame.AddHeader, Name: "X-A", Value: "a"}, {Op: frame.RemoveHeader, Name: "X-B"}}}),
		frame.Append(nil, frame.Pong, 9),
		frame.End(invalidate.Append(frame.Begin(nil, frame.Invalidate, 0)), 0),
		frame.End(log.Append(frame.Begin(nil, frame.Log, 0)), 0),
	}
}

// TestManyFrames feeds the host fuzzed frames, each to a process of its own.
func TestManyFrames(t *testing.T) {
	fed := newFed(t)
	fuzzer := frametest.New(fromPlugins()...)
	for n := range frametest.Count() {
		sent := fuzzer.Next()
		if fed.feed(t, sent); t.Failed() {
			t.Fatalf("frame %d: %x", n, sent)
		}
	}
	// Fuzzed frames that nobody takes for verdicts would show nothing.
	if n := frametest.Count(); fed.verdicts < n/20 || fed.admitted == 0 || fed.failed == 0 {
		t.Errorf("of %d frames %d were verdicts: %d admitted, %d were no good ones", n, fed.verdicts, fed.admitted, fed.failed)
	}
}

// fed is a host to which plugins say what a test wants.
type fed struct {
	host                       *Host
	needs                      *needs
	verdicts, admitted, failed int
}

func newFed(t testing.TB) *fed {
	n, err := newNeeds([]string{"request.path", "cert.der", "headers"})
	if err != nil {
		t.Fatal(err)
	}
	return &fed{host: New(Options{Log: slog.New(slog.NewTextHandler(io.Discard, nil))}), needs: n}
}

// feed has a plugin send something while two of its calls are waited for.
func (f *fed) feed(t *testing.T, sent []byte) {
	p := &Plugin{host: f.host, name: "p", stats: &stats{}}
	p.rules.Store(&rules{identities: identity.NewStripper()})
	i := &instance{plugin: p, needs: f.needs, longest: frame.DefaultMax, out: &outbox{}, cache: newCache(8, cacheBytes, f.needs.leaf), pongs: make(chan uint32, 1), waiting: map[uint32]*call{}}
	i.pinged.Store(9)
	calls := []*call{newCall(), newCall()}
	for id, k := range calls {
		i.waiting[uint32(id+1)] = k
	}
	if i.read(&reading{src: bytes.NewReader(sent), buf: make([]byte, 16), longest: frame.DefaultMax}) == nil {
		t.Fatal("reading ended without a cause")
	}
	for id, k := range calls {
		select {
		case <-k.answered:
			f.verdicts++
			switch {
			case k.failure != 0:
				f.failed++
			case k.verdict != nil && k.verdict.allow:
				f.admitted++
			}
			if i.waiting[uint32(id+1)] != nil {
				t.Error("answered, and still waited for")
			}
			if k.verdict == nil && k.failure == 0 {
				t.Error("answered by nothing")
			}
			if k.verdict != nil {
				for _, e := range k.verdict.edits {
					if p.rules.Load().check(e.Name, k.verdict.allow) != nil || bytes.ContainsAny([]byte(e.Value), "\r\n\x00") {
						t.Errorf("edit %+v", e)
					}
				}
			}
		default:
			if i.waiting[uint32(id+1)] == nil {
				t.Error("neither answered nor waited for")
			}
		}
		k.release()
	}
}
