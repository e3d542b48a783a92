package sdk_test

import (
	"bytes"
	"context"
	"net"
	"os"
	"syscall"
	"testing"

	"github.com/sallyport/sallyport/sdk"
	"github.com/sallyport/sallyport/sdk/frame"
)

// rawHost is an edge that says what a test tells it to.
type rawHost struct {
	conn net.Conn
	buf  []byte
	id   uint32
}

// socketpair gives both ends of one.
func socketpair(t testing.TB) (a, b net.Conn) {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	var ends [2]net.Conn
	for i, fd := range fds {
		f := os.NewFile(uintptr(fd), "end")
		if ends[i], err = net.FileConn(f); err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	return ends[0], ends[1]
}

// serve serves a plugin up to where it can be asked.
func serve(t testing.TB, ctx context.Context, p sdk.Plugin) (*rawHost, <-chan error) {
	t.Helper()
	ours, theirs := socketpair(t)
	return serveOn(t, ctx, p, ours, theirs)
}

func serveOn(t testing.TB, ctx context.Context, p sdk.Plugin, ours, theirs net.Conn) (*rawHost, <-chan error) {
	t.Helper()
	served := make(chan error, 1)
	go func() { served <- sdk.ServeConn(ctx, theirs, p) }()
	h := &rawHost{conn: ours}
	h.expect(t, frame.Hello)
	h.send(t, configure(nil))
	h.expect(t, frame.Configured)
	return h, served
}

func configure(config []byte) []byte {
	c := frame.ConfigureBody{Protocol: frame.Protocol, MaxFrame: frame.DefaultMax, Config: config}
	return frame.End(c.Append(frame.Begin(nil, frame.Configure, 0)), 0)
}

func (h *rawHost) send(t testing.TB, b []byte) {
	t.Helper()
	if _, err := h.conn.Write(b); err != nil {
		t.Fatal(err)
	}
}

// call asks about a path.
func (h *rawHost) call(t testing.TB, path string) (id uint32) {
	t.Helper()
	h.id++
	h.send(t, frame.End(frame.AppendString(frame.Begin(nil, frame.Request, h.id), frame.TagPath, path), 0))
	return h.id
}

// expect reads the next frame that is not for the log.
func (h *rawHost) expect(t testing.TB, want frame.Type) frame.Frame {
	t.Helper()
	for {
		f, n, err := frame.Parse(h.buf, frame.DefaultMax)
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			more := make([]byte, 64<<10)
			n, err := h.conn.Read(more)
			if err != nil {
				t.Fatalf("wait for %v: %v", want, err)
			}
			h.buf = append(h.buf, more[:n]...)
			continue
		}
		f.Body = bytes.Clone(f.Body)
		h.buf = h.buf[n:]
		if f.Type == frame.Log && want != frame.Log {
			continue
		}
		if f.Type != want {
			t.Fatalf("%v came, want %v", f.Type, want)
		}
		return f
	}
}
