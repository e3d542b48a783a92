package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strconv"
)

// readAnswer reads one response and requires it to be the backend's: status 200,
// its length said in the head, its body. It is no HTTP client but as much of one
// as leaves the client's core with time to keep a fast server busy.
func readAnswer(r *bufio.Reader) error {
	line, err := readLine(r)
	if err != nil {
		return fmt.Errorf("read response: %w", err)
	}
	if !bytes.HasPrefix(line, []byte("HTTP/1.1 200 ")) {
		return fmt.Errorf("response %q: want HTTP/1.1 200", line)
	}
	length := -1
	for {
		line, err := readLine(r)
		if err != nil {
			return fmt.Errorf("read response head: %w", err)
		}
		if len(line) == 0 {
			break
		}
		name, value, found := bytes.Cut(line, []byte(":"))
		if !found {
			return fmt.Errorf("response header %q: want a colon", line)
		}
		if !bytes.EqualFold(name, []byte("Content-Length")) {
			continue
		}
		if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
			return fmt.Errorf("response header %q: want a number", line)
		}
	}
	if length != len(body) {
		return fmt.Errorf("response of length %d: want %d, stated by Content-Length", length, len(body))
	}
	var got [len(body)]byte
	if _, err := io.ReadFull(r, got[:]); err != nil {
		return fmt.Errorf("read response body: %w", err)
	}
	if string(got[:]) != body {
		return fmt.Errorf("response body %q: want the backend's", got)
	}
	return nil
}

// readLine reads a line, without its end. It is valid until the next read.
func readLine(r *bufio.Reader) ([]byte, error) {
	line, err := r.ReadSlice('\n')
	if err == io.EOF && len(line) > 0 {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(line[:len(line)-1], []byte("\r")), nil
}
