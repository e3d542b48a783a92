package main

import (
	"bufio"
	"crypto/tls"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/edge"
	"github.com/sallyport/sallyport/edge/admin"
	"github.com/sallyport/sallyport/edge/config"
)

// TestUpgradeKilled kills the new process, as kill -9 does, at every stage at which
// it could be: the old one goes on, and no client notices. The upgrade after that
// succeeds.
func TestUpgradeKilled(t *testing.T) {
	r := startRig(t, dieFile+"=stage")
	pid := r.status().PID
	r.ban("203.0.113.9")
	sessions := tls.NewLRUClientSessionCache(4)
	if r.resumes(sessions) {
		t.Error("a session was resumed before there was one")
	}
	load := r.startTraffic()
	for i, stage := range []string{
		edge.StageStarted, edge.StageSockets, edge.StagePrepared, edge.StageSettled, edge.StageOpened, edge.StageReady, edge.StageGo,
	} {
		r.write("stage", stage)
		before := load.total()
		_, err := r.upgrade(admin.UpgradeRequest{})
		if err == nil || !strings.Contains(err.Error(), "signal: killed") {
			t.Fatalf("killed when it %s: %v", stage, err)
		}
		if now := r.status(); now.PID != pid || now.State != admin.Ready {
			t.Fatalf("killed when it %s: pid %d answers, %s; want pid %d", stage, now.PID, now.State, pid)
		}
		r.ban("203.0.113." + string(rune('1'+i))) // saves, whoever had the file
		r.await("requests are answered", func() bool { return load.total() > before+20 })
	}
	r.write("stage", "")
	banned := r.banned()
	r.mustUpgrade()
	load.end()
	if now := r.banned(); len(now) != len(banned) || strings.Count(now, "/32") != 8 {
		t.Errorf("banned: %s; want %s", now, banned)
	}
	if !r.resumes(sessions) {
		t.Error("the session of the first process was not resumed")
	}
	lock, err := os.ReadFile(filepath.Join(r.dir, "state", "lock"))
	if err != nil || strings.TrimSpace(string(lock)) == "" || r.status().PID == pid {
		t.Errorf("lock: %q, %v", lock, err)
	}
}

// resumes makes one connection with these sessions, and another certificate than
// the traffic's, which has used up what one may have.
func (r *edgeRig) resumes(sessions tls.ClientSessionCache) bool {
	r.t.Helper()
	t := &traffic{r: r, config: r.clientConfig("other")}
	t.config.ClientSessionCache = sessions
	conn, err := t.dial(t.config)
	if err != nil {
		r.t.Fatal(err)
	}
	defer conn.Close()
	if _, err := exchange(conn, bufio.NewReader(conn)); err != nil {
		r.t.Fatal(err)
	}
	return conn.ConnectionState().DidResume
}

// TestUpgradeHangs has a program for a successor that does nothing: it is ended
// when its time is over, and so is the attempt when nobody waits for it any more.
func TestUpgradeHangs(t *testing.T) {
	r := startRig(t)
	r.write("hang.sh", "#!/bin/sh\necho $$ >hang.pid\nexec sleep 1000\n")
	program := filepath.Join(r.dir, "hang.sh")
	if err := os.Chmod(program, 0o700); err != nil {
		t.Fatal(err)
	}
	pid := r.status().PID
	_, err := r.upgrade(admin.UpgradeRequest{Program: program, Timeout: config.Duration(300 * time.Millisecond)})
	if err == nil || !strings.Contains(err.Error(), "not ready within 300ms") {
		t.Errorf("got %v", err)
	}
	text, err := os.ReadFile(filepath.Join(r.dir, "hang.pid"))
	if hung := strings.TrimSpace(string(text)); err == nil && hung != "" { // it may have come to neither
		if _, err := os.Stat("/proc/" + hung); err == nil {
			t.Error("the process that hung is still there")
		}
	}
	if now := r.status().PID; now != pid {
		t.Errorf("pid %d answers, want %d", now, pid)
	}
	r.mustUpgrade()
}

// TestTwoEdges: another edge on the same state directory is refused by name.
func TestTwoEdges(t *testing.T) {
	r := startRig(t)
	text, err := os.ReadFile(filepath.Join(r.dir, "sallyport.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	r.write("other.yaml", strings.ReplaceAll(strings.ReplaceAll(string(text), "run/admin.sock", "run2/admin.sock"), r.address, "127.0.0.1:0"))
	out, code := r.runToEnd("run", "-c", "other.yaml")
	want := "is in use by another edge (pid " + strconv.Itoa(r.status().PID) + "): want a directory for each"
	if code != exitRefused || !strings.Contains(out, want) {
		t.Errorf("exit %d, %s\nwant %q", code, out, want)
	}
	r.mustUpgrade() // and whoever has taken over has the lock
	out, code = r.runToEnd("run", "-c", "other.yaml")
	want = "is in use by another edge (pid " + strconv.Itoa(r.status().PID) + ")"
	if code != exitRefused || !strings.Contains(out, want) {
		t.Errorf("exit %d, %s\nwant %q", code, out, want)
	}
}
