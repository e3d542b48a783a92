package edge

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// wirePair is a wire and its client, on a real socket.
func wirePair(t *testing.T) (*wire, *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close(); server.Close() })
	client.SetDeadline(time.Now().Add(20 * time.Second))
	return &wire{Conn: server}, client.(*net.TCPConn)
}

// inSocket does something with a wire's descriptor.
func inSocket(t *testing.T, w *wire, do func(fd int) error) {
	t.Helper()
	raw, err := w.socket().SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if controlErr := raw.Control(func(fd uintptr) { err = do(int(fd)) }); controlErr != nil || err != nil {
		t.Fatal(controlErr, err)
	}
}

func (w *wire) segments(t *testing.T) (n uint32) {
	inSocket(t, w, func(fd int) error {
		info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
		if err == nil {
			n = info.Data_segs_out
		}
		return err
	})
	return n
}

// What is followed by more goes with it.
func TestCork(t *testing.T) {
	w, client := wirePair(t)
	pieces := [][]byte{bytes.Repeat([]byte("a"), 1000), bytes.Repeat([]byte("b"), 1000), bytes.Repeat([]byte("c"), 1000), bytes.Repeat([]byte("d"), 1000)}
	w.more(3)
	for i, piece := range pieces {
		if n, err := w.Write(piece); n != len(piece) || err != nil {
			t.Fatalf("write %d: %d, %v", i, n, err)
		}
	}
	w.more(0)
	got := make([]byte, 4000)
	if _, err := io.ReadFull(client, got); err != nil || !bytes.Equal(got, bytes.Join(pieces, nil)) {
		t.Errorf("client reads %.20q…, %v", got, err)
	}
	// Where this machine stood still for 200 ms, the kernel did not wait.
	if n := w.segments(t); n >= 4 {
		t.Errorf("four writes went in %d segments", n)
	}
	if n := w.sent.Load(); n != 4000 {
		t.Errorf("counted %d bytes, want 4000", n)
	}
	before := w.segments(t)
	w.Write(pieces[0])
	if n := w.segments(t); n != before+1 {
		t.Errorf("a write by itself went in %d segments", n-before)
	}
}

// Nothing stays behind when less follows than was said.
func TestCorkIsPulled(t *testing.T) {
	w, client := wirePair(t)
	w.more(5)
	if n, err := w.Write([]byte("alone")); n != 5 || err != nil {
		t.Fatalf("write: %d, %v", n, err)
	}
	w.more(0)
	inSocket(t, w, func(fd int) error {
		unsent, err := unix.IoctlGetInt(fd, unix.SIOCOUTQNSD)
		if unsent != 0 {
			t.Errorf("%d bytes wait", unsent)
		}
		return err
	})
	got := make([]byte, 5)
	if _, err := io.ReadFull(client, got); err != nil || string(got) != "alone" {
		t.Errorf("client reads %q, %v", got, err)
	}
}

// A client that reads slowly gets all of it, one that does not read has its time,
// and one that is gone is an error.
func TestCorkFull(t *testing.T) {
	w, client := wirePair(t)
	large := bytes.Repeat([]byte("0123456789abcdef"), 1<<20)
	read := make(chan []byte)
	go func() {
		got := make([]byte, len(large))
		io.ReadFull(client, got)
		read <- got
	}()
	w.more(1)
	if n, err := w.Write(large); n != len(large) || err != nil {
		t.Fatalf("write: %d, %v", n, err)
	}
	w.more(0)
	if got := <-read; !bytes.Equal(got, large) {
		t.Error("what arrives is not what was sent")
	}

	w.SetDeadline(time.Now().Add(500 * time.Millisecond))
	var err error
	for range 100 { // more than both sockets hold
		w.more(1)
		if _, err = w.Write(large); err != nil {
			break
		}
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("to a client that does not read: %v", err)
	}
	w.SetDeadline(time.Time{})
	client.SetLinger(0)
	client.Close()
	for range 100 { // until the reset is here
		w.more(1)
		if _, err = w.Write(large); err != nil {
			break
		}
	}
	if !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
		t.Errorf("to a client that is gone: %v", err)
	}
}

func TestCorkAllocatesNothing(t *testing.T) {
	w, client := wirePair(t)
	go io.Copy(io.Discard, client)
	piece := make([]byte, 1000)
	send := func() {
		w.more(1)
		w.Write(piece)
		w.Write(piece)
		w.more(0)
	}
	send()
	if n := testing.AllocsPerRun(100, send); n > 0 {
		t.Errorf("%v allocations for two writes", n)
	}
}
