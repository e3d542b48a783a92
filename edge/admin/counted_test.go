package admin

import (
	"context"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestSettle(t *testing.T) {
	inner, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	l := &countedListener{Listener: inner}
	client, err := net.Dial("unix", inner.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if _, err := l.Accept(); err == nil {
		t.Error("accepted after the end")
	}
	settled := make(chan struct{})
	go func() {
		defer close(settled)
		l.settle(time.Minute)
	}()
	select {
	case <-settled:
		t.Error("did not wait for the connection")
	case <-time.After(20 * time.Millisecond):
	}
	conn.Close()
	conn.Close() // counts once
	<-settled
	if l.fresh != 0 {
		t.Errorf("%d fresh", l.fresh)
	}
}

// Who has connected before the end, and asks behind it, is answered.
func TestLateRequest(t *testing.T) {
	s := New(filepath.Join(t.TempDir(), "run", "s"), &fakeEdge{}, nil, slog.New(slog.DiscardHandler))
	l, err := s.Listen()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, l) }()
	client, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	var status Status
	if err := NewClient(s.socket).Get(t.Context(), "/status", &status); err != nil { // so ours is accepted
		t.Fatal(err)
	}
	cancel()
	for _, err := net.Dial("unix", s.socket); err == nil; _, err = net.Dial("unix", s.socket) {
	}
	client.SetDeadline(time.Now().Add(30 * time.Second))
	io.WriteString(client, "GET /status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
	if text, err := io.ReadAll(client); !strings.HasPrefix(string(text), "HTTP/1.1 200 OK") {
		t.Errorf("got %q, %v", text, err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestSettleGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &countedListener{fresh: 1}
		begun := time.Now()
		l.settle(time.Second)
		if waited := time.Since(begun); waited != time.Second {
			t.Errorf("waited %s", waited)
		}
	})
}
