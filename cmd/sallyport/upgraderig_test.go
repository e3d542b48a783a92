package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sallyport/sallyport/edge/admin"
	"github.com/sallyport/sallyport/loadtest/port"
)

// dieFile names a file in the environment; what is in it is the stage of a
// takeover at which the process is to kill itself.
const dieFile = "SALLYPORT_TEST_DIE_FILE"

// dieAtStage is kill -9 at a stage, for certain.
func dieAtStage(stage string) {
	want, err := os.ReadFile(os.Getenv(dieFile))
	if err == nil && strings.TrimSpace(string(want)) == stage {
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
}

// holdFile names a file in the environment; what is in it is the stage at which the
// process is to wait until something else is in it. It makes a file beside it, with
// ".held" in its name, when it waits.
const holdFile = "SALLYPORT_TEST_HOLD_FILE"

func atStage(stage string) {
	name := os.Getenv(holdFile)
	for {
		dieAtStage(stage)
		want, err := os.ReadFile(name)
		if err != nil || strings.TrimSpace(string(want)) != stage {
			return
		}
		os.WriteFile(name+".held", nil, 0o600)
		time.Sleep(time.Millisecond)
	}
}

// edgeRig is the real program with a target, in a directory with makePKI's files.
type edgeRig struct {
	t       *testing.T
	dir     string
	address string
	client  *admin.Client
	first   *exec.Cmd
}

const rigConfig = `
state_dir: state
admin: {socket: run/admin.sock}
logs: {connection: {file: connection.log, format: json}}
trust_stores: {clients: {ca_bundle: {file: ca.pem}}}
certificates: [{name: localhost, file: {cert: server.crt, key: server.key}}]
target_groups: {app: {targets: ["http://%s"]}}
ban: {mode: enforce, datapath: userspace}
listeners:
  verify:
    address: %q
    mutual_authentication: {mode: verify, trust_store: clients}
    default_action: {forward: app}
`

// startRig runs the edge; more is added to its environment.
func startRig(t *testing.T, env ...string) *edgeRig {
	t.Helper()
	r := &edgeRig{t: t, dir: t.TempDir()}
	if err := makePKI(r.dir); err != nil {
		t.Fatal(err)
	}
	target := httptest.NewServer(http.HandlerFunc(echoTarget))
	t.Cleanup(target.Close)
	address, release, err := port.ReserveAddress("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(release)
	r.address = address
	r.write("sallyport.yaml", fmt.Sprintf(rigConfig, target.Listener.Addr(), r.address))
	r.client = admin.NewClient(filepath.Join(r.dir, "run", "admin.sock"))
	r.start(env...)
	return r
}

// echoTarget answers with a few bytes, or switches protocols and then sends back
// what it gets.
func echoTarget(w http.ResponseWriter, req *http.Request) {
	if req.Header.Get("Upgrade") == "" {
		io.Copy(io.Discard, req.Body)
		io.WriteString(w, "welcome")
		return
	}
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")
	io.Copy(conn, rw)
}

func (r *edgeRig) write(name, text string) {
	r.t.Helper()
	if err := os.WriteFile(filepath.Join(r.dir, name), []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// start runs the first process. Its log goes to a file, since a pipe would end
// with the last successor only.
func (r *edgeRig) start(env ...string) {
	r.t.Helper()
	log, err := os.Create(filepath.Join(r.dir, "edge.log"))
	if err != nil {
		r.t.Fatal(err)
	}
	defer log.Close()
	program, err := exec.LookPath("sallyport")
	if err != nil {
		r.t.Fatal(err)
	}
	r.first = exec.Command(program, "run", "-c", "sallyport.yaml")
	r.first.Dir, r.first.Stdout, r.first.Stderr = r.dir, log, log
	r.first.Env = append(os.Environ(), env...)
	if err := r.first.Start(); err != nil {
		r.t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); r.first.Wait() }()
	r.t.Cleanup(func() {
		endSuccessor(filepath.Join(r.dir, "run", "admin.sock"))
		r.first.Process.Kill()
		<-ended
		if r.t.Failed() {
			r.t.Logf("edge.log:\n%s", r.log())
		}
	})
	if _, err := awaitReady(r.client, 2*patience); err != nil {
		r.t.Fatalf("not ready: %v\n%s", err, r.log())
	}
}

func (r *edgeRig) log() string {
	text, _ := os.ReadFile(filepath.Join(r.dir, "edge.log"))
	return string(text)
}

func (r *edgeRig) status() (s admin.Status) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	if err := r.client.Get(ctx, "/status", &s); err != nil {
		r.t.Fatal(err)
	}
	return s
}

// upgrade hands over, and returns what the edge said.
func (r *edgeRig) upgrade(request admin.UpgradeRequest) (admin.Upgraded, error) {
	body, err := json.Marshal(request)
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(r.t.Context(), 5*patience)
	defer cancel()
	var done admin.Upgraded
	return done, r.client.Do(ctx, http.MethodPost, "/upgrade", bytes.NewReader(body), &done)
}

// mustUpgrade hands over, and waits until the successor answers.
func (r *edgeRig) mustUpgrade() {
	r.t.Helper()
	before := r.status().PID
	done, err := r.upgrade(admin.UpgradeRequest{})
	if err != nil {
		r.t.Fatal(err)
	}
	r.await("the successor answers", func() bool { return r.status().PID != before })
	if s := r.status(); s.PID != done.PID {
		r.t.Errorf("pid %d answers, want %d", s.PID, done.PID)
	}
}

func (r *edgeRig) await(what string, holds func() bool) {
	r.t.Helper()
	for over := time.Now().Add(2 * patience); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(over) {
			r.t.Fatalf("not within %s: %s", 2*patience, what)
		}
	}
}

// banned are the networks that are banned, as a list for people.
func (r *edgeRig) banned() string {
	r.t.Helper()
	var list []admin.Ban
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	if err := r.client.Get(ctx, "/bans", &list); err != nil {
		r.t.Fatal(err)
	}
	var names []string
	for _, b := range list {
		names = append(names, b.Prefix.String())
	}
	return strings.Join(names, " ")
}

func (r *edgeRig) ban(address string) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	body := fmt.Sprintf(`{"prefix": "%s/32"}`, address)
	if err := r.client.Do(ctx, http.MethodPost, "/bans", strings.NewReader(body), nil); err != nil {
		r.t.Fatal(err)
	}
}

// runToEnd runs the program with these arguments until it ends.
func (r *edgeRig) runToEnd(args ...string) (out string, code int) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), 2*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sallyport", args...)
	cmd.Dir = r.dir
	text, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		r.t.Fatal(err)
	}
	return string(text), cmd.ProcessState.ExitCode()
}
