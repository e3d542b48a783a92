package peers

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/textproto"
)

// The paths that the target knows.
const (
	plainPath    = "/"         // plainBody
	megabytePath = "/megabyte" // 1 MiB
	identityPath = "/identity" // the request's headers, as JSON
)

// plainBody is 64 bytes.
const plainBody = "sixty-four bytes are what this target answers to every request.\n"

const megabyte = 1 << 20

// runTarget serves the target at address, until there is an error.
func runTarget(address string) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	for {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer conn.Close()
			_ = answerAll(conn) // whoever breaks it off is measured, and reports it
		}()
	}
}

// answers are by path; any other is not found.
var answers = map[string][]byte{
	plainPath:    answer("200 OK", []byte(plainBody)),
	megabytePath: answer("200 OK", bytes.Repeat([]byte{'m'}, megabyte)),
}

var notFound = answer("404 Not Found", nil)

func answer(status string, body []byte) []byte {
	head := fmt.Sprintf("HTTP/1.1 %s\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n", status, len(body))
	return append([]byte(head), body...)
}

// answerAll answers the requests on a connection, none of which has a body. It
// is no HTTP server but as much of one as leaves the core that it shares with
// the load with time to keep a fast server busy.
func answerAll(conn io.ReadWriter) error {
	reader := bufio.NewReaderSize(conn, 16<<10)
	for {
		line, err := reader.ReadSlice('\n')
		if err != nil {
			return err
		}
		_, path, _ := bytes.Cut(line, []byte(" "))
		path, _, _ = bytes.Cut(path, []byte(" "))
		found, known := answers[string(path)] // path is valid only until the next read
		switch {
		case known:
			err = skipHeaders(reader)
		case string(path) == identityPath:
			found, err = describeHeaders(reader)
		default:
			found, err = notFound, skipHeaders(reader)
		}
		if err != nil {
			return err
		}
		if _, err := conn.Write(found); err != nil {
			return err
		}
	}
}

func skipHeaders(reader *bufio.Reader) error {
	for {
		line, err := reader.ReadSlice('\n')
		if err != nil || len(bytes.TrimRight(line, "\r\n")) == 0 {
			return err
		}
	}
}

// describeHeaders reads a request's headers and answers with them.
func describeHeaders(reader *bufio.Reader) ([]byte, error) {
	headers, err := textproto.NewReader(reader).ReadMIMEHeader()
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(headers)
	if err != nil {
		return nil, err
	}
	return answer("200 OK", text), nil
}
