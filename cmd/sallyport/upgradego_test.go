package main

import (
	"bufio"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/edge"
	"github.com/sallyport/sallyport/edge/admin"
)

// holdAtGo upgrades, with the new process held when it was told to go on. What it
// returns lets it go on, and waits for the answer.
func (r *edgeRig) holdAtGo() (release func() error) {
	r.t.Helper()
	r.write("hold", edge.StageGo)
	answered := make(chan error, 1)
	go func() {
		_, err := r.upgrade(admin.UpgradeRequest{})
		answered <- err
	}()
	r.await("the new process is held", func() bool {
		_, err := os.Stat(filepath.Join(r.dir, "hold.held"))
		return err == nil
	})
	return func() error {
		r.write("hold", "")
		return <-answered
	}
}

// admits says whether a full handshake with this client's certificate, and a request
// on it, succeed.
func (r *edgeRig) admits(client string) bool {
	t := &traffic{r: r, config: r.clientConfig(client)}
	conn, err := t.dial(t.config)
	if err != nil {
		return false
	}
	defer conn.Close()
	_, err = exchange(conn, bufio.NewReader(conn))
	return err == nil
}

// A client that is revoked in the last moment of the old process is refused by the
// new one from its first connection on.
func TestUpgradeRevokedAtGo(t *testing.T) {
	r := startRig(t, holdFile+"=hold")
	if !r.admits("other") {
		t.Fatal("not admitted before it was revoked")
	}
	release := r.holdAtGo()
	if out, code := r.runToEnd("revoke", "-c", "sallyport.yaml", "--trust-store", "clients", "--cert", "other.crt"); code != 0 {
		t.Fatalf("revoke: exit %d, %s", code, out)
	}
	if r.admits("other") {
		t.Fatal("admitted by the old process")
	}
	if err := release(); err != nil {
		t.Fatal(err)
	}
	for n := range 50 {
		if r.admits("other") {
			t.Fatalf("handshake %d after the hand-over: admitted", n)
		}
	}
	if !r.admits("client") {
		t.Error("another client is refused")
	}
}

// The old process is killed, as by kill -9, when it has handed everything over: the
// new one serves, with its bans and its lock.
func TestUpgradeOldKilledAtGo(t *testing.T) {
	r := startRig(t, holdFile+"=hold")
	pid := r.status().PID
	r.ban("203.0.113.9")
	release := r.holdAtGo()
	if err := r.first.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	r.await("the old process has ended", func() bool {
		_, err := os.Stat("/proc/" + strconv.Itoa(pid))
		return err != nil
	})
	if err := release(); err == nil {
		t.Error("the process that was killed answered")
	}
	r.await("the new process serves", func() bool { return strings.Contains(r.log(), "msg=ready") && r.admits("client") })
	now := r.status()
	if now.PID == pid || now.State != admin.Ready {
		t.Errorf("pid %d, %s", now.PID, now.State)
	}
	if banned := r.banned(); banned != "203.0.113.9/32" {
		t.Errorf("banned: %q", banned)
	}
	lock, err := os.ReadFile(filepath.Join(r.dir, "state", "lock"))
	if err != nil || strings.TrimSpace(string(lock)) != strconv.Itoa(now.PID) {
		t.Errorf("lock: %q, %v; want %d", lock, err, now.PID)
	}
	r.mustUpgrade()
}
