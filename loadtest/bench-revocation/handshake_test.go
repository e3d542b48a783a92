package main

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestBareServer starts it, proves it and measures it as a run does.
func TestBareServer(t *testing.T) {
	b, crl, _ := smallBench(t, 500)
	s, err := b.startOurs(t.Context(), crl)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.process.Stop)
	each, err := s.measureHandshakes(t.Context(), b.clients, 5)
	if err != nil {
		t.Fatal(err)
	}
	if each <= 0 || s.start <= 0 {
		t.Errorf("a handshake takes %s, the start %s: want more than 0", each, s.start)
	}
	// A server that lets everybody in does not do what it is measured for.
	b.clients.revoked = b.clients.good
	if err := s.prove(t.Context(), b.clients); err == nil || !strings.Contains(err.Error(), "let a revoked client in") {
		t.Errorf("prove: %v, want an error", err)
	}
	s.process.Stop()
	s.process.Stop() // of one that has ended: nothing
	if err := syscall.Kill(s.process.PID, 0); err == nil {
		t.Error("the server lives on")
	}
	if err := handshake(t.Context(), b.clients, b.clients.good, s.address); err == nil {
		t.Error("handshake with a server that has ended: no error")
	}
	if _, err := s.measureHandshakes(t.Context(), b.clients, 1); err == nil {
		t.Error("measured a server that has ended")
	}
}

// TestNginx has nginx refuse what we refuse, by the same CRL.
func TestNginx(t *testing.T) {
	binary := findNginx()
	if binary == "" {
		lack(t, "nginx is not installed (Debian: nginx)")
	}
	b, crl, _ := smallBench(t, 500)
	if err := b.pki.writePEM(crl); err != nil {
		t.Fatal(err)
	}
	s, err := b.startNginx(t.Context(), binary)
	if err != nil {
		t.Fatal(err)
	}
	defer s.process.Stop()
	if !strings.HasPrefix(s.name, "nginx 1.") || !strings.Contains(s.name, "OpenSSL") {
		t.Errorf("its name is %q, want versions in it", s.name)
	}
	if used, err := groupCPU(s.process.PID); err != nil || used < 0 {
		t.Errorf("CPU time of its group: %s, %v", used, err)
	}
}

func TestServerThatEndsAtOnce(t *testing.T) {
	b, _, _ := smallBench(t, 500)
	_, err := b.startOurs(t.Context(), filepath.Join(b.dir, "no such CRL"))
	if err == nil || !strings.Contains(err.Error(), "no such CRL") {
		t.Errorf("start without a CRL: %v, want the server's own words", err)
	}
}
