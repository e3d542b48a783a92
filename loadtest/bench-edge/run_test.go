package main

import (
	"context"
	"crypto/tls"
	"errors"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// startBench starts a backend and the Go peer, as a run does.
func startBench(t *testing.T) (*bench, *server, *client) {
	t.Helper()
	b := &bench{options: options{passes: 1, atOnce: 2, keepAlive: 2}, dir: t.TempDir()}
	var err error
	if b.files, err = makeFiles(filepath.Join(b.dir, "pki")); err != nil {
		t.Fatal(err)
	}
	if b.address, b.backend, err = b.startSelf(t.Context(), "backend", nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.backend.stop)
	s, err := b.startGo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.process.stop)
	return b, s, newClient(b.files)
}

func TestProveAndMeasure(t *testing.T) {
	b, s, client := startBench(t)
	if err := prove(t.Context(), client, b.files, s); err != nil {
		t.Fatalf("%v%s", err, s.process.said())
	}
	for _, test := range []struct {
		name string
		load load
	}{
		{"handshakes", load{units: 100, least: tick, workers: 2, open: client.openHandshakes}},
		{"keep-alive", load{units: 500, least: tick, workers: 2, open: client.openKeepAlive}},
	} {
		t.Run(test.name, func(t *testing.T) {
			w, err := measure(t.Context(), s, test.load, time.Millisecond, time.Minute)
			if err != nil {
				t.Fatalf("%v%s", err, s.process.said())
			}
			if w.units != test.load.units {
				t.Errorf("did %d units, want %d", w.units, test.load.units)
			}
			if w.perUnit() <= 0 {
				t.Errorf("a unit costs %g µs, want more than 0", w.perUnit())
			}
		})
	}
	t.Run("too little for the clock", func(t *testing.T) {
		_, err := measure(t.Context(), s, load{units: 1, least: leastCPU, workers: 1, open: client.openHandshakes}, time.Millisecond, time.Minute)
		if err == nil || !strings.Contains(err.Error(), "of CPU: want") {
			t.Errorf("measure of one unit: %v, want an error about its CPU time", err)
		}
	})
}

// A client that is refused only after its own side of the handshake must not
// count as a success.
func TestRefusedClientIsAnError(t *testing.T) {
	b, s, client := startBench(t)
	client.tls.Certificates = []tls.Certificate{b.files.revoked}
	for name, open := range map[string]func(context.Context, string, int) ([]worker, func(), error){
		"handshakes": client.openHandshakes, "keep-alive": client.openKeepAlive,
	} {
		_, err := measure(t.Context(), s, load{units: 10, workers: 1, open: open}, time.Second, time.Second)
		if err == nil {
			t.Errorf("%s: measured a server that refuses the client", name)
		}
	}
	if err := prove(t.Context(), client, b.files, s); err == nil {
		t.Error("proved a server that refuses the client")
	}
}

// A server that lets everybody in does not do what it is measured for.
func TestProveRefusesLaxServer(t *testing.T) {
	b, s, client := startBench(t)
	b.files.revoked = b.files.client
	if err := prove(t.Context(), client, b.files, s); err == nil || !strings.Contains(err.Error(), "let in") {
		t.Errorf("prove: %v, want an error: let in", err)
	}
}

func TestStopEndsChild(t *testing.T) {
	b := &bench{dir: t.TempDir()}
	_, p, err := b.startSelf(t.Context(), "backend", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, pids, err := cpuTime(p.pid); err != nil || len(pids) != 1 {
		t.Errorf("processes of the child: %v, %v, want one", pids, err)
	}
	p.stop()
	p.stop() // of a child that has ended: nothing
	if err := syscall.Kill(p.pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("signal to the ended child: %v, want ESRCH", err)
	}
	if _, _, err := cpuTime(p.pid); err == nil {
		t.Error("CPU time of an ended child, want an error")
	}
}

func TestChildThatEndsAtOnce(t *testing.T) {
	b := &bench{dir: t.TempDir()}
	_, _, err := b.startSelf(t.Context(), "no such role", nil)
	if err == nil || !strings.Contains(err.Error(), "want backend ADDRESS") {
		t.Errorf("start in an unknown role: %v, want the child's own words", err)
	}
}
