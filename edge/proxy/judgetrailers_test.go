package proxy

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// decisive is the one header that requests are judged by.
type decisive string

func (d decisive) Decisive(name string) bool { return strings.EqualFold(string(d), name) }

// TestDecisiveTrailers: what a request was judged by cannot follow in its trailers,
// where some targets look as well.
func TestDecisiveTrailers(t *testing.T) {
	j := &judgeFunc{request: func(r *Judged) { r.Decisive = decisive("X-Tenant") }}
	for _, target2 := range []bool{false, true} {
		l := newListener(true)
		if target2 {
			l.forwardTo2(t, startTarget2(t, echo))
		} else {
			l.forwardTo(t, startTarget(t, echo))
		}
		l.Judged = true
		e := startEdge(t, l, j)
		for _, h2 := range []bool{false, true} {
			req, _ := http.NewRequest("POST", e.url("/"), io.MultiReader(strings.NewReader("body")))
			req.Header = http.Header{"X-Tenant": {"mine"}}
			req.Trailer = http.Header{"X-Tenant": {"theirs"}, "X-Sum": {"1234"}}
			response, err := e.client(h2).Do(req)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(response.Body)
			response.Body.Close()
			if got := string(body); !strings.Contains(got, "X-Tenant: mine\r\n") || strings.Contains(got, "theirs") || !strings.Contains(got, "X-Sum: 1234\r\n") {
				t.Errorf("target2 %t, h2 %t: got\n%s", target2, h2, got)
			}
		}
	}
}
