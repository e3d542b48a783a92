package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
)

// roleTarget is the child's: TARGET-ADDRESS COLLECTOR-ADDRESS.
const roleTarget = "target"

// runChild is the program as a child: the target of the edge's requests, and the
// collector of its spans. It returns on an error only; a signal ends it.
func runChild(role string, args []string) error {
	if role != roleTarget || len(args) != 2 {
		return fmt.Errorf("child's role %q with %d arguments: want one of this program", role, len(args))
	}
	target, err := net.Listen("tcp", args[0])
	if err != nil {
		return err
	}
	collector, err := net.Listen("tcp", args[1])
	if err != nil {
		return errors.Join(err, target.Close())
	}
	ended := make(chan error, 2)
	go func() { ended <- http.Serve(collector, http.HandlerFunc(collect)) }()
	go func() { ended <- serveTarget(target) }()
	return <-ended
}

// collect takes spans: an empty message says that all were.
func collect(w http.ResponseWriter, r *http.Request) {
	io.Copy(io.Discard, r.Body)
	w.Header().Set("Content-Type", "application/x-protobuf")
}

var targetAnswer = []byte("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 64\r\n\r\n" +
	"sixty-four bytes are what this target answers to every request.\n")

// serveTarget answers every request with the same. It is as much of an HTTP server
// as leaves the edge, whose core it is on, most of the time.
func serveTarget(l net.Listener) error {
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

// answerAll answers the requests on a connection, none of which has a body.
func answerAll(conn io.ReadWriter) error {
	reader := bufio.NewReaderSize(conn, 16<<10)
	for {
		line, err := reader.ReadSlice('\n')
		if err != nil {
			return err
		}
		if len(bytes.TrimRight(line, "\r\n")) > 0 {
			continue
		}
		if _, err := conn.Write(targetAnswer); err != nil {
			return err
		}
	}
}
