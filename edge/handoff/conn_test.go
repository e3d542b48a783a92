package handoff

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pair returns both ends, the second as a successor gets it.
func pair(t *testing.T) (old, next *Conn) {
	t.Helper()
	old, file, err := Pair()
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Dup(int(file.Fd()))
	file.Close()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(Env, strconv.Itoa(fd))
	if next, err = Inherited(); err != nil {
		t.Fatal(err)
	}
	if _, there := os.LookupEnv(Env); there {
		t.Error("the variable is still in the environment")
	}
	t.Cleanup(func() { old.Close(); next.Close() })
	return old, next
}

func TestMessages(t *testing.T) {
	old, next := pair(t)
	ctx := t.Context()
	for _, body := range []any{nil, []byte{0, 1, 2}, HelloBody{Protocol: 1, PID: 7, Program: "v1"}, make([]byte, MaxBody)} {
		if err := next.Send(ctx, Hello, body, -1); err != nil {
			t.Fatal(err)
		}
		m, err := old.Expect(ctx, Hello)
		if err != nil || m.File != nil {
			t.Fatalf("%v, %v", m.File, err)
		}
		switch body := body.(type) {
		case []byte:
			if string(m.Body) != string(body) {
				t.Errorf("got %d bytes, want %d as they were", len(m.Body), len(body))
			}
		case HelloBody:
			var got HelloBody
			if err := m.Decode(&got); err != nil || got != body {
				t.Errorf("got %+v, %v", got, err)
			}
		default:
			if len(m.Body) != 0 {
				t.Errorf("got %q, want nothing", m.Body)
			}
		}
	}
	if err := next.Send(ctx, Hello, make([]byte, MaxBody+1), -1); err == nil {
		t.Error("a body that is too long was sent")
	}
}

// A listening socket arrives as one, with all connections that wait on it when the
// sender closes its own.
func TestSocketKeepsItsQueue(t *testing.T) {
	old, next := pair(t)
	ctx := t.Context()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	const waiting = 50
	for range waiting {
		client, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		if _, err := client.Write([]byte{7}); err != nil {
			t.Fatal(err)
		}
	}
	raw, err := l.(*net.TCPListener).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) {
		err = old.Send(ctx, Socket, SocketBody{Listener, ":443"}, int(fd))
	})
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	m, err := next.Expect(ctx, Socket)
	if err != nil || m.File == nil {
		t.Fatalf("no descriptor: %v", err)
	}
	if flags, err := unix.FcntlInt(m.File.Fd(), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("the descriptor would be inherited by every process started: %v", err)
	}
	again, err := net.FileListener(m.File)
	m.File.Close()
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	again.(*net.TCPListener).SetDeadline(time.Now().Add(30 * time.Second))
	for n := range waiting {
		conn, err := again.Accept()
		if err != nil {
			t.Fatalf("%d of %d connections that waited are lost: %v", waiting-n, waiting, err)
		}
		conn.SetDeadline(time.Now().Add(30 * time.Second))
		b := make([]byte, 1)
		if _, err := io.ReadFull(conn, b); err != nil || b[0] != 7 {
			t.Errorf("connection %d: got %v, %v", n, b, err)
		}
		conn.Close()
	}
}

func TestEnds(t *testing.T) {
	t.Run("other side gone", func(t *testing.T) {
		old, next := pair(t)
		next.Close()
		if _, err := old.Receive(t.Context()); !errors.Is(err, io.EOF) {
			t.Errorf("got %v, want io.EOF", err)
		}
		if _, err := old.Expect(t.Context(), Ready); err == nil || !strings.Contains(err.Error(), "wait for Ready: the other process has ended") {
			t.Errorf("got %v", err)
		}
		if err := old.Send(t.Context(), Go, nil, -1); err == nil {
			t.Error("sent to nobody")
		}
	})
	t.Run("deadline", func(t *testing.T) {
		old, next := pair(t)
		cause := errors.New("patience is over")
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(cause)
		if _, err := old.Receive(ctx); !errors.Is(err, cause) {
			t.Errorf("got %v, want %v", err, cause)
		}
		var err error
		for err == nil { // until the buffer is full
			err = old.Send(ctx, Sessions, make([]byte, MaxBody), -1)
		}
		if !errors.Is(err, cause) {
			t.Errorf("got %v, want %v", err, cause)
		}
		// Nothing of that is left for the next call.
		if err := next.Send(t.Context(), Hello, nil, -1); err != nil {
			t.Fatal(err)
		}
		if _, err := old.Expect(t.Context(), Hello); err != nil {
			t.Error(err)
		}
	})
	t.Run("failed", func(t *testing.T) {
		old, next := pair(t)
		next.Send(t.Context(), Failed, FailedBody{"no such file"}, -1)
		if _, err := old.Expect(t.Context(), Ready); err == nil || err.Error() != "no such file" {
			t.Errorf("got %v", err)
		}
	})
	t.Run("out of order", func(t *testing.T) {
		old, next := pair(t)
		next.Send(t.Context(), Serving, nil, -1)
		if _, err := old.Expect(t.Context(), Ready); err == nil || err.Error() != "wait for Ready: got Serving" {
			t.Errorf("got %v", err)
		}
	})
}

// FuzzReceive puts what another program might send before Receive: it must
// neither panic nor let a message of no known kind through.
func FuzzReceive(f *testing.F) {
	f.Add([]byte{byte(Hello)}, 0)
	f.Add([]byte{byte(Failed), '{', '}'}, 1)
	f.Add([]byte{byte(kinds)}, 0)
	f.Add([]byte{0}, 5)
	f.Add(make([]byte, MaxBody+2), 0)
	f.Fuzz(func(t *testing.T, data []byte, files int) {
		old, file, err := Pair()
		if err != nil {
			t.Fatal(err)
		}
		defer old.Close()
		defer file.Close()
		var fds []int
		for range min(max(files, 0), 8) {
			fds = append(fds, int(file.Fd()))
		}
		var rights []byte
		if len(fds) > 0 {
			rights = unix.UnixRights(fds...)
		}
		if len(data) == 0 || unix.Sendmsg(int(file.Fd()), data, rights, nil, unix.MSG_DONTWAIT) != nil {
			return
		}
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		m, err := old.Receive(ctx)
		if err != nil {
			return
		}
		if m.Kind == 0 || m.Kind >= kinds || len(m.Body) > MaxBody || len(fds) > 1 || (m.File != nil) != (len(fds) == 1) {
			t.Errorf("took %v with %d bytes and %d descriptors", m.Kind, len(m.Body), len(fds))
		}
		if m.File != nil {
			m.File.Close()
		}
		var body HelloBody
		m.Decode(&body)
	})
}

func TestInheritedNothing(t *testing.T) {
	if c, err := Inherited(); c != nil || err != nil {
		t.Errorf("got %v, %v", c, err)
	}
	for _, text := range []string{"", "x", "2", "-1", "100000"} {
		t.Setenv(Env, text)
		if c, err := Inherited(); c != nil || err == nil {
			t.Errorf("%q: got %v, %v", text, c, err)
		}
	}
}
