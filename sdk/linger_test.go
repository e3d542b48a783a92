package sdk

import (
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/sallyport/sallyport/sdk/frame"
)

// TestLinger: it returns for something to read and for the end, and after its time in
// any case; and it takes nothing away.
func TestLinger(t *testing.T) {
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
		defer ends[i].Close()
	}
	r := newReader(ends[0], frame.DefaultMax)
	began := time.Now()
	r.linger()
	if d := time.Since(began); d < lingerTime {
		t.Errorf("with nothing to read it waited %v, want %v", d, lingerTime)
	}
	if _, err := ends[1].Write(frame.Append(nil, frame.Ping, 7)); err != nil {
		t.Fatal(err)
	}
	r.linger()
	if err := r.fill(); err != nil {
		t.Fatal(err)
	}
	if f, ok, err := r.next(); !ok || err != nil || f.ID != 7 {
		t.Errorf("got %+v, %t, %v", f, ok, err)
	}
	ends[1].Close()
	r.linger()
	if err := r.fill(); err != ErrHostGone {
		t.Errorf("at the end: %v", err)
	}
	if allocs := testing.AllocsPerRun(10, r.linger); allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
	ends[0].Close()
	r.linger() // of a connection that is closed: there is nothing to wait for
}
