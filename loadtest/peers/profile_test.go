package peers

import (
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// serveSocket answers HTTP on a unix socket, and returns the socket's path.
func serveSocket(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "p") // short, for the socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket := filepath.Join(dir, "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: handler}
	done := make(chan struct{})
	go func() {
		defer close(done)
		server.Serve(l)
	}()
	t.Cleanup(func() {
		server.Close()
		<-done
	})
	return socket
}

func TestFetchProfile(t *testing.T) {
	socket := serveSocket(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Host != "sallyport" || r.URL.RequestURI() != "/debug/pprof/profile?seconds=3" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		io.WriteString(w, "a profile")
	})
	file := filepath.Join(t.TempDir(), profileName("keep-alive HTTP/1.1 request"))
	if base := filepath.Base(file); base != "keep-alive-http-1-1-request.pprof" {
		t.Errorf("file %q", base)
	}
	if err := fetchProfile(t.Context(), socket, 3, file); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != "a profile" {
		t.Errorf("file holds %q, %v", text, err)
	}
	err := fetchProfile(t.Context(), socket, 4, filepath.Join(t.TempDir(), "none"))
	if err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("profile that is refused: %v, want 404", err)
	}
}

// A profile that is given up holds nobody up.
func TestProfileGivenUp(t *testing.T) {
	begun := make(chan struct{})
	socket := serveSocket(t, func(w http.ResponseWriter, r *http.Request) {
		close(begun)
		<-r.Context().Done()
	})
	dir := filepath.Dir(socket)
	if err := os.Mkdir(filepath.Join(dir, "admin"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(socket, filepath.Join(dir, "admin", "admin.sock")); err != nil {
		t.Fatal(err)
	}
	b := &bench{Options: Options{Profiles: t.TempDir()}}
	r := &running{site: site{Dir: dir}}
	p := b.profile(t.Context(), &server{kind: sallyport}, scenarios[0], r, profileEach)
	<-begun
	p.stop()
	if err := p.wait(); err == nil {
		t.Error("a profile that was given up is none")
	}
	if p := b.profile(t.Context(), &server{kind: nginx}, scenarios[0], r, profileEach); p != nil {
		t.Error("nginx is profiled")
	}
	var none *profiling
	if err := none.wait(); err != nil {
		t.Error(err)
	}
	none.stop()
}
