package peers

import (
	"context"
	"debug/buildinfo"
	"errors"
	"os"
	"runtime/debug"
	"strings"
	"testing"
)

func TestNginxVersion(t *testing.T) {
	for _, test := range []struct{ said, want string }{
		{"nginx version: nginx/1.22.1\nbuilt with OpenSSL 3.0.20 7 Apr 2026 (running with OpenSSL 3.0.19 27 Jan 2026)", "1.22.1, OpenSSL 3.0.19"},
		{"nginx version: nginx/1.31.5\nbuilt by gcc 12.2.0 (Debian)\nbuilt with OpenSSL 3.5.1 1 Jul 2025", "1.31.5, OpenSSL 3.5.1"},
		{"something else", "of unknown version"},
	} {
		if got := nginxVersion(test.said); got != test.want {
			t.Errorf("nginxVersion(%q) = %q, want %q", test.said, got, test.want)
		}
	}
}

func TestHAProxyVersion(t *testing.T) {
	for _, test := range []struct{ said, want string }{
		{"HAProxy version 2.6.12-1+deb12u4 2026/10/17 - https://haproxy.org/\nBuilt with OpenSSL version : OpenSSL 3.0.22 25 Aug 2026\nRunning on OpenSSL version : OpenSSL 3.0.19 27 Jan 2026", "2.6.12, OpenSSL 3.0.19"},
		{"HAProxy version 3.5-dev5 2026/01/01", "3.5"},
		{"something else", "of unknown version"},
	} {
		if got := haproxyVersion(test.said); got != test.want {
			t.Errorf("haproxyVersion(%q) = %q, want %q", test.said, got, test.want)
		}
	}
}

func TestCaddyVersion(t *testing.T) {
	module := &debug.Module{Path: caddyPath, Version: "v2.11.9"}
	for _, test := range []struct {
		name string
		info debug.BuildInfo
		want string
	}{
		{"go install", debug.BuildInfo{GoVersion: "go1.26.8", Main: *module}, "2.11.9, go1.26.8"},
		{"its own builder", debug.BuildInfo{GoVersion: "go1.26.8", Main: debug.Module{Path: "caddy"}, Deps: []*debug.Module{{Path: "x"}, module}}, "2.11.9, go1.26.8"},
		{"something else", debug.BuildInfo{GoVersion: "go1.26.8"}, "of unknown version, go1.26.8"},
	} {
		if got := caddyVersion(&test.info); got != test.want {
			t.Errorf("%s: caddyVersion = %q, want %q", test.name, got, test.want)
		}
	}
}

// A program that is missing is left out with a note, but not where it was asked
// for by name.
func TestFindMissing(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	missing := &kind{name: "Nothing", find: func(context.Context, *Options) (program, error) {
		binary, err := lookUp("no-such-server")
		return program{binary: binary}, err
	}}
	var log strings.Builder
	b := &bench{Options: Options{Log: &log}}
	if err := b.find(t.Context(), []*kind{missing}); err != nil {
		t.Errorf("find: %v, want none", err)
	}
	const note = "Nothing is left out: no-such-server is not installed."
	if len(b.servers) != 0 || len(b.notes) != 1 || b.notes[0] != note || log.String() != note+"\n" {
		t.Errorf("servers %v, notes %q, log %q, want none and %q", b.servers, b.notes, log.String(), note)
	}
	b.Peers = []string{"Nothing"}
	if err := b.find(t.Context(), []*kind{missing}); !errors.Is(err, errMissing) {
		t.Errorf("find of what was asked for: %v, want %v", err, errMissing)
	}
}

func TestFindSallyport(t *testing.T) {
	_, err := findSallyport(t.Context(), &Options{Sallyport: "no/such/binary"})
	if !errors.Is(err, os.ErrNotExist) || errors.Is(err, errMissing) {
		t.Errorf("find a binary that is not there: %v, want an error, since nothing is measured without", err)
	}
}

// Caddy is built when it is missing, but not in a quick run that does not name it.
func TestFindCaddy(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	o := &Options{Dir: t.TempDir(), Quick: true}
	if _, err := findCaddy(t.Context(), o); !errors.Is(err, errMissing) || !strings.Contains(err.Error(), "quick run") {
		t.Errorf("quick run: %v, want that it does not build", err)
	}
	o.Peers = []string{"caddy"}
	if _, err := findCaddy(t.Context(), o); !errors.Is(err, errMissing) || !strings.Contains(err.Error(), "go command") {
		t.Errorf("named, with nothing to build it: %v, want that the go command is missing", err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	info, err := buildinfo.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	got, err := findCaddy(t.Context(), &Options{Caddy: self})
	if want := (program{binary: self, version: "of unknown version, " + info.GoVersion}); err != nil || got != want {
		t.Errorf("given: %+v, %v, want %+v", got, err, want)
	}
}
