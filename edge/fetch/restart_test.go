package fetch

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// run runs f until stop is called or the test ends.
func run(t *testing.T, f *Fetcher) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
	t.Cleanup(stop)
	return stop
}

// TestRestart: what was kept is there before the network is, and is not fetched
// again.
func TestRestart(t *testing.T) {
	var asked, sent atomic.Int32
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		w.Header().Set("ETag", `"1"`)
		if r.Header.Get("If-None-Match") == `"1"` {
			w.WriteHeader(304)
			return
		}
		sent.Add(1)
		fmt.Fprint(w, "good")
	})
	o := options(filepath.Join(t.TempDir(), "new", "dir"))
	start := func(next time.Time) (*Fetcher, *consumer, func()) {
		f, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		c := &consumer{next: next}
		if err := f.Add(server.URL, c.accept); err != nil {
			t.Fatal(err)
		}
		stop := run(t, f)
		eventually(t, "taken", func() bool { return len(c.all()) > 0 })
		return f, c, stop
	}
	f, _, stop := start(time.Time{})
	eventually(t, "status", func() bool { return f.Status()[0].Bytes == 4 })
	stop()
	if err := f.Run(t.Context()); !errors.Is(err, errRunning) {
		t.Errorf("ran twice: %v", err)
	}
	if err := f.Add(server.URL+"/2", (&consumer{}).accept); !errors.Is(err, errStopped) {
		t.Errorf("added to one that has stopped: %v", err)
	}
	for _, path := range []string{f.options.Dir, spoolOf(o.Dir, server.URL).body(), spoolOf(o.Dir, server.URL).facts()} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
	if urls, err := f.Kept(); err != nil || len(urls) != 1 || urls[0] != server.URL {
		t.Errorf("kept %q, %v", urls, err)
	}

	// Not due: nobody is asked. Due: with the validators of before.
	f, _, stop = start(time.Now().Add(time.Hour))
	eventually(t, "plan", func() bool { return time.Until(f.Status()[0].NextAttempt) > 50*time.Minute })
	stop()
	if asked.Load() != 1 {
		t.Errorf("asked %d times", asked.Load())
	}
	f, c, stop := start(time.Now())
	eventually(t, "asked", func() bool { return asked.Load() == 2 && !f.Status()[0].Fetching })
	stop()
	if sent.Load() != 1 || len(c.all()) != 1 {
		t.Errorf("sent %d times, took %q", sent.Load(), c.all())
	}

	// A crash between body and facts: the bytes count, the facts do not.
	body := spoolOf(o.Dir, server.URL).body()
	if err := os.WriteFile(body, []byte("newer"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, c, stop = start(time.Now())
	eventually(t, "sent", func() bool { return sent.Load() == 2 && len(c.all()) == 2 })
	stop()
	if took := c.all(); took[0] != "newer" || took[1] != "good" {
		t.Errorf("took %q", took)
	}

	// Damage, which the consumer sees.
	if err := os.WriteFile(body, []byte("bad"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, c, _ = start(time.Time{})
	if took := c.all(); took[0] != "good" {
		t.Errorf("took %q", took)
	}
	eventually(t, "sent again", func() bool { return sent.Load() == 3 && f.Status()[0].LastError == "" })

	f.Remove(server.URL)
	eventually(t, "removed", func() bool {
		left, err := os.ReadDir(o.Dir)
		return err == nil && len(left) == 0
	})
	if len(f.Status()) != 0 {
		t.Errorf("status is %+v", f.Status())
	}
}

// TestRemoveWhileFetching: the download ends, and its file goes.
func TestRemoveWhileFetching(t *testing.T) {
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte("begin"))
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	o := options(t.TempDir())
	f, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	run(t, f)
	if err := f.Add(server.URL, (&consumer{}).accept); err != nil {
		t.Fatal(err)
	}
	if err := f.Add(server.URL, (&consumer{}).accept); !errors.Is(err, errKnown) {
		t.Errorf("added twice: %v", err)
	}
	eventually(t, "received", func() bool { return f.Status()[0].Received == 5 })
	f.Remove(server.URL)
	eventually(t, "removed", func() bool {
		left, err := os.ReadDir(o.Dir)
		return err == nil && len(left) == 0
	})
}

func TestMaxURLs(t *testing.T) {
	o := options(t.TempDir())
	o.MaxURLs = 1
	f, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Add("http://a.example/", (&consumer{}).accept); err != nil {
		t.Fatal(err)
	}
	if err := f.Add("http://b.example/", (&consumer{}).accept); err == nil || !strings.Contains(err.Error(), "1 URLs already") {
		t.Errorf("got %v", err)
	}
	f.Remove("http://a.example/")
	if err := f.Add("http://b.example/", (&consumer{}).accept); err != nil {
		t.Error(err)
	}
}

func TestForeignDirectory(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := New(options(dir)); err == nil || !strings.Contains(err.Error(), "others cannot write") {
		t.Errorf("got %v", err)
	}
}

// TestKeep: a consumer has the file in its place before it writes anything down;
// one that fails afterwards gets it whole once more.
func TestKeep(t *testing.T) {
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"1"`)
		if r.Header.Get("If-None-Match") != "" {
			w.WriteHeader(304)
			return
		}
		fmt.Fprint(w, "good")
	})
	f, err := New(options(t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	fails := true
	err = f.Add(server.URL, func(_ context.Context, path string, keep func() error) (time.Time, error) {
		if err := errors.Join(keep(), keep()); err != nil {
			return time.Time{}, err
		}
		if content, err := os.ReadFile(KeptFile(f.options.Dir, server.URL)); err != nil || string(content) != "good" {
			t.Errorf("kept %q, %v", content, err)
		}
		if fails {
			return time.Time{}, errBad
		}
		return time.Time{}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	s := f.sources[server.URL]
	if changed, err := s.fetch(t.Context()); changed || !errors.Is(err, errBad) {
		t.Errorf("it fails: changed %t, %v", changed, err)
	}
	fails = false
	if changed, err := s.fetch(t.Context()); !changed || err != nil {
		t.Errorf("then: changed %t, %v", changed, err)
	}
	if changed, err := s.fetch(t.Context()); changed || err != nil {
		t.Errorf("at last: changed %t, %v", changed, err)
	}
}
