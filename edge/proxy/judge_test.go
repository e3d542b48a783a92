package proxy

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/sallyport/sallyport/edge/http1"
)

// judgeFunc is a Judge for tests; what is nil admits and changes nothing.
type judgeFunc struct {
	request  func(*Judged)
	response func(*Judged, *http1.Response)

	mu     sync.Mutex
	events []string
}

func (j *judgeFunc) note(event string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.events = append(j.events, event)
}

func (j *judgeFunc) Request(r *Judged) {
	r.Admitted = true
	if j.request != nil {
		j.request(r)
	}
}

func (j *judgeFunc) Response(r *Judged, response *http1.Response) {
	if j.response != nil {
		j.response(r, response)
	}
}

func (j *judgeFunc) Answered(r *Judged, response *http1.Response) {
	j.note("answered " + http.StatusText(response.Status))
}

func (j *judgeFunc) Over(*Judged) { j.note("over") }

func set(name, value string) http1.Edit {
	return http1.Edit{Op: http1.SetField, Name: name, Value: value}
}

func judgedEdge(t *testing.T, j Judge, handler http.HandlerFunc) *edge {
	l := newListener(true).forwardTo(t, startTarget(t, handler))
	l.Judged = true
	return startEdge(t, l, j)
}

func echo(w http.ResponseWriter, r *http.Request) {
	io.Copy(io.Discard, r.Body)
	r.Header.Write(w)
	r.Trailer.Write(w)
}

// TestJudgeEdits: a Judge may set what no client may, replace what the edge says,
// and takes the client's own lines out in any spelling, trailers too.
func TestJudgeEdits(t *testing.T) {
	j := &judgeFunc{request: func(r *Judged) {
		r.Edits = http1.Edits{{set("X-Role", "user"), set("X-Client-Subject", "CN=judge"), set("X-Forwarded-For", "192.0.2.9"),
			{Op: http1.RemoveField, Name: "X-Gone"}, {Op: http1.AddField, Name: "X-List", Value: "2"}}}
	}}
	e := judgedEdge(t, j, echo)
	for _, h2 := range []bool{false, true} {
		req, _ := http.NewRequest("POST", e.url("/"), io.MultiReader(strings.NewReader("body")))
		req.Header = http.Header{"X-Role": {"admin"}, "x_role": {"root"}, "X-Gone": {"1"}, "X-List": {"1"}, "X-Plain": {"p"}}
		req.Trailer = http.Header{"X-Role": {"trailer"}}
		response, err := e.client(h2).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(response.Body)
		response.Body.Close()
		got := string(body)
		for _, want := range []string{"X-Role: user\r\n", "X-Client-Subject: CN=judge\r\n", "X-Forwarded-For: 192.0.2.9\r\n", "X-List: 1\r\nX-List: 2\r\n", "X-Plain: p\r\n"} {
			if !strings.Contains(got, want) {
				t.Errorf("h2 %t: no %q in\n%s", h2, want, got)
			}
		}
		for _, lie := range []string{"admin", "root", "trailer", "X-Gone", "CN=alice", "127.0.0.1"} {
			if strings.Contains(got, lie) {
				t.Errorf("h2 %t: %q in\n%s", h2, lie, got)
			}
		}
	}
}

func TestJudgeRefuses(t *testing.T) {
	j := &judgeFunc{request: func(r *Judged) {
		r.Admitted = false
		if r.Head.Path == "/denied" {
			r.Status, r.Reason, r.Detail, r.Answer = 401, ReasonPluginDenied, "p: no", http1.Edits{{set("WWW-Authenticate", "Mutual")}}
			return
		}
		r.Reason, r.RetryAfter, r.Close = ReasonPluginUnavailable, true, true
	}}
	e := judgedEdge(t, j, func(http.ResponseWriter, *http.Request) { t.Error("a target got what was refused") })
	got := e.raw("GET /denied HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")
	first, second, _ := strings.Cut(got, "</html>\r\n")
	if !strings.HasPrefix(first, "HTTP/1.1 401 Unauthorized\r\n") || !strings.Contains(first, "Www-Authenticate: Mutual\r\n") && !strings.Contains(first, "WWW-Authenticate: Mutual\r\n") || strings.Contains(first, "Connection: close") {
		t.Errorf("denied:\n%s", first)
	}
	if !strings.HasPrefix(second, "HTTP/1.1 503 ") || !strings.Contains(second, "Retry-After: 1\r\n") || !strings.Contains(second, "Connection: close\r\n") {
		t.Errorf("unavailable:\n%s", second)
	}
	if r := e.record(); r.ELBStatusCode != 401 || r.ErrorReason != ReasonPluginDenied || r.ErrorDetail != "p: no" {
		t.Errorf("record: %+v", r)
	}
}

// TestNoJudge: a listener whose requests are to be judged serves none that is not.
func TestNoJudge(t *testing.T) {
	e := judgedEdge(t, nil, func(http.ResponseWriter, *http.Request) { t.Error("served without a judge") })
	if got := e.raw("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 503 ") {
		t.Errorf("got %s", got)
	}
}

func TestJudgeResponse(t *testing.T) {
	j := &judgeFunc{response: func(r *Judged, response *http1.Response) {
		if r.Head.Path == "/secret" {
			r.Admitted, r.Reason = false, ReasonPluginUnavailable
			return
		}
		r.ResponseEdits = http1.Edits{{set("X-Shaped", "yes"), {Op: http1.RemoveField, Name: "X-Internal"}}}
	}}
	e := judgedEdge(t, j, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Internal", "secret")
		w.Header().Set("Connection", "X-Shaped")
		io.WriteString(w, "secret of "+r.URL.Path)
	})
	for _, h2 := range []bool{false, true} {
		get := func(path string) (*http.Response, string) {
			response, err := e.client(h2).Get(e.url(path))
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			body, _ := io.ReadAll(response.Body)
			return response, string(body)
		}
		if response, _ := get("/a"); response.StatusCode != 200 || response.Header.Get("X-Shaped") != "yes" || response.Header.Get("X-Internal") != "" {
			t.Errorf("h2 %t: %d %v", h2, response.StatusCode, response.Header)
		}
		if response, body := get("/secret"); response.StatusCode != 503 || strings.Contains(body, "secret") || response.Header.Get("X-Internal") != "" {
			t.Errorf("h2 %t: withheld: %d %v %s", h2, response.StatusCode, response.Header, body)
		}
	}
	for range 4 {
		e.record() // all are over
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if n := len(j.events); n != 8 || !slices.Contains(j.events, "answered Service Unavailable") {
		t.Errorf("events: %q", j.events)
	}
}
