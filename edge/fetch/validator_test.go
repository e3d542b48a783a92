package fetch

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// swapped is a server that can be told to answer in another way.
func swapped(t *testing.T) (url string, answer *http.HandlerFunc) {
	answer = new(http.HandlerFunc)
	return serve(t, func(w http.ResponseWriter, r *http.Request) { (*answer)(w, r) }).URL, answer
}

func with(etag, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("ETag", etag)
		fmt.Fprint(w, body)
	}
}

// TestHugeETag: what somebody on the way once sent for an ETag is not sent to the
// server ever after, which would refuse it: neither now nor after a restart.
func TestHugeETag(t *testing.T) {
	url, answer := swapped(t)
	*answer = with(`"`+strings.Repeat("a", 20000)+`"`, "one")
	o := options(t.TempDir())
	s, _ := sourceOf(t, o, url)
	if _, err := s.fetch(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s.kept.ETag != "" {
		t.Errorf("kept an ETag of %d bytes", len(s.kept.ETag))
	}
	// As an edge before may have kept it.
	k := *s.kept
	k.ETag = `"` + strings.Repeat("a", 20000) + `"`
	if err := s.spool.save(&k); err != nil {
		t.Fatal(err)
	}
	if again, err := s.spool.load(); err != nil || again == nil || again.ETag != "" || again.SHA256 != k.SHA256 {
		t.Errorf("read %+v, %v, want the file without its ETag", again, err)
	}
}

// TestRefusedCondition: a server that answers a condition with an error is asked
// without any; one that is in trouble is not.
func TestRefusedCondition(t *testing.T) {
	for status, plain := range map[int]bool{400: true, 403: true, 412: true, 431: true, 429: false, 503: false} {
		url, answer := swapped(t)
		*answer = with(`"x"`, "one")
		s, c := sourceOf(t, options(t.TempDir()), url)
		if _, err := s.fetch(t.Context()); err != nil {
			t.Fatal(err)
		}
		*answer = func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("If-None-Match") != "" {
				w.WriteHeader(status)
				return
			}
			with(`"y"`, "two")(w, r)
		}
		if _, err := s.fetch(t.Context()); err == nil {
			t.Errorf("%d: no error", status)
		}
		changed, err := s.fetch(t.Context())
		if got := changed && err == nil; got != plain {
			t.Errorf("%d: then changed %t, %v, want %t", status, changed, err, plain)
		}
		if took := c.all(); plain && took[len(took)-1] != "two" {
			t.Errorf("%d: took %q", status, took)
		}
		if s.plainly {
			t.Errorf("%d: asks plainly ever after", status)
		}
	}
}

// TestRefusedRange: the rest of a download that a server does not want to hear of
// is given up.
func TestRefusedRange(t *testing.T) {
	url, answer := swapped(t)
	*answer = func(w http.ResponseWriter, _ *http.Request) {
		raw(t, w, "HTTP/1.1 200 OK\r\nETag: \"x\"\r\nContent-Length: 100\r\n\r\nhalf")
	}
	s, c := sourceOf(t, options(t.TempDir()), url)
	if _, err := s.fetch(t.Context()); err == nil || s.part == nil {
		t.Fatalf("%v, part %v, want a broken download", err, s.part)
	}
	*answer = func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Range") != "" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		with(`"y"`, "whole")(w, r)
	}
	if _, err := s.fetch(t.Context()); err == nil {
		t.Fatal("no error")
	}
	if changed, err := s.fetch(t.Context()); !changed || err != nil || len(c.all()) != 1 {
		t.Errorf("changed %t, %v, took %q, want the whole", changed, err, c.all())
	}
}

// TestBorrowedETag: who was on the way gave the file that is kept the ETag of the
// next one, of which the server then says that it has not changed. Once the file is
// late it is fetched whole.
func TestBorrowedETag(t *testing.T) {
	url, answer := swapped(t)
	*answer = with(`"two"`, "one")
	o := options(t.TempDir())
	s, c := sourceOf(t, o, url)
	c.next = time.Now().Add(-time.Minute)
	s.attempt(t.Context())
	conditions := 0
	*answer = func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("If-None-Match") == `"two"` {
			conditions++
			w.WriteHeader(http.StatusNotModified)
			return
		}
		with(`"two"`, "two")(w, r)
	}
	s.attempt(t.Context())
	s.attempt(t.Context())
	if took := c.all(); len(took) != 2 || took[1] != "two" || conditions != 1 {
		t.Errorf("took %q after %d conditions, want the next one after one", took, conditions)
	}
	// A CA that is late is not asked for the whole again and again.
	for range 5 {
		s.attempt(t.Context())
	}
	if took := c.all(); len(took) != 2 || conditions != 5 {
		t.Errorf("took %q, %d conditions, want 5: one of the next 5 was for the whole", took, conditions)
	}
}
