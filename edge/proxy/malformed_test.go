package proxy

import (
	"strings"

	"github.com/sallyport/sallyport/edge/http1"
)

const chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"

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
	"folded coding":            {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n chunked\r\n\r\n", "NonCompliantHeader"},
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
	"space in target":          {"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", "SpaceInUri"},
	"bad escape":               {"GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n", "AmbiguousUri"},
	"cut escape":               {"GET /%2 HTTP/1.1\r\nHost: a\r\n\r\n", "BadUri"},
	"HTTP 2.0":                 {"PRI * HTTP/2.0\r\n\r\n", "BadVersion"},
	"HTTP 1.2":                 {"GET / HTTP/1.2\r\nHost: a\r\n\r\n", "BadVersion"},
	"HTTP 0.9":                 {"GET /\r\n\r\n", "BadUri"},
	"head too large":           {"GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("x", http1.MaxHead) + "\r\n\r\n", "HeadTooLarge"},
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
	"trailers too long":        {chunked + "0\r\nX: " + strings.Repeat("x", http1.MaxTrailer) + "\r\n\r\n", "HeadTooLarge"},
}
