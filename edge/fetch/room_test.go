package fetch

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// begun are n parts of these sizes in a room.
func begun(t *testing.T, limit int64, sizes ...int) (*room, []*part) {
	t.Helper()
	r := &room{limit: limit}
	var parts []*part
	for i, size := range sizes {
		p, err := spool{t.TempDir(), fmt.Sprint(i)}.part()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(p.discard)
		r.add(p)
		if err := p.write(make([]byte, size)); err != nil {
			t.Fatal(err)
		}
		parts = append(parts, p)
	}
	return r, parts
}

func isThere(p *part) bool {
	_, err := os.Stat(p.file.Name())
	return !errors.Is(err, fs.ErrNotExist)
}

// TestRoom: broken downloads give way first, the oldest before the others, then
// the largest; never one that is being looked at.
func TestRoom(t *testing.T) {
	r, parts := begun(t, 100, 50, 10, 20, 20)
	r.mark(parts[0], false, true)
	r.mark(parts[1], true, false)
	r.mark(parts[2], true, false)
	small := parts[3]
	for i, want := range []struct {
		write int
		fails bool
		there [4]bool
	}{
		{5, false, [4]bool{true, false, true, true}},
		{10, false, [4]bool{true, false, false, true}},
		{10, false, [4]bool{true, false, false, true}},
		{10, true, [4]bool{true, false, false, false}},
		{1, true, [4]bool{true, false, false, false}},
	} {
		if err := small.write(make([]byte, want.write)); (err != nil) != want.fails {
			t.Errorf("write %d: %v", i, err)
		}
		for j, p := range parts {
			if isThere(p) != want.there[j] {
				t.Errorf("write %d: part %d is there: %t", i, j, isThere(p))
			}
		}
	}
	if r.used != 50 || len(r.parts) != 1 || r.mark(parts[1], false, false) {
		t.Errorf("used %d by %d", r.used, len(r.parts))
	}
	parts[0].discard()
	parts[0].discard()
	if r.used != 0 || len(r.parts) != 0 {
		t.Errorf("used %d by %d when all are done", r.used, len(r.parts))
	}
}

// TestLargestGivesWay: large downloads do not keep a small one away.
func TestLargestGivesWay(t *testing.T) {
	_, parts := begun(t, 100, 40, 55, 3)
	if err := parts[2].write(make([]byte, 3)); err != nil || isThere(parts[1]) || !isThere(parts[0]) {
		t.Errorf("got %v", err)
	}
	if err := parts[1].write([]byte("x")); err == nil || !strings.Contains(err.Error(), "more than 100 bytes") {
		t.Errorf("the largest goes on: %v", err)
	}
}

// TestRoomOfAFetcher has downloads of many URLs break, each of which could be
// resumed: the disk has no more of them than it may, and the oldest starts anew.
func TestRoomOfAFetcher(t *testing.T) {
	ranges := map[string]string{}
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if path := r.URL.Path; ranges[path] == "" {
			ranges[path] = "broke"
			raw(t, w, "HTTP/1.1 200 OK\r\nETag: \"1\"\r\nContent-Length: 1000\r\n\r\n"+strings.Repeat("x", 400))
			return
		}
		ranges[r.URL.Path] = "again " + r.Header.Get("Range")
		w.WriteHeader(503)
	})
	o := options(t.TempDir())
	o.MaxSize = 1000
	f, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	var sources []*source
	for i := range 8 {
		url := fmt.Sprintf("%s/%d", server.URL, i)
		if err := f.Add(url, (&consumer{}).accept); err != nil {
			t.Fatal(err)
		}
		s := f.sources[url]
		t.Cleanup(s.drop)
		sources = append(sources, s)
		s.attempt(t.Context())
		var size int64
		left, _ := filepath.Glob(filepath.Join(o.Dir, "*.part"))
		for _, path := range left {
			if info, err := os.Stat(path); err == nil {
				size += info.Size()
			}
		}
		if want := int64(min(i+1, 5) * 400); size != want {
			t.Errorf("%d bytes after %d downloads, want %d", size, i+1, want)
		}
	}
	for _, i := range []int{0, 7} {
		sources[i].attempt(t.Context())
	}
	if ranges["/0"] != "again " || ranges["/7"] != "again bytes=400-" {
		t.Errorf("asked for %q", ranges)
	}
}
