package fetch

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

const whole = "0123456789"

// TestResume breaks a download of whole after five bytes and looks at how it goes on.
func TestResume(t *testing.T) {
	const rest = "bytes 5-9/10"
	answer := func(status int, etag, contentRange, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			for name, value := range map[string]string{"ETag": etag, "Content-Range": contentRange} {
				if value != "" {
					w.Header().Set(name, value)
				}
			}
			w.WriteHeader(status)
			fmt.Fprint(w, body)
		}
	}
	for name, tt := range map[string]struct {
		etag  string // of the beginning
		serve http.HandlerFunc
		asks  string // Range
		want  string // content
		err   string
		again bool // what follows starts anew
	}{
		"goes on":                      {`"1"`, answer(206, `"1"`, rest, "56789"), "bytes=5-", whole, "", false},
		"goes on without naming it":    {`"1"`, answer(206, "", rest, "56789"), "bytes=5-", whole, "", false},
		"has another now":              {`"1"`, answer(200, `"2"`, "", "another"), "bytes=5-", "another", "", false},
		"goes on with another":         {`"1"`, answer(206, `"2"`, rest, "56789"), "bytes=5-", "", `ETag "2"`, true},
		"goes on elsewhere":            {`"1"`, answer(206, `"1"`, "bytes 4-9/10", "456789"), "bytes=5-", "", "want one from 5", true},
		"goes on with another length":  {`"1"`, answer(206, `"1"`, "bytes 5-9/11", "56789"), "bytes=5-", "", "the length was 10", true},
		"goes on without saying where": {`"1"`, answer(206, `"1"`, "", "56789"), "bytes=5-", "", "want bytes FROM-TO/TOTAL", true},
		"in many parts": {`"1"`, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "multipart/byteranges; boundary=x")
			w.WriteHeader(206)
		}, "bytes=5-", "", "want bytes FROM-TO/TOTAL", true},
		"length is not the range's": {`"1"`, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Range", rest)
			w.Header().Set("Content-Length", "4")
			w.WriteHeader(206)
			fmt.Fprint(w, "5678")
		}, "bytes=5-", "", "and Content-Length 4", true},
		"cannot go on":         {`"1"`, answer(416, "", "", ""), "bytes=5-", "", "starts again", true},
		"304":                  {`"1"`, answer(304, `"1"`, "", ""), "bytes=5-", "", "was not asked", false},
		"is busy":              {`"1"`, answer(503, "", "", ""), "bytes=5-", "", "503", false},
		"breaks again":         {`"1"`, answer(206, `"1"`, "bytes 5-6/10", "56"), "bytes=5-", "", "broke after 7 bytes", false},
		"goes on with garbage": {`"1"`, answer(206, `"1"`, rest, "     "), "bytes=5-", "01234     ", "", false},
		"weak ETag":            {`W/"1"`, answer(200, "", "", whole), "", whole, "", false},
		"no ETag":              {"", answer(200, "", "", whole), "", whole, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			var asked []*http.Request
			server := serve(t, func(w http.ResponseWriter, r *http.Request) {
				asked = append(asked, r)
				switch len(asked) {
				case 1:
					raw(t, w, "HTTP/1.1 200 OK\r\nETag: "+tt.etag+"\r\nContent-Length: 10\r\n\r\n01234")
				case 2:
					tt.serve(w, r)
				default:
					fmt.Fprint(w, whole)
				}
			})
			s, c := sourceOf(t, options(t.TempDir()), server.URL)
			if _, err := s.fetch(t.Context()); err == nil || !strings.Contains(err.Error(), "broke after 5 bytes") {
				t.Fatal(err)
			}
			changed, err := s.fetch(t.Context())
			if got := asked[1].Header.Get("Range"); got != tt.asks {
				t.Errorf("asked for %q, want %q", got, tt.asks)
			}
			if tt.asks != "" && asked[1].Header.Get("If-Range") != tt.etag {
				t.Errorf("asked with If-Range %q", asked[1].Header.Get("If-Range"))
			}
			if tt.err != "" {
				if err == nil || changed || !strings.Contains(err.Error(), tt.err) {
					t.Fatalf("got %t, %v, want an error with %q", changed, err, tt.err)
				}
				if len(c.all()) != 0 {
					t.Errorf("took %q", c.all())
				}
				if again := s.part == nil; again != tt.again {
					t.Errorf("starts anew: %t", again)
				}
				if _, err := s.fetch(t.Context()); err != nil || c.all()[0] != whole {
					t.Errorf("then: %q, %v", c.all(), err)
				}
				return
			}
			if took := c.all(); err != nil || len(took) != 1 || took[0] != tt.want {
				t.Errorf("got %q, %v, want %q", took, err, tt.want)
			}
		})
	}
}

// TestConditional: what is kept is not sent again, and no cookie is.
func TestConditional(t *testing.T) {
	var asked []http.Header
	content, modified := "one", "Mon, 02 Jan 2006 15:04:05 GMT"
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Header)
		w.Header().Set("Set-Cookie", "a=b")
		if r.URL.Path == "/" {
			http.Redirect(w, r, "/file", http.StatusFound)
			return
		}
		etag := `"` + content + `"`
		w.Header().Set("ETag", etag)
		w.Header().Set("Last-Modified", modified)
		if r.Header.Get("If-None-Match") == etag && r.Header.Get("If-Modified-Since") == modified {
			w.WriteHeader(304)
			return
		}
		fmt.Fprint(w, content)
	})
	s, c := sourceOf(t, options(t.TempDir()), server.URL+"/")
	fetch := func(want bool) {
		t.Helper()
		if changed, err := s.fetch(t.Context()); err != nil || changed != want {
			t.Fatalf("changed %t, %v, want %t", changed, err, want)
		}
	}
	fetch(true)
	fetch(false)
	content = "two"
	fetch(true)
	s.kept.ETag = "" // as if the server had none: the same bytes are no news
	fetch(false)
	if took := c.all(); len(took) != 2 || took[1] != "two" {
		t.Errorf("took %q", took)
	}
	for _, h := range asked {
		if h.Get("Cookie") != "" || h.Get("Referer") != "" || h.Get("Accept-Encoding") != "identity" || h.Get("User-Agent") != "sallyport" {
			t.Errorf("asked with %v", h)
		}
	}
}
