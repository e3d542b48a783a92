package sdk

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/sdk/frame"
)

// script is a connection on which the edge says what is written there, then goes.
type script struct {
	net.Conn // for what is not used

	mu   sync.Mutex
	says []byte
	said bytes.Buffer
}

func (s *script) Read(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.says) == 0 {
		return 0, io.EOF
	}
	n := copy(b, s.says)
	s.says = s.says[n:]
	return n, nil
}

func (s *script) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.said.Write(b)
}

func (s *script) Close() error                    { return nil }
func (s *script) SetReadDeadline(time.Time) error { return nil }

// curious is a plugin that looks at everything.
type curious struct{ concurrency int }

func (c curious) Manifest() Manifest {
	m := Manifest{Name: "curious", Concurrency: c.concurrency, Needs: []Field{Header("x-a")}}
	for _, name := range frame.FieldNames() {
		m.Needs = append(m.Needs, Field(name))
	}
	return m
}

func (curious) Configure(c Config) error {
	var v map[string]any
	return c.Decode(&v)
}

func (c curious) AuthorizeConnection(ctx context.Context, h Connection) Verdict {
	h.ClientIP()
	h.JA4()
	h.Peer().Subject()
	h.Peer().Certificate()
	h.Peer().Chain()
	h.Peer().IPs()
	h.Peer().NotAfter()
	if h.Resumed() {
		<-ctx.Done()
	}
	return Allow().For(time.Minute).SetHeader("X-Unit", h.Peer().CommonName())
}

func (c curious) AuthorizeRequest(ctx context.Context, r Request) Verdict {
	for name, value := range r.Headers() {
		if name == "" && value != "" {
			return Deny(int(r.ClientPort()), value)
		}
	}
	return c.AuthorizeConnection(ctx, r.Connection).SetHeader("X-Path", r.Path()).DependsOn(Path, Header(r.Header("x-a")))
}

func (c curious) ShapeResponse(ctx context.Context, r Response) Verdict {
	r.ResponseHeaderValues("via")
	return c.AuthorizeRequest(ctx, r.Request).Ban(r.Status())
}

func (c curious) Observe(r Response) { r.Query() }

// FuzzHost gives a plugin whatever bytes an edge might send: it must neither crash
// nor hang, and what it answers must be what the edge takes.
func FuzzHost(f *testing.F) {
	call := fuzzedCall
	waits := frame.End(frame.AppendBool(frame.Begin(nil, frame.Connection, 9), frame.TagResumed, true), 0)
	f.Add(false, call(frame.Request, 1))
	f.Add(true, append(call(frame.Connection, 1), call(frame.Response, 2)...))
	f.Add(true, append(call(frame.Observe, 0), frame.Append(nil, frame.GoAway, 0)...))
	f.Add(false, append(waits, frame.Append(nil, frame.Cancel, 9)...))
	f.Add(true, append(waits, frame.Append(frame.Append(nil, frame.Ping, 1), frame.Cancel, 9)...))
	f.Add(false, frame.Append(call(frame.Request, 1), frame.Ping, 1))
	f.Fuzz(func(t *testing.T, concurrent bool, says []byte) {
		tell(t, concurrent, says)
	})
}

// fuzzedCall is a good call to begin with.
func fuzzedCall(kind frame.Type, id uint32) []byte {
	b := frame.Begin(nil, kind, id)
	b = frame.AppendBool(b, frame.TagCertVerified, true)
	b = frame.AppendString(b, frame.TagCertCommonName, "a\nb")
	b = frame.AppendString(b, frame.TagPath, "/a")
	b = frame.AppendHeader(b, frame.TagHeader, "X-A", "b")
	return frame.End(b, 0)
}

// tell has an edge say something to a curious plugin once that is configured, and
// then go. It gives what the plugin has said.
func tell(t *testing.T, concurrent bool, says []byte) []byte {
	p := curious{1}
	if concurrent {
		p.concurrency = 3
	}
	c := frame.ConfigureBody{Protocol: frame.Protocol, MaxFrame: frame.DefaultMax}
	s := &script{says: append(frame.End(c.Append(frame.Begin(nil, frame.Configure, 0)), 0), says...)}
	err := ServeConn(context.Background(), s, p)
	if err != nil && !errors.Is(err, frame.ErrMalformed) && !errors.Is(err, ErrHostGone) {
		t.Fatalf("ServeConn: %v", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	checkAnswers(t, s.said.Bytes())
	return s.said.Bytes()
}

// checkAnswers reads what a plugin has said as the edge does.
func checkAnswers(t *testing.T, said []byte) {
	for len(said) > 0 {
		f, n, err := frame.Parse(said, frame.DefaultMax)
		if n == 0 || err != nil || !f.Type.FromPlugin() {
			t.Fatalf("%v of %d bytes, error %v", f.Type, n, err)
		}
		switch f.Type {
		case frame.Verdict:
			_, err = frame.ParseVerdict(f.Body)
		case frame.Log:
			_, err = frame.ParseLog(f.Body)
		}
		if err != nil {
			t.Fatal(err)
		}
		said = said[n:]
	}
}
