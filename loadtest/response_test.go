package loadtest

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestResponse(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 100_000)
	for _, c := range []struct {
		name   string
		text   string
		toHEAD bool
		want   response
		kind   string // of the error
	}{
		{name: "length", text: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", want: response{200, 5, true}},
		{name: "no body", text: "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", want: response{200, 0, true}},
		{name: "no reason, not even its space", text: "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", want: response{200, 0, true}},
		{name: "bare LF", text: "HTTP/1.1 200 OK\nContent-Length: 2\n\nhi", want: response{200, 2, true}},
		{name: "space around a value", text: "HTTP/1.1 200 OK\r\ncontent-LENGTH: \t 2 \t\r\n\r\nhi", want: response{200, 2, true}},
		{name: "length twice, the same", text: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nhi", want: response{200, 2, true}},
		{name: "more than a buffer", text: "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + long, want: response{200, 100_000, true}},
		{name: "close", text: "HTTP/1.1 403 Forbidden\r\nConnection: Close\r\nContent-Length: 0\r\n\r\n", want: response{403, 0, false}},
		{name: "close among options", text: "HTTP/1.1 200 OK\r\nConnection: x, close ,y\r\nContent-Length: 0\r\n\r\n", want: response{200, 0, false}},
		{name: "not close", text: "HTTP/1.1 200 OK\r\nConnection: closed\r\nContent-Length: 0\r\n\r\n", want: response{200, 0, true}},
		{name: "HTTP/1.0", text: "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", want: response{200, 1, false}},
		{name: "to the end", text: "HTTP/1.1 200 OK\r\n\r\n" + long, want: response{200, 100_000, false}},
		{name: "chunked", text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n5\r\nhello\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n", want: response{200, 15, true}},
		{name: "chunked with trailers", text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n000\r\nA: b\r\nC: d\r\n\r\n", want: response{200, 1, true}},
		{name: "chunked overrules a length", text: "HTTP/1.1 200 OK\r\nContent-Length: 99\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", want: response{200, 0, true}},
		{name: "interim ones first", text: "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 1\r\n\r\nx", want: response{201, 1, true}},
		{name: "to HEAD", toHEAD: true, text: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", want: response{200, 0, true}},
		{name: "no content", text: "HTTP/1.1 204 No Content\r\n\r\n", want: response{204, 0, true}},
		{name: "not modified", text: "HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n", want: response{304, 0, true}},
		{name: "more than was asked for", text: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhiHTTP/1.1 200 OK\r\n", want: response{200, 2, false}},
		{name: "a body to HEAD", toHEAD: true, text: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", want: response{200, 0, false}},

		{name: "nothing", text: "", kind: "eof before answer"},
		{name: "ends in the status line", text: "HTTP/1.1 20", kind: "eof before answer"},
		{name: "ends in the head", text: "HTTP/1.1 200 OK\r\nContent-", kind: "eof before answer"},
		{name: "ends after an interim one", text: "HTTP/1.1 100 Continue\r\n\r\n", kind: "eof before answer"},
		{name: "ends in a body", text: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", kind: "short body"},
		{name: "ends in a chunk", text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhell", kind: "short body"},
		{name: "ends after a chunk", text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello", kind: "short body"},
		{name: "ends in a chunk's size", text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5", kind: "short body"},
		{name: "ends in trailers", text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n", kind: "short body"},

		{name: "another protocol", text: "SSH-2.0-OpenSSH_9.2\r\n\r\n", kind: "bad response"},
		{name: "HTTP/2", text: "HTTP/2.0 200 OK\r\n\r\n", kind: "bad response"},
		{name: "HTTP/1.2", text: "HTTP/1.2 200 OK\r\n\r\n", kind: "bad response"},
		{name: "no space", text: "HTTP/1.1_200 OK\r\n\r\n", kind: "bad response"},
		{name: "status of two digits", text: "HTTP/1.1 20 OK\r\n\r\n", kind: "bad response"},
		{name: "status of four digits", text: "HTTP/1.1 2000 OK\r\n\r\n", kind: "bad response"},
		{name: "status not of digits", text: "HTTP/1.1 2x0 OK\r\n\r\n", kind: "bad response"},
		{name: "status too low", text: "HTTP/1.1 099 OK\r\n\r\n", kind: "bad response"},
		{name: "status too high", text: "HTTP/1.1 600 OK\r\n\r\n", kind: "bad response"},
		{name: "switching protocols", text: "HTTP/1.1 101 Switching Protocols\r\n\r\n", kind: "bad response"},
		{name: "header without colon", text: "HTTP/1.1 200 OK\r\nContent-Length\r\n\r\n", kind: "bad response"},
		{name: "header without name", text: "HTTP/1.1 200 OK\r\n: x\r\n\r\n", kind: "bad response"},
		{name: "folded header", text: "HTTP/1.1 200 OK\r\nA: b\r\n c: d\r\n\r\n", kind: "bad response"},
		{name: "lengths that differ", text: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhi", kind: "bad response"},
		{name: "length as a list", text: "HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nhi", kind: "bad response"},
		{name: "length below zero", text: "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", kind: "bad response"},
		{name: "length empty", text: "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n", kind: "bad response"},
		{name: "length of 19 digits", text: "HTTP/1.1 200 OK\r\nContent-Length: 1000000000000000000\r\n\r\n", kind: "bad response"},
		{name: "another coding", text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", kind: "bad response"},
		{name: "chunked twice", text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", kind: "bad response"},
		{name: "chunk size not a number", text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\ng\r\n", kind: "bad response"},
		{name: "chunk size with a sign", text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n+1\r\nx\r\n", kind: "bad response"},
		{name: "chunk size with 0x", text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\nx\r\n", kind: "bad response"},
		{name: "chunk size of 16 digits", text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1000000000000000\r\n", kind: "bad response"},
		{name: "chunk longer than it says", text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxy\r\n", kind: "bad response"},
		{name: "line over a buffer", text: "HTTP/1.1 200 OK\r\nA: " + long + "\r\n\r\n", kind: "bad response"},
		{name: "head over the bound", text: "HTTP/1.1 200 OK\r\n" + strings.Repeat("A: "+long[:1000]+"\r\n", 300), kind: "bad response"},
		{name: "interim ones without end", text: strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", maxHead/24), kind: "bad response"},
		{name: "trailers over the bound", text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + strings.Repeat("A: "+long[:1000]+"\r\n", 300), kind: "bad response"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for how, src := range map[string]io.Reader{
				"at once": strings.NewReader(c.text), "byte by byte": iotest.OneByteReader(strings.NewReader(c.text)),
				"with the error": iotest.DataErrReader(strings.NewReader(c.text)),
			} {
				var r responseReader
				r.reset(src)
				got, err := r.read(c.toHEAD)
				if c.kind != "" {
					if kind, refusal := kindOf(orNone(err), false); kind != c.kind || refusal {
						t.Errorf("%s: got %+v, error %v; want one of kind %q", how, got, err, c.kind)
					}
					continue
				}
				want := c.want
				if how == "byte by byte" && strings.HasPrefix(c.name, "more than") || how == "byte by byte" && c.name == "a body to HEAD" {
					want.keepAlive = true // what comes later is not known yet
				}
				if err != nil || got != want {
					t.Errorf("%s: got %+v, %v; want %+v", how, got, err, want)
				}
			}
		})
	}
}

// orNone stands in for an error that should have been there.
func orNone(err error) error {
	if err == nil {
		return faultf("no error", "none")
	}
	return err
}

// One reader reads answer after answer, and remembers when one began.
func TestResponsesInTurn(t *testing.T) {
	t.Parallel()
	in, out := io.Pipe()
	var r responseReader
	r.reset(in)
	for i, text := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
		"HTTP/1.1 204 No Content\r\n\r\n",
	} {
		go io.WriteString(out, text)
		before := r.first
		if _, err := r.read(false); err != nil {
			t.Fatalf("answer %d: %v", i, err)
		}
		if r.first.IsZero() || i > 0 && r.first != before {
			t.Errorf("answer %d: its first byte was at %v, before that %v", i, r.first, before)
		}
	}
	// A body that breaks off in the middle of a TLS record is short too.
	r.reset(io.MultiReader(strings.NewReader("HTTP/1.1 200 OK\r\n\r\nhal"), iotest.ErrReader(io.ErrUnexpectedEOF)))
	if _, err := r.read(false); err == nil {
		t.Error("a body that broke off was read")
	} else if kind, _ := kindOf(err, false); kind != "short body" {
		t.Errorf("a body that broke off: %v, of kind %q", err, kind)
	}
	// What the connection says is passed on as it is.
	broken := errors.New("broken")
	r.reset(io.MultiReader(strings.NewReader("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"), iotest.ErrReader(broken)))
	if _, err := r.read(false); !errors.Is(err, broken) {
		t.Errorf("got %v, want %v", err, broken)
	}
	// A reader that never has anything does not hold it up.
	r.reset(stuck{})
	if _, err := r.read(false); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("got %v, want %v", err, io.ErrNoProgress)
	}
}

type stuck struct{}

func (stuck) Read([]byte) (int, error) { return 0, nil }

// FuzzResponse reads any bytes, whole and in pieces: both ways give the same, in
// bounds, and an error has a kind of the closed set.
func FuzzResponse(f *testing.F) {
	f.Fuzz(func(t *testing.T, text []byte, toHEAD bool) {
		var whole, pieces responseReader
		whole.reset(bytes.NewReader(text))
		pieces.reset(iotest.OneByteReader(bytes.NewReader(text)))
		got, err := whole.read(toHEAD)
		got2, err2 := pieces.read(toHEAD)
		if (err == nil) != (err2 == nil) || got.status != got2.status || got.body != got2.body || got.keepAlive && !got2.keepAlive {
			t.Fatalf("whole: %+v, %v; in pieces: %+v, %v", got, err, got2, err2)
		}
		if got.body < 0 || got.body > int64(len(text)) {
			t.Fatalf("%d bytes of body of %d in all", got.body, len(text))
		}
		if err != nil {
			switch kind, refusal := kindOf(err, false); {
			case refusal:
				t.Fatalf("%v is a refusal", err)
			case kind != "bad response" && kind != "eof before answer" && kind != "short body":
				t.Fatalf("%v is of kind %q", err, kind)
			}
			return
		}
		if got.status < 200 || got.status > 599 {
			t.Fatalf("status %d is no final one", got.status)
		}
		if toHEAD && got.body > 0 {
			t.Fatalf("%d bytes of body to HEAD", got.body)
		}
	})
}
