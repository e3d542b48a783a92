package pluginhost

import (
	"bytes"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/sallyport/sallyport/edge/identity"
	"github.com/sallyport/sallyport/sdk/frame"
)

// FuzzPlugin feeds the host what a plugin might send while two of its calls are
// waited for. Whatever it is, the host stands, nobody is answered twice, and what
// is admitted touches nothing that it must not.
func FuzzPlugin(f *testing.F) {
	verdict := func(id uint32, v frame.VerdictBody) []byte {
		return frame.End(v.Append(frame.Begin(nil, frame.Verdict, id)), 0)
	}
	f.Add(verdict(1, frame.VerdictBody{Decision: frame.Allow}))
	f.Add(verdict(2, frame.VerdictBody{Decision: frame.Deny, Status: 401, Reason: "r", TTL: time.Second, Depends: []string{"request.path"}, Ban: 3}))
	f.Add(append(verdict(1, frame.VerdictBody{Decision: frame.Allow, Edits: []frame.Edit{{Op: frame.SetHeader, Name: "Host", Value: "a"}}}), verdict(1, frame.VerdictBody{})...))
	f.Add(frame.Append(nil, frame.Pong, 9))
	invalidate, log := frame.InvalidateBody{One: true}, frame.LogBody{Level: frame.Warn, Message: "m", Attrs: []frame.Attr{{Key: "k", Value: "v"}}}
	f.Add(frame.End(invalidate.Append(frame.Begin(nil, frame.Invalidate, 0)), 0))
	f.Add(frame.End(log.Append(frame.Begin(nil, frame.Log, 0)), 0))
	f.Add([]byte("\xff\xff\xff\xff garbage"))
	host := New(Options{Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	n, err := newNeeds([]string{"request.path", "cert.der", "headers"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, sent []byte) {
		p := &Plugin{host: host, name: "p", stats: &stats{}}
		p.rules.Store(&rules{identities: identity.NewStripper()})
		i := &instance{plugin: p, needs: n, longest: frame.DefaultMax, out: &outbox{}, cache: newCache(8, cacheBytes, n.leaf), pongs: make(chan uint32, 1), waiting: map[uint32]*call{}}
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
	})
}
