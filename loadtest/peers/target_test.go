package peers

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
)

// exchange is a connection on which everything has been said.
type exchange struct {
	io.Reader
	bytes.Buffer
}

func (e *exchange) Read(p []byte) (int, error) { return e.Reader.Read(p) }

// talk is what the target answers to text, read with net/http.
func talk(t *testing.T, text string, answers int) []*http.Response {
	t.Helper()
	e := &exchange{Reader: strings.NewReader(text)}
	if err := answerAll(e); !errors.Is(err, io.EOF) {
		t.Fatalf("answerAll: %v, want the connection's end", err)
	}
	var all []*http.Response
	reader := bufio.NewReader(&e.Buffer)
	for range answers {
		r, err := http.ReadResponse(reader, nil)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		all = append(all, r)
	}
	if rest, _ := io.ReadAll(reader); len(rest) > 0 {
		t.Fatalf("%d bytes after %d answers", len(rest), answers)
	}
	return all
}

func TestTargetAnswers(t *testing.T) {
	const host = " HTTP/1.1\r\nHost: x\r\n\r\n"
	got := talk(t, "GET /"+host+"GET /megabyte"+host+"GET /other"+host+"GET / HTTP/1.1\n\n", 4)
	for i, want := range []struct {
		status int
		length int
	}{{200, 64}, {200, 1 << 20}, {404, 0}, {200, 64}} {
		body, _ := io.ReadAll(got[i].Body)
		if got[i].StatusCode != want.status || len(body) != want.length {
			t.Errorf("answer %d: status %d with %d bytes, want %d with %d", i, got[i].StatusCode, len(body), want.status, want.length)
		}
	}
}

func TestTargetTellsHeaders(t *testing.T) {
	got := talk(t, "GET /identity HTTP/1.1\r\nA: 1\r\na: 2\r\nx-AMZN-mtls-clientcert-leaf: y\r\n\r\n", 1)
	var headers http.Header
	if err := json.NewDecoder(got[0].Body).Decode(&headers); err != nil {
		t.Fatal(err)
	}
	if len(headers["A"]) != 2 || headers.Get(identityName("Leaf")) != "y" {
		t.Errorf("headers %v, want two of A, and a leaf", headers)
	}
}

// Whatever a server sends, the target ends with an error, and what it has said
// until then can be read.
func FuzzTarget(f *testing.F) {
	f.Add([]byte("GET / HTTP/1.1\r\n\r\nGET /megabyte HTTP/1.1\r\n\r\n"))
	f.Add([]byte("GET /identity HTTP/1.1\r\nno colon\r\n\r\n"))
	f.Add([]byte("GET /identity HTTP/1.1\nA: \xff\n\n"))
	f.Add([]byte("\r\n\r\n  \r\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		e := &exchange{Reader: bytes.NewReader(text)}
		if err := answerAll(e); err == nil {
			t.Fatal("it ended without an error")
		}
		for reader := bufio.NewReader(&e.Buffer); ; {
			if _, err := reader.Peek(1); err == io.EOF {
				return
			}
			r, err := http.ReadResponse(reader, nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, r.Body); err != nil {
				t.Fatal(err)
			}
		}
	})
}
