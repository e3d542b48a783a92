package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// send writes text.
func send(t testing.TB, conn net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
}

// responses reads those to pipelined requests.
type responses struct{ in *bufio.Reader }

func newResponses(conn io.Reader) *responses { return &responses{bufio.NewReader(conn)} }

// next reads the next one to GET, its body to the end.
func (r *responses) next() (status int, body string, err error) {
	resp, err := http.ReadResponse(r.in, nil)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	all, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(all), err
}

var statusLine = regexp.MustCompile(`HTTP/1\.1 (\d\d\d)`)

// statuses lists those of all responses in text.
func statuses(text string) string {
	var all []string
	for _, m := range statusLine.FindAllStringSubmatch(text, -1) {
		all = append(all, m[1])
	}
	return strings.Join(all, " ")
}

// seen prints what a recorder has got: method, target and body of each.
func (r *recorder) seen() string {
	messages, broken := r.take()
	var all []string
	for _, g := range messages {
		all = append(all, strings.TrimSuffix(fmt.Sprintf("%s %s %s", g.message.start[0], g.message.start[1], g.message.body), " "))
	}
	for _, text := range broken {
		all = append(all, fmt.Sprintf("broken %q", text))
	}
	return strings.Join(all, "|")
}
