package main

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestReadAnswer(t *testing.T) {
	const good = "HTTP/1.1 200 OK\r\nContent-Length: 64\r\n\r\n" + body
	for _, test := range []struct {
		name, text, err string
	}{
		{"good", good, ""},
		{"other header case and order", "HTTP/1.1 200 OK\r\ncontent-length:64 \r\nDate: x\r\n\r\n" + body, ""},
		{"nothing", "", "EOF"},
		{"refused", "HTTP/1.1 403 Forbidden\r\nContent-Length: 64\r\n\r\n" + body, "want HTTP/1.1 200"},
		{"old version", "HTTP/1.0 200 OK\r\nContent-Length: 64\r\n\r\n" + body, "want HTTP/1.1 200"},
		{"head cut", "HTTP/1.1 200 OK\r\nContent-Le", "unexpected EOF"},
		{"no length", "HTTP/1.1 200 OK\r\n\r\n" + body, "length -1"},
		{"other length", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", "length 3"},
		{"length no number", "HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n", "want a number"},
		{"no colon", "HTTP/1.1 200 OK\r\nContent-Length\r\n\r\n", "want a colon"},
		{"body cut", good[:len(good)-1], "unexpected EOF"},
		{"other body", strings.Replace(good, "sixty", "SIXTY", 1), "want the backend's"},
		{"endless line", "HTTP/1.1 200 " + strings.Repeat("x", 10000), "buffer full"},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := readAnswer(bufio.NewReader(strings.NewReader(test.text)))
			switch {
			case test.err == "" && err != nil:
				t.Errorf("readAnswer: %v, want none", err)
			case test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err)):
				t.Errorf("readAnswer: %v, want %q in it", err, test.err)
			}
		})
	}
}

// Two answers in a row are read without a byte of the second taken by the first.
func TestReadAnswerLeavesTheNext(t *testing.T) {
	r := bufio.NewReader(strings.NewReader(strings.Repeat("HTTP/1.1 200 OK\r\nContent-Length: 64\r\n\r\n"+body, 2)))
	for range 2 {
		if err := readAnswer(r); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := r.ReadByte(); err != io.EOF {
		t.Errorf("after two answers: %v, want EOF", err)
	}
}

func TestBodyIsOf64Bytes(t *testing.T) {
	if len(body) != 64 {
		t.Errorf("the backend's body has %d bytes, want 64", len(body))
	}
}

// FuzzReadAnswer holds against net/http: what is taken for the backend's answer
// is one there too, unless net/http finds the message malformed.
func FuzzReadAnswer(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 64\r\n\r\n" + body))
	f.Add([]byte("HTTP/1.1 200 OK\nContent-Length:64\nA: b\n\n" + body))
	f.Add([]byte("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"))
	f.Add([]byte("HTTP/1.1 200 OK\r\n\r\n" + body))
	f.Fuzz(func(t *testing.T, text []byte) {
		err := readAnswer(bufio.NewReader(bytes.NewReader(text)))
		if !bytes.Contains(text, []byte(body)) && err == nil {
			t.Fatal("an answer without the backend's body is accepted")
		}
		resp, parseErr := http.ReadResponse(bufio.NewReader(bytes.NewReader(text)), nil)
		if err != nil || parseErr != nil {
			return
		}
		if resp.StatusCode != http.StatusOK {
			t.Fatalf("status %d is accepted", resp.StatusCode)
		}
	})
}
