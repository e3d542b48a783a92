package http1

import (
	"fmt"
	"strings"
	"testing"
)

// spellings are requests with a Transfer-Encoding or a Content-Length that is
// written so that some servers see it and others do not. None goes on with both
// accounts of its end, and none with one that is not the edge's own.
func spellings() (all []attack) {
	add := func(line string, class Class, reason, refused, forwarded string) {
		all = append(all, attack{fmt.Sprintf("%q", line), "POST / HTTP/1.1\r\nHost: a\r\n" + line + "\r\n\r\n", class, reason, refused, forwarded})
	}
	for reason, lines := range map[string][]string{
		"BadTransferEncoding": {
			"Transfer-Encoding: xchunked", "Transfer-Encoding: chunkedx", "Transfer-Encoding: chunke", "Transfer-Encoding: chunked,",
			"Transfer-Encoding: ,chunked", "Transfer-Encoding: identity", "Transfer-Encoding: identity, chunked", "Transfer-Encoding: chunked, identity",
			"Transfer-Encoding: gzip", "Transfer-Encoding: gzip, chunked", "Transfer-Encoding: 'chunked'", "Transfer-Encoding: \"chunked\"",
			"Transfer-Encoding: chunked;", "Transfer-Encoding: chunked;foo=bar", "Transfer-Encoding: chunked foo", "Transfer-Encoding: foo chunked",
			"Transfer-Encoding: chunk ed", "Transfer-Encoding: Transfer-Encoding: chunked", "Transfer-Encoding:: chunked", "Transfer-Encoding: \xA0chunked",
			"Transfer-Encoding: \xEF\xBB\xBFchunked", "Transfer-Encoding: ch\xC3\xBCnked", "Transfer-Encoding: chun\xE2\x84\xAAed", "Transfer-Encoding: \xFFchunked",
			"Transfer-Encoding:", "Transfer-Encoding: \t ", "Transfer-Encoding: compress", "Transfer-Encoding: chunked=1", "Transfer-Encoding: (x)chunked",
		},
		"MultipleTransferEncodingChunked": {
			"Transfer-Encoding: chunked\r\nTransfer-Encoding: x", "Transfer-Encoding: chunked\r\ntransfer-encoding: chunked",
			"Transfer-Encoding: chunked, chunked", "Transfer-Encoding: chunked,\tCHUNKED", "Transfer-Encoding: chunked\r\nTransfer-Encoding:",
		},
		"BadHeader": {
			"Transfer-Encoding: \x0bchunked", "Transfer-Encoding: \x0cchunked", "Transfer-Encoding: chunked\x00", "Transfer-Encoding: \x00chunked",
			"Transfer-Encoding: chunked\r", "Transfer-Encoding: chunked\rX: y", "Transfer-Encoding:\rchunked", "Transfer-Encoding: chunked\nX: y",
			"Transfer-Encoding:\nchunked", "Transfer-Encoding: chunked\x1f", "Transfer-Encoding: \x7fchunked", "Transfer-Encoding\x00: chunked",
			"X: y\nTransfer-Encoding: chunked", "X: y\rTransfer-Encoding: chunked", "Transfer-Encoding\r: chunked", "X: \x08\r\nContent-Length: 5",
		},
		"NonCompliantHeader": {
			"Transfer-Encoding : chunked", "Transfer-Encoding\t: chunked", " Transfer-Encoding: chunked", "\tTransfer-Encoding: chunked",
			"X: y\r\n Transfer-Encoding: chunked", "Transfer-Encoding:\r\n chunked", "Transfer-Encoding\r\n: chunked", "Transfer-Encoding\x0b: chunked",
			"Transfer-Encoding\x08: chunked", "\x01Transfer-Encoding: chunked", "Transfer Encoding: chunked", "Transfer-Encoding=chunked",
			"Transfer-Encoding", "Transfer\xE2\x80\x95Encoding: chunked", "Tran\xC5\xBFfer-Encoding: chunked", "Transfer-Encod\xC4\xB1ng: chunked",
			"\"Transfer-Encoding\": chunked", "Transfer-Encoding/: chunked", "\xEF\xBB\xBFTransfer-Encoding: chunked", "Content-Length : 5",
			"Content-Length\xA0: 5", "(Content-Length): 5", "Content-Length[]: 5", "X: y\r\n\tContent-Length: 5",
		},
		"EmptyHeader": {": chunked", ":Transfer-Encoding: chunked", " \t", " \r\nTransfer-Encoding: chunked"},
		"BadContentLength": {
			"Content-Length: +5", "Content-Length: -5", "Content-Length: 0x5", "Content-Length: 5,5", "Content-Length: 5, 6", "Content-Length: 5;", "Content-Length: 5 6",
			"Content-Length: '5'", "Content-Length: \"5\"", "Content-Length: 5.0", "Content-Length: 5e0", "Content-Length: 1_0", "Content-Length: 5\t5", "Content-Length:",
			"Content-Length: \xA05", "Content-Length: \xD9\xA5", "Content-Length: 0b1", "Content-Length: 18446744073709551621", "Content-Length: 9999999999999999999",
			"Content-Length: 0000000000000000000000005", "Content-Length: 5\r\nContent-Length: x", "Content-Length: identity", "Content-Length: 5B",
		},
		"MultipleContentLength": {"Content-Length: 5\r\nContent-Length: 6", "Content-Length: 0\r\ncontent-length: 5", "Content-Length: 5\r\nX: y\r\nCONTENT-LENGTH: 0"},
	} {
		for _, line := range lines {
			add(line, Severe, reason, all3, "")
		}
	}
	for _, name := range []string{"Transfer_Encoding", "Transfer.Encoding", "Transfer~Encoding", "transfer--encoding", "TRANSFER__ENCODING", "Transfer|Encoding", "Transfer!Encoding",
		"-Transfer-Encoding", "Transfer-Encoding-", "_Transfer_Encoding_", "Transfer-_-Encoding", "`Transfer`Encoding`", "Content_Length", "content.length", "Content--Length", "#Content-Length"} {
		add(name+": chunked", Ambiguous, "SuspiciousHeader", "s", "POST / HTTP/1.1|Host: a")
		add("Content-Length: 5\r\n"+name+": chunked", Severe, "SuspiciousTeClPresent", "ds", "POST / HTTP/1.1|Host: a|length 5")
		add(name+": 7\r\nTransfer-Encoding: chunked", Severe, "SuspiciousTeClPresent", "ds", "POST / HTTP/1.1|Host: a|length -1")
	}
	for _, line := range []string{"Transfer-Encoding:chunked", "Transfer-Encoding:\tchunked", "Transfer-Encoding: chunked \t", "TRANSFER-ENCODING: CHUNKED", "transfer-encoding: cHuNkEd"} {
		add(line, Compliant, "", "", "POST / HTTP/1.1|Host: a|length -1")
		add("Content-Length: 5\r\n"+line, Ambiguous, "BothTeClPresent", "ds", "POST / HTTP/1.1|Host: a|length -1")
	}
	return all
}

func TestSpellings(t *testing.T) {
	for _, test := range spellings() {
		r, found := parseAll(t, test.text)
		if found.Class != test.class || found.Reason != test.reason {
			t.Errorf("%s: found %v %s, want %v %s", test.name, found.Class, found.Reason, test.class, test.reason)
		}
		for mode, letter := range modes {
			if got := found.Refused(mode); got != strings.Contains(test.refused, letter) {
				t.Errorf("%s: refused in mode %s: %v", test.name, letter, got)
			}
		}
		if test.refused != all3 && summary(r) != test.forwarded {
			t.Errorf("%s: goes on as %q, want %q", test.name, summary(r), test.forwarded)
		}
	}
}

// What HTTP/2 lets through is judged by the same words.
func TestJudgeFramed(t *testing.T) {
	field := func(name, value string) Field { return Field{Name: name, Value: value, Kind: KindOf(name)} }
	for _, test := range []struct {
		name           string
		method, target string
		length         int64
		fields         []Field
		class          Class
		reason         string
		refused        string
	}{
		{"plain", "GET", "/a", 0, []Field{field("Accept", "*/*")}, Compliant, "", ""},
		{"body", "POST", "/a", 5, []Field{field("Content-Length", "5")}, Compliant, "", ""},
		{"body without a length", "POST", "/a", Unknown, nil, Compliant, "", ""},
		{"length without a body", "POST", "/a", 0, []Field{field("Content-Length", "5")}, Severe, "BadContentLength", all3},
		{"another length", "POST", "/a", 5, []Field{field("Content-Length", "6")}, Severe, "BadContentLength", all3},
		{"no number", "POST", "/a", 0, []Field{field("Content-Length", "+5")}, Severe, "BadContentLength", all3},
		{"two lengths", "POST", "/a", 5, []Field{field("Content-Length", "5"), field("Content-Length", "6")}, Severe, "MultipleContentLength", all3},
		{"length twice", "POST", "/a", 5, []Field{field("Content-Length", "5"), field("Content-Length", "5")}, Ambiguous, "DuplicateContentLength", "ds"},
		{"look-alike", "POST", "/a", 0, []Field{field("content_length", "5")}, Ambiguous, "SuspiciousHeader", "s"},
		{"look-alike and body", "POST", "/a", Unknown, []Field{field("transfer_encoding", "chunked")}, Severe, "SuspiciousTeClPresent", "ds"},
		{"CR LF in value", "GET", "/a", 0, []Field{field("X", "a\r\nTransfer-Encoding: chunked")}, Severe, "BadHeader", all3},
		{"NUL in value", "GET", "/a", 0, []Field{field("X", "a\x00")}, Severe, "BadHeader", all3},
		{"colon in name", "GET", "/a", 0, []Field{field("X: y\r\nZ", "a")}, Severe, "NonCompliantHeader", all3},
		{"white space around a value", "GET", "/a", 0, []Field{field("X", " a\t")}, Acceptable, "NonCompliantHeader", "s"},
		{"space in path", "GET", "/a HTTP/1.1", 0, nil, Severe, "SpaceInUri", all3},
		{"CR LF in path", "GET", "/a\r\nX: y", 0, nil, Severe, "BadUri", all3},
		{"tab in path", "GET", "/a\tb", 0, nil, Severe, "AmbiguousUri", all3},
		{"no path", "GET", "", 0, nil, Severe, "BadUri", all3},
		{"method with a line", "GET / HTTP/1.1\r\nX:", "/", 0, nil, Severe, "BadMethod", all3},
		{"body of GET", "GET", "/a", 5, nil, Ambiguous, "UndefinedContentLengthSemantics", "s"},
		{"stream of HEAD", "HEAD", "/a", Unknown, nil, Ambiguous, "UndefinedTransferEncodingSemantics", "s"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := Request{Method: test.method, Major: 2, Length: test.length, Fields: append([]Field(nil), test.fields...)}
			r.Finding = r.SetTarget(test.target)
			r.JudgeFramed()
			if r.Finding.Class != test.class || r.Finding.Reason != test.reason {
				t.Errorf("found %v %s, want %v %s", r.Finding.Class, r.Finding.Reason, test.class, test.reason)
			}
			for mode, letter := range modes {
				if got := r.Finding.Refused(mode); got != strings.Contains(test.refused, letter) {
					t.Errorf("refused in mode %s: %v", letter, got)
				}
			}
			for _, f := range r.Fields {
				if LooksFraming(f.Name) && f.Kind == Other || test.refused != all3 && strings.TrimSpace(f.Value) != f.Value {
					t.Errorf("%s: %q goes on", f.Name, f.Value)
				}
			}
		})
	}
}
