package http1

import (
	"bytes"
	"io"
	"net/http/httputil"
	"strings"
	"testing"
)

func TestDecode(t *testing.T) {
	for _, test := range []struct {
		name, coded, data, trailers, reason string
	}{
		{"one", "5\r\nhello\r\n0\r\n\r\n", "hello", "", ""},
		{"two, with an extension", "5\r\nhello\r\nA;x=\"y\"\r\n0123456789\r\n0\r\n\r\n", "hello0123456789", "", ""},
		{"leading zeros", "0005\r\nhello\r\n000\r\n\r\n", "hello", "", ""},
		{"nothing", "0\r\n\r\n", "", "", ""},
		{"trailers", "1\r\nx\r\n0\r\nX-Sum: 1\r\nY:\r\n\r\n", "x", "X-Sum=1;Y=;", ""},
		{"size empty", "\r\n\r\n", "", "", "BadTransferEncoding"},
		{"size signed", "+5\r\nhello\r\n0\r\n\r\n", "", "", "BadTransferEncoding"},
		{"size with prefix", "0x5\r\nhello\r\n0\r\n\r\n", "", "", "BadTransferEncoding"},
		{"size with a space", "5 \r\nhello\r\n0\r\n\r\n", "", "", "BadTransferEncoding"},
		{"space before size", " 5\r\nhello\r\n0\r\n\r\n", "", "", "BadTransferEncoding"},
		{"size overflows", "10000000000000005\r\nhello\r\n0\r\n\r\n", "", "", "BadTransferEncoding"},
		{"size and bare LF", "5\nhello\r\n0\r\n\r\n", "", "", "BadTransferEncoding"},
		{"size and bare CR", "5\rhello\r\n0\r\n\r\n", "", "", "BadTransferEncoding"},
		{"longer than said", "5\r\nhello!\r\n0\r\n\r\n", "hello", "", "BadTransferEncoding"},
		{"shorter than said", "6\r\nhello\r\n0\r\n\r\n", "hello\r", "", "BadTransferEncoding"},
		{"chunk and bare LF", "5\r\nhello\n0\r\n\r\n", "hello", "", "BadTransferEncoding"},
		{"chunk, any byte and LF", "5\r\nhello!\n0\r\n\r\n", "hello", "", "BadTransferEncoding"},
		{"chunk, CR and any byte", "5\r\nhello\r!0\r\n\r\n", "hello", "", "BadTransferEncoding"},
		{"extension with bare LF", "5;a\nb\r\nhello\r\n0\r\n\r\n", "", "", "BadTransferEncoding"},
		{"extension with NUL", "5;a\x00\r\nhello\r\n0\r\n\r\n", "", "", "BadTransferEncoding"},
		{"extension too long", "5;" + strings.Repeat("x", 300) + "\r\nhello\r\n0\r\n\r\n", "", "", "BadTransferEncoding"},
		{"folded trailer", "0\r\nX: 1\r\n 2\r\n\r\n", "", "", "NonCompliantHeader"},
		{"trailer and bare LF", "0\r\nX: 1\n\r\n", "", "", "BadHeader"},
		{"trailers too long", "0\r\nX: " + strings.Repeat("x", MaxTrailer) + "\r\n\r\n", "", "", ReasonHeadTooLarge},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, piece := range []int{1, 2, 3, 7, len(test.coded)} {
				data, trailers, left, found := decodeBy(test.coded+"GET /", piece)
				if data != test.data || trailers != test.trailers || found.Reason != test.reason {
					t.Errorf("in pieces of %d: %q, %q and %q", piece, data, trailers, found.Reason)
				}
				if test.reason == "" && left != "GET /" {
					t.Errorf("in pieces of %d: leaves %q", piece, left)
				}
			}
		})
	}
}

// decodeBy decodes text in pieces.
func decodeBy(text string, piece int) (data, trailers, left string, found Finding) {
	var d Decoder
	for text != "" && !d.Done() {
		p := []byte(text[:min(piece, len(text))])
		n, taken, bad := d.Decode(p)
		data += string(p[:n])
		if bad.Class != Compliant {
			return data, "", text, bad
		}
		text = text[taken:]
	}
	for _, f := range d.Trailers {
		trailers += f.Name + "=" + f.Value + ";"
	}
	return data, trailers, text, Finding{}
}

// FuzzDecode: pieces make no difference, and what is taken net/http takes for the
// same data.
func FuzzDecode(f *testing.F) {
	f.Add([]byte("5\r\nhello\r\n0\r\n\r\nGET /"), 3)
	f.Add([]byte("a;x=y\r\n0123456789\r\n00\r\nX-Sum: 1\r\n\r\n"), 1)
	f.Add([]byte("0\r\nX: 1\r\n 2\r\n\r\n"), 2)
	f.Fuzz(func(t *testing.T, text []byte, piece int) {
		data, trailers, left, found := decodeBy(string(text), max(1, len(text)))
		data2, trailers2, left2, found2 := decodeBy(string(text), 1+piece&63)
		if data != data2 || trailers != trailers2 || found != found2 || found.Class == Compliant && left != left2 {
			t.Fatalf("whole %q %q %v, in pieces %q %q %v", data, trailers, found, data2, trailers2, found2)
		}
		if found.Class != Compliant || !bytes.HasSuffix(text, []byte(left)) {
			return
		}
		got, err := io.ReadAll(httputil.NewChunkedReader(bytes.NewReader(text)))
		if err == nil && string(got) != data {
			t.Fatalf("net/http reads %q, want %q", got, data)
		}
	})
}

func TestAppendChunkSize(t *testing.T) {
	for n, want := range map[int]string{1: "1\r\n", 15: "f\r\n", 16: "10\r\n", 0x8000: "8000\r\n", 0x7fffffff: "7fffffff\r\n"} {
		if got := string(AppendChunkSize(nil, n)); got != want {
			t.Errorf("%d: %q", n, got)
		}
	}
}
