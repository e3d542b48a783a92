package pluginhost

import (
	"errors"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/edge/config"
)

// watched is an instance whose plugin reads nothing and says nothing.
func watched(t *testing.T, timeout time.Duration) *instance {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	file := os.NewFile(uintptr(fds[0]), "pair")
	conn, err := net.FileConn(file)
	if err != nil {
		t.Fatal(err)
	}
	file.Close()
	t.Cleanup(func() { conn.Close(); syscall.Close(fds[1]) })
	out, err := newOutbox(conn.(*net.UnixConn))
	if err != nil {
		t.Fatal(err)
	}
	return &instance{
		plugin: &Plugin{cfg: config.Plugin{Timeout: config.Duration(timeout)}}, process: &peer{conn: conn, done: make(chan struct{})}, out: out,
		suspect: make(chan struct{}, 1), pongs: make(chan uint32, 1), dead: make(chan struct{}),
	}
}

// TestPatience: a plugin may be at one call for as long as its timeout lets it, and
// answers no PING meanwhile where it does one after the other. Once a call has timed
// out it has a second, though a PING was on its way by then.
func TestPatience(t *testing.T) {
	for _, test := range []struct {
		name     string
		late     time.Duration // when a call times out; 0 for never
		min, max time.Duration
	}{
		{"busy", 0, idlePing + 30*time.Second, idlePing + 30*time.Second + idleUnanswered},
		{"late during an idle PING", idlePing + 2*time.Second, idlePing + 2*time.Second, idlePing + 3*time.Second},
		{"late", time.Second, time.Second, 2 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				i := watched(t, 30*time.Second)
				began := time.Now()
				i.group.Go(i.watch)
				if test.late > 0 {
					time.AfterFunc(test.late, i.suspectIt)
				}
				<-i.dead
				if took := time.Since(began); took < test.min || took > test.max || !errors.Is(i.cause, errHangs) {
					t.Errorf("ended after %v by %v; want %v to %v", took, i.cause, test.min, test.max)
				}
				i.group.Wait()
			})
		})
	}
}
