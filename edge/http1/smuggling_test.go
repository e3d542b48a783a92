package http1

import "strings"

// attack is a request as it is sent, and what becomes of it.
type attack struct {
	name, text string
	class      Class
	reason     string
	refused    string // by which modes: m, d, s
	forwarded  string // in a mode that does not refuse: request line, Host, fields and framing
}

const all3 = "mds"

// attacks are requests that servers in the field are known to read differently,
// and the ordinary ones beside them.
var attacks = []attack{
	// Ordinary.
	{"plain", "GET /a?b=c HTTP/1.1\r\nHost: a\r\n\r\n", Compliant, "", "", "GET /a?b=c HTTP/1.1|Host: a"},
	{"no path", "GET http://a HTTP/1.1\r\nHost: a\r\n\r\n", Compliant, "", "", "GET / HTTP/1.1|Host: a"},
	{"OPTIONS without a path", "OPTIONS http://a HTTP/1.1\r\nHost: a\r\n\r\n", Compliant, "", "", "OPTIONS * HTTP/1.1|Host: a"},
	{"OPTIONS of a query", "OPTIONS http://a?b HTTP/1.1\r\nHost: a\r\n\r\n", Compliant, "", "", "OPTIONS /?b HTTP/1.1|Host: a"},
	{"names that only begin alike", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length-Hint: 5\r\nX-Transfer-Encoding: x\r\nContentLength: 5\r\n------------------content: 1\r\n\r\n", Compliant, "", "", "POST / HTTP/1.1|Host: a|Content-Length-Hint: 5|X-Transfer-Encoding: x|ContentLength: 5|------------------content: 1"},
	{"bare query", "GET /? HTTP/1.1\r\nHost: a\r\n\r\n", Compliant, "", "", "GET /? HTTP/1.1|Host: a"},
	{"length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\t5 \r\n\r\n", Compliant, "", "", "POST / HTTP/1.1|Host: a|length 5"},
	{"coding in case", "POST / HTTP/1.1\r\nhost: a\r\ntransfer-ENCODING: Chunked\r\n\r\n", Compliant, "", "", "POST / HTTP/1.1|Host: a|length -1"},
	{"white space is not the value's", "GET / HTTP/1.1\r\nHost:a\r\nX: \t b \t\r\n\r\n", Compliant, "", "", "GET / HTTP/1.1|Host: a|X: b"},
	{"empty value", "GET / HTTP/1.1\r\nHost: a\r\nX:\r\n\r\n", Compliant, "", "", "GET / HTTP/1.1|Host: a|X: "},
	{"old", "GET / HTTP/1.0\r\n\r\n", Compliant, "", "", "GET / HTTP/1.1|Host: "},
	{"underscores", "GET / HTTP/1.1\r\nHost: a\r\nX_Y: 1\r\n\r\n", Compliant, "", "", "GET / HTTP/1.1|Host: a|X_Y: 1"},
	{"escapes stay", "GET /%2e%2E/%2F?%zz HTTP/1.1\r\nHost: a\r\n\r\n", Compliant, "", "", "GET /%2e%2E/%2F?%zz HTTP/1.1|Host: a"},
	{"two slashes", "GET //b/c HTTP/1.1\r\nHost: a\r\n\r\n", Compliant, "", "", "GET //b/c HTTP/1.1|Host: a"},

	// Acceptable.
	{"zero length of GET", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", Acceptable, "GetHeadZeroContentLength", "s", "GET / HTTP/1.1|Host: a"},
	{"latin 1", "GET / HTTP/1.1\r\nHost: a\r\nX: \xE9\r\n\r\n", Acceptable, "NonCompliantHeader", "s", "GET / HTTP/1.1|Host: a|X: \xE9"},
	{"raw UTF-8 in path", "GET /\xC3\xA9 HTTP/1.1\r\nHost: a\r\n\r\n", Acceptable, ReasonOddTarget, "s", "GET /%C3%A9 HTTP/1.1|Host: a"},
	{"backslash", "GET /a\\..\\b HTTP/1.1\r\nHost: a\r\n\r\n", Acceptable, ReasonOddTarget, "s", "GET /a%5C..%5Cb HTTP/1.1|Host: a"},
	{"fragment", "GET /a#b?c HTTP/1.1\r\nHost: a\r\n\r\n", Acceptable, ReasonOddTarget, "s", "GET /a%23b?c HTTP/1.1|Host: a"},
	{"quotes in query", "GET /?\"<|> HTTP/1.1\r\nHost: a\r\n\r\n", Acceptable, ReasonOddTarget, "s", "GET /?%22%3C%7C%3E HTTP/1.1|Host: a"},

	// Ambiguous: the body of a GET, and what looks like framing.
	{"length of GET", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n", Ambiguous, "UndefinedContentLengthSemantics", "s", "GET / HTTP/1.1|Host: a|length 5"},
	{"coding of HEAD", "HEAD / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", Ambiguous, "UndefinedTransferEncodingSemantics", "s", "HEAD / HTTP/1.1|Host: a|length -1"},
	{"Content_Length", "POST / HTTP/1.1\r\nHost: a\r\nContent_Length: 5\r\n\r\n", Ambiguous, "SuspiciousHeader", "s", "POST / HTTP/1.1|Host: a"},
	{"Transfer.Encoding", "POST / HTTP/1.1\r\nHost: a\r\nTransfer.Encoding: chunked\r\n\r\n", Ambiguous, "SuspiciousHeader", "s", "POST / HTTP/1.1|Host: a"},

	{"Content--Length", "POST / HTTP/1.1\r\nHost: a\r\nContent--Length: 5\r\n\r\n", Ambiguous, "SuspiciousHeader", "s", "POST / HTTP/1.1|Host: a"},
	{"Transfer-Encoding with a tail", "POST / HTTP/1.1\r\nHost: a\r\n_Transfer-Encoding_: chunked\r\n\r\n", Ambiguous, "SuspiciousHeader", "s", "POST / HTTP/1.1|Host: a"},

	// Ambiguous about the end: refused in defensive mode too, which ALB does not.
	{"CL.TE", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", Ambiguous, "BothTeClPresent", "ds", "POST / HTTP/1.1|Host: a|length -1"},
	{"TE.CL", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n", Ambiguous, "BothTeClPresent", "ds", "POST / HTTP/1.1|Host: a|length -1"},
	{"length twice", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", Ambiguous, "DuplicateContentLength", "ds", "POST / HTTP/1.1|Host: a|length 5"},
	{"length twice, otherwise written", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\ncontent-length: 005\r\n\r\n", Ambiguous, "DuplicateContentLength", "ds", "POST / HTTP/1.1|Host: a|length 5"},
	{"two authorities", "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", Ambiguous, "AmbiguousUri", "ds", "GET / HTTP/1.1|Host: b"},

	// Severe, but what makes it so can be left out.
	{"suspicious and true length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer_Encoding: chunked\r\n\r\n", Severe, "SuspiciousTeClPresent", "ds", "POST / HTTP/1.1|Host: a|length 5"},

	{"both suspicious", "POST / HTTP/1.1\r\nHost: a\r\nContent_Length: 5\r\nTransfer_Encoding: chunked\r\n\r\n", Severe, "SuspiciousTeClPresent", "ds", "POST / HTTP/1.1|Host: a"},
	{"suspicious beside a body of GET", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent.Length: 0\r\n\r\n", Severe, "SuspiciousTeClPresent", "ds", "GET / HTTP/1.1|Host: a|length 5"},

	// Without a single reading: refused in every mode.
	{"lengths differ", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", Severe, "MultipleContentLength", all3, ""},
	{"length list", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\n", Severe, "BadContentLength", all3, ""},
	{"length signed", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\n", Severe, "BadContentLength", all3, ""},
	{"length negative", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n", Severe, "BadContentLength", all3, ""},
	{"length hex", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x5\r\n\r\n", Severe, "BadContentLength", all3, ""},
	{"length with a space", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1 0\r\n\r\n", Severe, "BadContentLength", all3, ""},
	{"length empty", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \r\n\r\n", Severe, "BadContentLength", all3, ""},
	{"length overflows", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551621\r\n\r\n", Severe, "BadContentLength", all3, ""},
	{"coding twice", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", Severe, "MultipleTransferEncodingChunked", all3, ""},
	{"chunked and identity", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n", Severe, "MultipleTransferEncodingChunked", all3, ""},
	{"coding list", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", Severe, "BadTransferEncoding", all3, ""},
	{"chunked, chunked", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", Severe, "MultipleTransferEncodingChunked", all3, ""},
	{"chunked not last", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n", Severe, "BadTransferEncoding", all3, ""},
	{"xchunked", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n", Severe, "BadTransferEncoding", all3, ""},
	{"quoted chunked", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \"chunked\"\r\n\r\n", Severe, "BadTransferEncoding", all3, ""},
	{"chunked with parameter", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked;q=1\r\n\r\n", Severe, "BadTransferEncoding", all3, ""},
	{"coding empty", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\r\n", Severe, "BadTransferEncoding", all3, ""},
	{"coding in HTTP 1.0", "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", Severe, "UndefinedTransferEncodingSemantics", all3, ""},
	{"vertical tab", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x0bchunked\r\n\r\n", Severe, "BadHeader", all3, ""},
	{"NUL in value", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\x00\r\n\r\n", Severe, "BadHeader", all3, ""},
	{"NUL in name", "GET / HTTP/1.1\r\nHost: a\r\nX\x00Y: 1\r\n\r\n", Severe, "BadHeader", all3, ""},
	{"DEL", "GET / HTTP/1.1\r\nHost: a\r\nX: \x7f\r\n\r\n", Severe, "BadHeader", all3, ""},
	{"space before colon", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n", Severe, "NonCompliantHeader", all3, ""},
	{"tab before colon", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length\t: 5\r\n\r\n", Severe, "NonCompliantHeader", all3, ""},
	{"folded", "GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n 2\r\n\r\n", Severe, "NonCompliantHeader", all3, ""},
	{"folded coding", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\tchunked\r\n\r\n", Severe, "NonCompliantHeader", all3, ""},
	{"space before first field", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", Severe, "NonCompliantHeader", all3, ""},
	{"line of a space", "GET / HTTP/1.1\r\nHost: a\r\n \r\n\r\n", Severe, "EmptyHeader", all3, ""},
	{"no colon", "GET / HTTP/1.1\r\nHost: a\r\nFoo\r\n\r\n", Severe, "NonCompliantHeader", all3, ""},
	{"no name", "GET / HTTP/1.1\r\nHost: a\r\n: 1\r\n\r\n", Severe, "EmptyHeader", all3, ""},
	{"non-ASCII name", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encod\xC4\xB1ng: chunked\r\n\r\n", Severe, "NonCompliantHeader", all3, ""},
	{"bare LF", "GET / HTTP/1.1\r\nHost: a\nX: 1\r\n\r\n", Severe, "BadHeader", all3, ""},
	{"bare LF ends the head", "GET / HTTP/1.1\r\nHost: a\r\n\n", Severe, "NonCompliantHeader", all3, ""},
	{"bare LF in first line", "GET / HTTP/1.1\nHost: a\r\n\r\n", Severe, "BadVersion", all3, ""},
	{"bare CR", "GET / HTTP/1.1\r\nHost: a\rX: 1\r\n\r\n", Severe, "BadHeader", all3, ""},
	{"CR CR LF", "GET / HTTP/1.1\r\nHost: a\r\r\nX: 1\r\n\r\n", Severe, "BadHeader", all3, ""},
	{"no host", "GET / HTTP/1.1\r\n\r\n", Severe, "BadHeader", all3, ""},
	{"two hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", Severe, "BadHeader", all3, ""},
	{"host with user", "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", Severe, "BadHeader", all3, ""},
	{"host with path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", Severe, "BadHeader", all3, ""},
	{"host list", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", Severe, "BadHeader", all3, ""},
	{"empty line first", "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", Severe, "BadMethod", all3, ""},
	{"method with a bracket", "G[T / HTTP/1.1\r\nHost: a\r\n\r\n", Severe, "BadMethod", all3, ""},
	{"tab behind method", "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", Severe, "BadMethod", all3, ""},
	{"two spaces", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", Severe, "BadUri", all3, ""},
	{"space in target", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", Severe, "SpaceInUri", all3, ""},
	{"method override", "POST / HTTP/1.1\r\nHost: a\r\nX-HTTP-Method-Override: DELETE\r\n\r\n", Compliant, "", "", "POST / HTTP/1.1|Host: a|X-HTTP-Method-Override: DELETE"},
	{"another request line", "GET /a HTTP/1.1 /b HTTP/1.1\r\nHost: a\r\n\r\n", Severe, "SpaceInUri", all3, ""},
	{"NUL in target", "GET /a\x00b HTTP/1.1\r\nHost: a\r\n\r\n", Severe, "BadUri", all3, ""},
	{"bad escape", "GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n", Severe, "AmbiguousUri", all3, ""},
	{"tab in target", "GET /a\tb HTTP/1.1\r\nHost: a\r\n\r\n", Severe, "AmbiguousUri", all3, ""},
	{"tab for the last space", "GET /a\tHTTP/1.1\r\nHost: a\r\n\r\n", Severe, "AmbiguousUri", all3, ""},
	{"CR in target", "GET /a\rb HTTP/1.1\r\nHost: a\r\n\r\n", Severe, "BadUri", all3, ""},
	{"fragment of an authority", "GET http://a#/b HTTP/1.1\r\nHost: a\r\n\r\n", Severe, "BadUri", all3, ""},
	{"CR in name", "GET / HTTP/1.1\r\nHost: a\r\nX\rY: 1\r\n\r\n", Severe, "BadHeader", all3, ""},
	{"cut escape", "GET /%2 HTTP/1.1\r\nHost: a\r\n\r\n", Severe, "BadUri", all3, ""},
	{"no slash", "GET a HTTP/1.1\r\nHost: a\r\n\r\n", Severe, "BadUri", all3, ""},
	{"another scheme", "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", Severe, "BadUri", all3, ""},
	{"user in target", "GET http://b@a/ HTTP/1.1\r\nHost: a\r\n\r\n", Severe, "BadUri", all3, ""},
	{"asterisk of GET", "GET * HTTP/1.1\r\nHost: a\r\n\r\n", Severe, "BadUri", all3, ""},
	{"HTTP 2.0", "PRI * HTTP/2.0\r\n\r\n", Severe, "BadVersion", all3, ""},
	{"HTTP 1.2", "GET / HTTP/1.2\r\nHost: a\r\n\r\n", Severe, "BadVersion", all3, ""},
	{"http 1.1", "GET / http/1.1\r\nHost: a\r\n\r\n", Severe, "BadVersion", all3, ""},
	{"HTTP 1.1 and space", "GET / HTTP/1.1 \r\nHost: a\r\n\r\n", Severe, "SpaceInUri", all3, ""},
	{"HTTP 0.9", "GET /\r\n\r\n", Severe, "BadUri", all3, ""},
	{"too many fields", "GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("X:\r\n", MaxFields) + "\r\n", Severe, ReasonHeadTooLarge, all3, ""},
}
