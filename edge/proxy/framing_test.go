package proxy

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
)

const chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"

// Requests that are framed beyond doubt: each must end exactly where it is cut.
var wellFramed = map[string]string{
	"no body":             "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
	"HTTP 1.0":            "GET / HTTP/1.0\r\n\r\n",
	"length":              "POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\t5 \r\n\r\nhello",
	"length zero":         "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
	"chunks":              chunked + "5\r\nhello\r\nA;x=\"y\"\r\n0123456789\r\n0\r\n\r\n",
	"trailers":            chunked + "0\r\nX-Sum: 1\r\nContent-Length: 4\r\n\r\n",
	"coding in case":      "POST / HTTP/1.1\r\nhost: a\r\ntransfer-ENCODING: Chunked\r\n\r\n0\r\n\r\n",
	"absolute form":       "GET http://a/b?%zz HTTP/1.1\r\nHost: a\r\n\r\n",
	"empty value":         "GET / HTTP/1.1\r\nHost: a\r\nX-Empty:\r\n\r\n",
	"bytes over 7F":       "GET /\xC3\xA9 HTTP/1.1\r\nHost: a\r\nX: \xE9\r\n\r\n",
	"bracketed host":      "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
	"length's look-alike": "GET / HTTP/1.1\r\nHost: a\r\nContent-Lengths: 5\r\nContent_Length: 5\r\n\r\n",
}

// Requests that are not, by what is said about them.
var illFramed = map[string]struct{ text, reason string }{
	"length and coding":        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", "BothTeClPresent"},
	"coding and length":        {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n", "BothTeClPresent"},
	"coding in HTTP 1.0":       {"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", "UndefinedTransferEncodingSemantics"},
	"length twice":             {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", "DuplicateContentLength"},
	"two lengths":              {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", "MultipleContentLength"},
	"length list":              {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\n", "BadContentLength"},
	"length signed":            {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\n", "BadContentLength"},
	"length negative":          {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n", "BadContentLength"},
	"length hex":               {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x5\r\n\r\n", "BadContentLength"},
	"length empty":             {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \r\n\r\n", "BadContentLength"},
	"length huge":              {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999999999999999999999\r\n\r\n", "BadContentLength"},
	"coding twice":             {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", "MultipleTransferEncodingChunked"},
	"coding list":              {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "BadTransferEncoding"},
	"coding identity":          {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n", "BadTransferEncoding"},
	"coding with vertical tab": {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x0bchunked\r\n\r\n", "BadHeader"},
	"coding with a space":      {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n", "NonCompliantHeader"},
	"folded coding":            {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n chunked\r\n\r\n", "BadTransferEncoding"},
	"folded field":             {"GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n 2\r\n\r\n", "NonCompliantHeader"},
	"space before first field": {"GET / HTTP/1.1\r\n Host: a\r\n\r\n", "NonCompliantHeader"},
	"bare LF":                  {"GET / HTTP/1.1\r\nHost: a\n\r\n", "BadHeader"},
	"bare LF ends the head":    {"GET / HTTP/1.1\r\nHost: a\r\n\n", "NonCompliantHeader"},
	"bare LF in first line":    {"GET / HTTP/1.1\nHost: a\r\n\r\n", "BadVersion"},
	"bare CR":                  {"GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n", "BadHeader"},
	"NUL":                      {"GET / HTTP/1.1\r\nHost: a\r\nX: \x00\r\n\r\n", "BadHeader"},
	"no name":                  {"GET / HTTP/1.1\r\nHost: a\r\n: 1\r\n\r\n", "EmptyHeader"},
	"no colon":                 {"GET / HTTP/1.1\r\nHost: a\r\nFoo\r\n\r\n", "NonCompliantHeader"},
	"no host":                  {"GET / HTTP/1.1\r\n\r\n", "BadHeader"},
	"two hosts":                {"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", "BadHeader"},
	"host with a space":        {"GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", "BadHeader"},
	"empty line first":         {"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "BadMethod"},
	"method with a bracket":    {"G[T / HTTP/1.1\r\nHost: a\r\n\r\n", "BadMethod"},
	"no method":                {" / HTTP/1.1\r\nHost: a\r\n\r\n", "BadMethod"},
	"two spaces":               {"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", "BadUri"},
	"space in target":          {"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", "BadVersion"},
	"bad escape":               {"GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n", "AmbiguousUri"},
	"cut escape":               {"GET /%2 HTTP/1.1\r\nHost: a\r\n\r\n", "BadUri"},
	"HTTP 2.0":                 {"PRI * HTTP/2.0\r\n\r\n", "BadVersion"},
	"HTTP 1.2":                 {"GET / HTTP/1.2\r\nHost: a\r\n\r\n", "BadVersion"},
	"HTTP 0.9":                 {"GET /\r\n\r\n", "BadUri"},
	"head too large":           {"GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("x", maxHeadBytes) + "\r\n\r\n", "HeadTooLarge"},
	"chunk size empty":         {chunked + "\r\n\r\n", "BadTransferEncoding"},
	"chunk size signed":        {chunked + "+5\r\nhello\r\n0\r\n\r\n", "BadTransferEncoding"},
	"chunk size with prefix":   {chunked + "0x5\r\nhello\r\n0\r\n\r\n", "BadTransferEncoding"},
	"chunk size with a space":  {chunked + "5 \r\nhello\r\n0\r\n\r\n", "BadTransferEncoding"},
	"chunk size overflows":     {chunked + "10000000000000005\r\nhello\r\n0\r\n\r\n", "BadTransferEncoding"},
	"chunk size and bare LF":   {chunked + "5\nhello\r\n0\r\n\r\n", "BadTransferEncoding"},
	"chunk longer than said":   {chunked + "5\r\nhello!\r\n0\r\n\r\n", "BadTransferEncoding"},
	"chunk and bare LF":        {chunked + "5\r\nhello\n0\r\n\r\n", "BadTransferEncoding"},
	"extension with bare LF":   {chunked + "5;a\nb\r\nhello\r\n0\r\n\r\n", "BadTransferEncoding"},
	"extension too long":       {chunked + "5;" + strings.Repeat("x", 300) + "\r\nhello\r\n0\r\n\r\n", "BadTransferEncoding"},
	"folded trailer":           {chunked + "0\r\nX: 1\r\n 2\r\n\r\n", "NonCompliantHeader"},
	"trailers too long":        {chunked + "0\r\nX: " + strings.Repeat("x", maxTrailerBytes) + "\r\n\r\n", "HeadTooLarge"},
}

// advanceBy feeds text in pieces and returns where the first request ended.
func advanceBy(f *framing, text string, piece int) (int, *framingError) {
	read := 0
	for read < len(text) {
		p := text[read:min(len(text), read+piece)]
		n, err := f.advance([]byte(p))
		read += n
		if err != nil {
			return read, err
		}
		if f.untouched() {
			return read, nil
		}
	}
	return read, nil
}

func TestFramingTakes(t *testing.T) {
	for name, text := range wellFramed {
		t.Run(name, func(t *testing.T) {
			for piece := 1; piece <= len(text); piece++ {
				var f framing
				n, err := advanceBy(&f, text+"GET /smuggled", piece)
				if err != nil || n != len(text) || !f.untouched() {
					t.Fatalf("in pieces of %d: request ends at %d of %d with %v", piece, n, len(text), err)
				}
			}
			agrees(t, text)
		})
	}
}

func TestFramingRefuses(t *testing.T) {
	for name, test := range illFramed {
		t.Run(name, func(t *testing.T) {
			for _, piece := range []int{1, 7, len(test.text)} {
				var f framing
				n, err := advanceBy(&f, test.text, piece)
				if err == nil || err.reason != test.reason {
					t.Fatalf("in pieces of %d: %v at %d, want %s", piece, err, n, test.reason)
				}
				if inHead := !strings.HasPrefix(test.text, chunked); err.head != inHead {
					t.Errorf("in the head: %v, want %v", err.head, inHead)
				}
			}
		})
	}
}

// agrees says that net/http reads text as one request, whole.
func agrees(t *testing.T, text string) {
	t.Helper()
	r := bufio.NewReader(strings.NewReader(text + "GET /smuggled"))
	req, err := http.ReadRequest(r)
	if err != nil {
		t.Fatalf("net/http refuses %q: %v", text, err)
	}
	if _, err := io.Copy(io.Discard, req.Body); err != nil {
		t.Fatalf("net/http refuses the body of %q: %v", text, err)
	}
	if rest, _ := io.ReadAll(r); string(rest) != "GET /smuggled" {
		t.Fatalf("net/http leaves %q of %q", rest, text)
	}
}

// What framing takes for one request, net/http must take for the same bytes, or
// refuse.
func FuzzFraming(f *testing.F) {
	for _, text := range wellFramed {
		f.Add([]byte(text), 3)
	}
	for _, test := range illFramed {
		if len(test.text) < 1<<10 {
			f.Add([]byte(test.text), 5)
		}
	}
	f.Fuzz(func(t *testing.T, text []byte, piece int) {
		var whole, pieces framing
		end, err := advanceBy(&whole, string(text), max(1, len(text)))
		end2, err2 := advanceBy(&pieces, string(text), 1+(piece&63))
		if end != end2 || (err == nil) != (err2 == nil) || err != nil && *err != *err2 {
			t.Fatalf("ends at %d with %v whole, at %d with %v in pieces", end, err, end2, err2)
		}
		if err != nil || !whole.untouched() || end == 0 {
			return
		}
		r := bufio.NewReader(bytes.NewReader(append(text[:end:end], "GET /smuggled"...)))
		req, rerr := http.ReadRequest(r)
		if rerr != nil {
			return
		}
		if _, rerr = io.Copy(io.Discard, req.Body); rerr != nil {
			if errors.Is(rerr, io.ErrUnexpectedEOF) {
				t.Fatalf("net/http wants more than %q", text[:end])
			}
			return
		}
		if rest, _ := io.ReadAll(r); string(rest) != "GET /smuggled" {
			t.Fatalf("net/http leaves %q of %q", rest, text[:end])
		}
	})
}
