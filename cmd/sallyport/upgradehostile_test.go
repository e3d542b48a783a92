package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/edge/admin"
)

// change edits the configuration, for the next reload or process.
func (r *edgeRig) change(old, new string) {
	r.t.Helper()
	text, err := os.ReadFile(filepath.Join(r.dir, "sallyport.yaml"))
	if err != nil || !strings.Contains(string(text), old) {
		r.t.Fatalf("no %q in the configuration, %v", old, err)
	}
	r.write("sallyport.yaml", strings.Replace(string(text), old, new, 1))
}

// failAs fails a handshake as a client at that address, as a proxy names it.
func (r *edgeRig) failAs(address string) {
	r.t.Helper()
	raw, err := net.Dial("tcp", r.address)
	if err != nil {
		r.t.Fatal(err)
	}
	fmt.Fprintf(raw, "PROXY TCP4 %s 127.0.0.1 1024 443\r\n", address)
	conn := tls.Client(raw, r.clientConfig("client2"))
	defer conn.Close()
	if err := conn.Handshake(); err == nil {
		if _, err = conn.Read(make([]byte, 1)); err == nil {
			r.t.Fatal("admitted")
		}
	}
}

// An attacker gets no fresh count of failures from an upgrade: those of before count
// on.
func TestUpgradeKeepsScores(t *testing.T) {
	r := startRig(t)
	r.change("    mutual_authentication:", "    proxy_protocol: {from: [127.0.0.1/32]}\n    mutual_authentication:")
	r.change("datapath: userspace", "datapath: userspace, failures: 4, within: 1h")
	if out, code := r.runToEnd("reload", "-c", "sallyport.yaml"); code != 0 {
		t.Fatalf("reload: exit %d, %s", code, out)
	}
	for n := range 3 {
		r.failAs("203.0.113.7")
		r.await("it is logged", func() bool {
			text, _ := os.ReadFile(filepath.Join(r.dir, "connection.log"))
			return strings.Count(string(text), "203.0.113.7") > n
		})
	}
	if banned := r.banned(); banned != "" {
		t.Fatalf("banned: %q", banned)
	}
	r.mustUpgrade()
	r.await("the old process has ended", func() bool { return strings.Contains(r.log(), "msg=drained") && r.status().Predecessor == nil })
	r.failAs("203.0.113.7")
	r.await("it is banned", func() bool { return r.banned() == "203.0.113.7/32" })
}

// An upload that hangs keeps nobody from upgrading, and is not answered for when the
// rest of it comes to a process whose successor serves.
func TestUpgradeWhileUploadHangs(t *testing.T) {
	r := startRig(t)
	r.change("trust_stores: {clients:", "trust_stores: {devices: {source: api}, clients:")
	for _, args := range [][]string{
		{"reload", "-c", "sallyport.yaml"},
		{"truststore", "put", "devices", "--ca-bundle", "ca.pem", "-c", "sallyport.yaml"},
	} {
		if out, code := r.runToEnd(args...); code != 0 {
			t.Fatalf("%s: exit %d, %s", args[0], code, out)
		}
	}
	crl, err := os.ReadFile(filepath.Join(r.dir, "crl.pem"))
	if err != nil {
		t.Fatal(err)
	}
	read, write := io.Pipe()
	answered := make(chan error, 1)
	go func() { answered <- r.client.Do(t.Context(), http.MethodPost, "/truststores/devices/crls", read, nil) }()
	if _, err := write.Write(crl[:len(crl)/2]); err != nil {
		t.Fatal(err)
	}
	r.await("the upload has begun", func() bool {
		staged, _ := filepath.Glob(filepath.Join(r.dir, "state", "*", "devices", "*", "upload-*.tmp"))
		more, _ := filepath.Glob(filepath.Join(r.dir, "state", "*", "devices", "*", "*", "upload-*.tmp"))
		return len(staged)+len(more) > 0
	})
	r.mustUpgrade()
	go func() {
		write.Write(crl[len(crl)/2:])
		write.Close()
	}()
	if err := <-answered; err == nil {
		t.Error("the process that has left answered for it")
	}
	var versions []admin.TrustStoreVersion
	if err := r.client.Get(t.Context(), "/truststores/devices/history", &versions); err != nil || len(versions) != 1 {
		t.Errorf("%d versions, %v; want that of the bundle", len(versions), err)
	}
}

// Two upgrades in a row, with connections open in each process: status tells of all
// that drain.
func TestUpgradeShowsAllThatDrain(t *testing.T) {
	r := startRig(t)
	load := &traffic{r: r, config: r.clientConfig("client")}
	var pids []int
	for range 2 {
		conn, err := load.dial(load.config)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		io.WriteString(conn, "GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
		if _, err := conn.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		pids = append(pids, r.status().PID)
		r.mustUpgrade()
	}
	r.await("both are shown", func() bool {
		p := r.status().Predecessor
		return p != nil && p.PID == pids[1] && p.Connections == 1 && len(p.Earlier) == 1 && p.Earlier[0].PID == pids[0] && p.Earlier[0].Connections == 1
	})
	out, _ := r.runToEnd("status", "-c", "sallyport.yaml")
	if want := fmt.Sprintf("took over from pid %d, which drains 1 connections\nbefore it pid %d, which drains 1 connections", pids[1], pids[0]); !strings.Contains(out, want) {
		t.Errorf("status:\n%s", out)
	}
}
