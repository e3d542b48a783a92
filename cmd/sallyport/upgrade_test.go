package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/edge/admin"
)

// The command says that the old process goes on only if that has said so itself.
func TestUpgradeErrorClaimsNothing(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "admin.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() { // hears the request, and ends without an answer
		conn, err := l.Accept()
		if err == nil {
			io.ReadAtLeast(conn, make([]byte, 1024), 1)
			conn.Close()
		}
	}()
	err = admin.NewClient(socket).Do(context.Background(), http.MethodPost, "/upgrade", strings.NewReader("{}"), nil)
	if err == nil {
		t.Fatal("no answer is no error")
	}
	var stderr bytes.Buffer
	if got := upgradeError(&stderr, err).Error() + stderr.String(); strings.Contains(got, "goes on") {
		t.Errorf("no answer: %q", got)
	} else if !errors.Is(err, admin.ErrUnreachable) && !strings.Contains(got, "not known") {
		t.Errorf("no answer: %q, want that it is not known", got)
	}

	stderr.Reset()
	words := "upgrade: this edge was told to end"
	if err := upgradeError(&stderr, &admin.AnswerError{Text: words}); err != errRefused || stderr.String() != words+"\n" {
		t.Errorf("%v, %q", err, stderr.String())
	}
}
