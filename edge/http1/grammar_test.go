package http1

import (
	"regexp"
	"strconv"
	"strings"
)

// A second reader of requests, made of RFC 9112's grammar by regular expressions
// and of nothing that the first is made of.

var (
	requestGrammar = regexp.MustCompile(`^([!#$%&'*+\-.^_` + "`" + `|~0-9A-Za-z]+) ([!-~]+) HTTP/1\.1\r\n((?:[!#$%&'*+\-.^_` + "`" + `|~0-9A-Za-z]+:[\t -~\x{80}-\x{ff}]*\r\n)*)\r\n`)
	fieldGrammar   = regexp.MustCompile(`([^:\r\n]+):[ \t]*([^\r\n]*?)[ \t]*\r\n`)
	chunkGrammar   = regexp.MustCompile(`^([0-9A-Fa-f]+)\r\n`)
	lastGrammar    = regexp.MustCompile(`^0+\r\n((?:[!#$%&'*+\-.^_` + "`" + `|~0-9A-Za-z]+:[\t -~\x{80}-\x{ff}]*\r\n)*)\r\n`)
)

type grammarMessage struct{ method, target, host, body string }

// grammarRequest reads the first request of text. Latin-1 stands for bytes, which
// is what the expressions are about.
func grammarRequest(text string) (m grammarMessage, rest string, ok bool) {
	wide := latin1(text)
	at := requestGrammar.FindStringSubmatchIndex(wide)
	if at == nil {
		return m, "", false
	}
	group := func(i int) string { return wide[at[2*i]:at[2*i+1]] }
	m.method, m.target = group(1), group(2)
	hosts, length, chunked, framings := 0, 0, false, 0
	for _, f := range fieldGrammar.FindAllStringSubmatch(group(3), -1) {
		switch strings.ToLower(f[1]) {
		case "host":
			hosts++
			m.host = bytesOf(f[2])
		case "content-length":
			framings++
			n, err := strconv.Atoi(f[2])
			if err != nil || n < 0 {
				return m, "", false
			}
			length = n
		case "transfer-encoding":
			framings++
			chunked = f[2] == "chunked"
			if !chunked {
				return m, "", false
			}
		}
	}
	if hosts != 1 || framings > 1 {
		return m, "", false
	}
	wide = wide[at[1]:]
	if !chunked {
		body := bytesOf(wide)
		if len(body) < length {
			return m, "", false
		}
		m.body = body[:length]
		return m, body[length:], true
	}
	text = bytesOf(wide)
	for {
		if last := lastGrammar.FindString(latin1(text)); last != "" {
			return m, text[len(bytesOf(last)):], true
		}
		size := chunkGrammar.FindStringSubmatch(text)
		if size == nil {
			return m, "", false
		}
		n, err := strconv.ParseInt(size[1], 16, 32)
		text = text[len(size[0]):]
		if err != nil || int64(len(text)) < n+2 || text[n:n+2] != "\r\n" {
			return m, "", false
		}
		m.body += text[:n]
		text = text[n+2:]
	}
}

func latin1(s string) string {
	runes := make([]rune, len(s))
	for i := range len(s) {
		runes[i] = rune(s[i])
	}
	return string(runes)
}

func bytesOf(s string) string {
	var b []byte
	for _, r := range s {
		b = append(b, byte(r))
	}
	return string(b)
}
