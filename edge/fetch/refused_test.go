package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestBadServers: nothing wrong is taken, what was good stays, and the reason is
// told.
func TestBadServers(t *testing.T) {
	zeros := make([]byte, 64<<10)
	for name, tt := range map[string]struct {
		serve http.HandlerFunc
		want  string
	}{
		"stalls before the headers": {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "timeout"},
		"stalls in the body": {func(w http.ResponseWriter, r *http.Request) {
			_, _ = w.Write([]byte("begin"))
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}, "broke after 5 bytes"},
		"cuts": {func(w http.ResponseWriter, _ *http.Request) {
			raw(t, w, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegin")
		}, "broke after 5 bytes: unexpected EOF"},
		"cuts chunks": {func(w http.ResponseWriter, _ *http.Request) {
			raw(t, w, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbegin\r\n")
		}, "broke after 5 bytes: unexpected EOF"},
		"says less than it sends": {func(w http.ResponseWriter, _ *http.Request) {
			raw(t, w, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbad news")
		}, "it is bad"},
		"contradicts itself": {func(w http.ResponseWriter, _ *http.Request) {
			raw(t, w, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 8\r\n\r\nnew news")
		}, "Content-Length"},
		"an older thing":      {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "bad: older") }, "it is bad"},
		"a gigabyte, it says": {func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Length", "1073741824") }, "1073741824 bytes: want at most"},
		"a gigabyte of zeros": {func(w http.ResponseWriter, _ *http.Request) {
			for range 1 << 14 {
				if _, err := w.Write(zeros); err != nil {
					return
				}
			}
		}, "larger than 1048576"},
		"never ends its headers": {func(w http.ResponseWriter, _ *http.Request) {
			raw(t, w, "HTTP/1.1 200 OK\r\n"+strings.Repeat("X: "+strings.Repeat("x", 1000)+"\r\n", 200))
		}, "headers exceeded"},
		"never ends its informational responses": {func(w http.ResponseWriter, _ *http.Request) {
			raw(t, w, strings.Repeat("HTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n", 20000))
		}, "headers exceeded"},
		"redirects to itself": {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.String(), http.StatusFound) }, "more than 2 redirects"},
		"redirects to metadata": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://169.254.169.254/latest", http.StatusFound)
		}, "metadata service"},
		"redirects to mapped metadata": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://[::ffff:a9fe:a9fe]/", http.StatusFound)
		}, "metadata service"},
		"redirects to a file": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "file:///etc/passwd", http.StatusFound)
		}, `scheme "file"`},
		"redirects with a password": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://u:p@"+r.Host+"/", http.StatusFound)
		}, "user name or password"},
		"304 unasked": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(304) }, "304"},
		"206 unasked": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Range", "bytes 0-2/3")
			w.WriteHeader(206)
		}, "was asked for all"},
		"200 with Content-Range": {func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Range", "bytes 5-7/8") }, "want all of the file"},
		"gzip": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			fmt.Fprint(w, "z")
		}, `encoding "gzip"`},
		"zstd": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "zstd")
			fmt.Fprint(w, "z")
		}, `encoding "zstd"`},
		"404":                    {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) }, "404"},
		"204":                    {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }, "204"},
		"not HTTP":               {func(w http.ResponseWriter, _ *http.Request) { raw(t, w, "SSH-2.0-x\r\n") }, "malformed HTTP"},
		"416 to a whole request": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(416) }, "starts again"},
		"closes without a word":  {func(w http.ResponseWriter, _ *http.Request) { raw(t, w, "") }, "EOF"},
		"a body that is too short": {func(w http.ResponseWriter, _ *http.Request) {
			raw(t, w, "HTTP/1.0 200 OK\r\n\r\nbad")
		}, "it is bad"},
	} {
		t.Run(name, func(t *testing.T) {
			good := true
			server := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if good {
					fmt.Fprint(w, "good")
					return
				}
				tt.serve(w, r)
			})
			o := options(t.TempDir())
			o.Network.IdleTimeout = time.Second
			if !strings.Contains(name, "stalls") {
				o.Network.IdleTimeout = 0
			}
			s, c := sourceOf(t, o, server.URL)
			if changed, err := s.fetch(t.Context()); err != nil || !changed {
				t.Fatal(changed, err)
			}
			good = false
			changed, err := s.fetch(t.Context())
			if err == nil || changed || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %t, %v, want an error with %q", changed, err, tt.want)
			}
			if took := c.all(); len(took) != 1 {
				t.Errorf("took %.100q", took)
			}
			if left, err := os.ReadFile(s.spool.body()); err != nil || string(left) != "good" {
				t.Errorf("kept %q, %v", left, err)
			}
			if parts, _ := filepath.Glob(filepath.Join(o.Dir, "*.part")); len(parts) != 0 {
				t.Errorf("left %v", parts)
			}
		})
	}
}

// TestTimeout: a server that trickles is given up too.
func TestTimeout(t *testing.T) {
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		ticker := time.NewTicker(5 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-r.Context().Done():
				return
			case <-ticker.C:
				_, _ = w.Write([]byte("."))
				w.(http.Flusher).Flush()
			}
		}
	})
	o := options(t.TempDir())
	o.Timeout = 300 * time.Millisecond
	s, _ := sourceOf(t, o, server.URL)
	if _, err := s.fetch(t.Context()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

// TestRedirects: two are followed, three are not.
func TestRedirects(t *testing.T) {
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if n := len(r.URL.Path) - 1; n > 0 {
			http.Redirect(w, r, "/"+strings.Repeat("x", n-1), http.StatusFound)
			return
		}
		fmt.Fprint(w, "good")
	})
	for path, ok := range map[string]bool{"/": true, "/xx": true, "/xxx": false} {
		s, _ := sourceOf(t, options(t.TempDir()), server.URL+path)
		if _, err := s.fetch(t.Context()); (err == nil) != ok {
			t.Errorf("%d redirects: %v", len(path)-1, err)
		}
	}
}

func TestRefusedByDefault(t *testing.T) {
	server := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("the server was asked") })
	o := options(t.TempDir())
	o.Network.Allow = nil
	s, _ := sourceOf(t, o, server.URL)
	var refused *AddressError
	if _, err := s.fetch(t.Context()); !errors.As(err, &refused) || refused.Kind != "loopback" {
		t.Errorf("got %v", err)
	}
}

func TestHTTPS(t *testing.T) {
	plain := serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "good") })
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/down" {
			http.Redirect(w, r, plain.URL, http.StatusFound)
			return
		}
		fmt.Fprint(w, "good")
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	o := options(t.TempDir())
	s, _ := sourceOf(t, o, server.URL)
	if _, err := s.fetch(t.Context()); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("a server of an unknown CA: %v", err)
	}
	o.Network.Roots = server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	s, c := sourceOf(t, o, server.URL)
	if _, err := s.fetch(t.Context()); err != nil || len(c.all()) != 1 {
		t.Errorf("got %v, %q", err, c.all())
	}
	s, _ = sourceOf(t, o, server.URL+"/down")
	if _, err := s.fetch(t.Context()); err == nil || !strings.Contains(err.Error(), "from https to http") {
		t.Errorf("redirect to http: %v", err)
	}
}

func TestRefusedURLs(t *testing.T) {
	f, err := New(options(t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range []string{"", "ftp://x/y", "file:///etc/passwd", "http://", "http://u:p@h/", "http://u@h/", "ldap://h/cn=x", "//h/x", "http://h:port/", "%"} {
		if err := f.Add(u, (&consumer{}).accept); err == nil {
			t.Errorf("%q was taken", u)
		}
	}
}

// TestRedirectsWithin: who says which hosts may be asked is heard at each
// redirect, and the other rules hold beside that.
func TestRedirectsWithin(t *testing.T) {
	asked := false
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch host, port, _ := strings.Cut(r.Host, ":"); {
		case host != "127.0.0.1":
			asked = true
		case r.URL.Path == "/away":
			http.Redirect(w, r, "http://127.0.0.2:"+port+"/", http.StatusFound)
			return
		case r.URL.Path == "/within":
			http.Redirect(w, r, "/", http.StatusFound)
			return
		case r.URL.Path == "/round":
			http.Redirect(w, r, "/round", http.StatusFound)
			return
		}
		fmt.Fprint(w, "good")
	})
	f, err := New(options(t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"/away": `redirect to host "127.0.0.2" is refused`, "/within": "", "/round": "more than 2 redirects"} {
		url := server.URL + path
		if err := f.AddWithin(url, func(host string) bool { return host == "127.0.0.1" }, (&consumer{}).accept); err != nil {
			t.Fatal(err)
		}
		s := f.sources[url]
		t.Cleanup(s.drop)
		if _, err := s.fetch(t.Context()); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", path, err, want)
		}
	}
	if asked {
		t.Error("the other host was asked")
	}
}
