package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/edge"
	"github.com/sallyport/sallyport/edge/admin"
)

// holdAt upgrades, with the new process held at a stage. What it returns lets it go
// on, and waits for the answer.
func (r *edgeRig) holdAt(stage string) (release func() error) {
	r.t.Helper()
	os.Remove(filepath.Join(r.dir, "hold.held")) // of an upgrade before
	r.write("hold", stage)
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

// answer is how a command of the program ended.
type answer struct {
	out  string
	code int
}

// startCommand runs the program with these arguments, while something else goes on.
func (r *edgeRig) startCommand(args ...string) chan answer {
	ended := make(chan answer, 1)
	go func() {
		out, code := r.runToEnd(args...)
		ended <- answer{out, code}
	}()
	return ended
}

func revokeArgs(client string) []string {
	return []string{"revoke", "-c", "sallyport.yaml", "--trust-store", "clients", "--cert", client + ".crt"}
}

// waiting is how many changes wait in the process that answers until it is known who
// serves.
func (r *edgeRig) waiting() int {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	var stacks bytes.Buffer
	if err := r.client.Download(ctx, "/debug/pprof/goroutine?debug=2", &stacks); err != nil {
		r.t.Fatal(err)
	}
	return strings.Count(stacks.String(), "(*stateGate).enter(")
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
func TestUpgradeRevokedWhenOpened(t *testing.T) {
	r := startRig(t, holdFile+"=hold")
	if !r.admits("other") {
		t.Fatal("not admitted before it was revoked")
	}
	release := r.holdAt(edge.StageOpened)
	if out, code := r.runToEnd(revokeArgs("other")...); code != 0 {
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

// What an operator changes when the new process has been told to go on is answered
// for by neither: it is refused once that serves, and holds when it is repeated.
func TestUpgradeChangesAtGo(t *testing.T) {
	r := startRig(t, holdFile+"=hold")
	release := r.holdAt(edge.StageGo)
	commands := [][]string{
		revokeArgs("other"),
		{"ban", "203.0.113.9", "-c", "sallyport.yaml"},
	}
	var answers []chan answer
	for _, args := range commands {
		answers = append(answers, r.startCommand(args...))
	}
	r.await("the commands have reached the old process", func() bool { return r.waiting() == len(commands) })
	for _, one := range answers {
		select {
		case a := <-one:
			t.Fatalf("answered before it is known who serves: exit %d, %s", a.code, a.out)
		default:
		}
	}
	if !r.admits("other") {
		t.Error("in force, and nobody was told so")
	}
	if err := release(); err != nil {
		t.Fatal(err)
	}
	pid := strconv.Itoa(r.status().PID)
	for i, one := range answers {
		if a := <-one; a.code != exitRefused || !strings.Contains(a.out, "this edge has handed over to process "+pid+": repeat the command") {
			t.Errorf("%s: exit %d, %s", commands[i][0], a.code, a.out)
		}
		if out, code := r.runToEnd(commands[i]...); code != 0 {
			t.Errorf("%s again: exit %d, %s", commands[i][0], code, out)
		}
	}
	if r.admits("other") {
		t.Error("admitted after it was revoked")
	}
	if banned := r.banned(); banned != "203.0.113.9/32" {
		t.Errorf("banned: %q", banned)
	}
}

// A new process that dies when it was told to go on leaves the changes that waited
// to the old one.
func TestUpgradeChangesAfterAll(t *testing.T) {
	r := startRig(t, holdFile+"=hold", dieFile+"=die")
	release := r.holdAt(edge.StageGo)
	revoked := r.startCommand(revokeArgs("other")...)
	r.await("the command has reached the old process", func() bool { return r.waiting() == 1 })
	r.write("die", edge.StageGo)
	r.await("the new process has died", func() bool { return strings.Contains(r.log(), "upgrade failed") })
	if err := release(); err == nil || !strings.Contains(err.Error(), "the old process goes on") {
		t.Fatalf("got %v", err)
	}
	if a := <-revoked; a.code != 0 {
		t.Fatalf("revoke: exit %d, %s", a.code, a.out)
	}
	r.write("die", "")
	if r.admits("other") {
		t.Error("admitted by the old process")
	}
	r.mustUpgrade()
	if r.admits("other") {
		t.Error("admitted by the new process")
	}
}

// A revocation that is in force and could not be saved, as on a full disk, must not
// be forgotten by an upgrade: either it is saved by then, or there is no upgrade.
func TestUpgradeRevocationUnsaved(t *testing.T) {
	r := startRig(t)
	if out, code := r.runToEnd(revokeArgs("revoked")...); code != 0 { // so that there is a ledger
		t.Fatalf("revoke: exit %d, %s", code, out)
	}
	ledgers, err := filepath.Glob(filepath.Join(r.dir, "state", "*", "*", "revocations.json"))
	if err != nil || len(ledgers) != 1 {
		t.Fatalf("%v, %v", ledgers, err)
	}
	folder := filepath.Dir(ledgers[0])
	if err := os.Rename(folder, folder+".away"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(folder, nil, 0o600); err != nil { // where nothing can be written
		t.Fatal(err)
	}
	if out, code := r.runToEnd(revokeArgs("other")...); code == 0 || !strings.Contains(out, "which is in force") {
		t.Fatalf("revoke: exit %d, %s", code, out)
	}
	if err := errors.Join(os.Remove(folder), os.Rename(folder+".away", folder)); err != nil {
		t.Fatal(err)
	}
	r.mustUpgrade()
	for _, name := range []string{"other", "revoked"} {
		if r.admits(name) {
			t.Errorf("%s is admitted by the new process", name)
		}
	}
}

// The old process is killed, as by kill -9, when it has handed everything over: the
// new one serves, with its bans and its lock.
func TestUpgradeOldKilledAtGo(t *testing.T) {
	r := startRig(t, holdFile+"=hold")
	pid := r.status().PID
	r.ban("203.0.113.9")
	release := r.holdAt(edge.StageGo)
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
