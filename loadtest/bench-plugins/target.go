package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
)

// The paths that the target knows.
const (
	plainPath = "/"     // plainBody
	unitPath  = "/unit" // what unitHeader says
)

// plainBody is 64 bytes.
const plainBody = "sixty-four bytes are what this target answers to every request.\n"

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

func answer(status string, body []byte) []byte {
	head := fmt.Sprintf("HTTP/1.1 %s\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n", status, len(body))
	return append([]byte(head), body...)
}

var (
	plainAnswer    = answer("200 OK", []byte(plainBody))
	notFoundAnswer = answer("404 Not Found", nil)
)

// answerAll answers the requests on a connection, none of which has a body. It
// is no HTTP server but as much of one as leaves the server, whose
// core it is on, most of the time.
func answerAll(conn io.ReadWriter) error {
	reader := bufio.NewReaderSize(conn, 16<<10)
	for {
		line, err := reader.ReadSlice('\n')
		if err != nil {
			return err
		}
		_, path, _ := bytes.Cut(line, []byte(" "))
		path, _, _ = bytes.Cut(path, []byte(" "))
		found := notFoundAnswer
		about := string(path) == unitPath // path is valid only until the next read
		if string(path) == plainPath {
			found = plainAnswer
		}
		unit, err := readUnit(reader)
		if err != nil {
			return err
		}
		if about {
			found = answer("200 OK", []byte(unit))
		}
		if _, err := conn.Write(found); err != nil {
			return err
		}
	}
}

// readUnit reads the rest of a head. Several units are told apart by commas.
func readUnit(reader *bufio.Reader) (unit string, err error) {
	for {
		line, err := reader.ReadSlice('\n')
		line = bytes.TrimRight(line, "\r\n")
		if err != nil || len(line) == 0 {
			return unit, err
		}
		if name, value, _ := bytes.Cut(line, []byte(":")); len(name) == len(unitHeader) && bytes.EqualFold(name, []byte(unitHeader)) {
			if unit != "" {
				unit += ","
			}
			unit += string(bytes.TrimSpace(value))
		}
	}
}
