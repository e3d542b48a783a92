package fetch

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestWrittenTwiceInASecond: a file that is replaced within the second in which it was
// fetched is news, to a server that tells files by that second alone.
func TestWrittenTwiceInASecond(t *testing.T) {
	dir := t.TempDir()
	files := http.FileServer(http.Dir(dir))
	conditions := 0
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("If-Modified-Since") != "" {
			conditions++
		}
		files.ServeHTTP(w, r)
	})
	write := func(content string, at time.Time) {
		t.Helper()
		path := filepath.Join(dir, "ca.crl")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	s, c := sourceOf(t, options(t.TempDir()), server.URL+"/ca.crl")
	fetch := func(want bool) {
		t.Helper()
		if changed, err := s.fetch(t.Context()); err != nil || changed != want {
			t.Fatalf("changed %t, %v, want %t", changed, err, want)
		}
	}
	now := time.Now()
	write("one", now)
	fetch(true)
	write("two", now)
	fetch(true)
	long := now.Add(-time.Hour)
	write("three", long)
	fetch(true)
	if conditions > 0 {
		t.Errorf("asked %d times only for what is newer than this second", conditions)
	}
	fetch(false) // it has been so for long: asked for only if there is something newer
	if took := c.all(); len(took) != 3 || conditions != 1 {
		t.Errorf("took %q, and asked for what is newer %d times, want once", took, conditions)
	}
}

func TestLastModified(t *testing.T) {
	const modified = "Mon, 02 Jan 2006 15:04:05 GMT"
	received := time.Date(2006, 1, 2, 15, 4, 6, 0, time.UTC)
	for _, c := range []struct {
		name, modified, date string
		received             time.Time
		want                 string
	}{
		{"of this second", modified, modified, received, ""},
		{"of the last second", modified, "Mon, 02 Jan 2006 15:04:06 GMT", received, ""},
		{"older", modified, "Mon, 02 Jan 2006 15:04:07 GMT", received, modified},
		{"of the server's future", modified, "Mon, 02 Jan 2006 15:04:00 GMT", received.Add(time.Hour), ""},
		{"no date", modified, "", received, ""},
		{"no date, later", modified, "", received.Add(time.Second), modified},
		{"none", "", "Mon, 02 Jan 2006 15:04:07 GMT", received, ""},
		{"of our future", "Fri, 31 Dec 9999 00:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 GMT", received, ""},
		{"no time", "yesterday", "Mon, 02 Jan 2006 15:04:07 GMT", received, ""},
	} {
		h := http.Header{}
		h.Set("Last-Modified", c.modified)
		h.Set("Date", c.date)
		if got := lastModified(h, c.received); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
