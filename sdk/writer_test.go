package sdk

import (
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/sdk/frame"
)

// TestLogThatNobodyReads holds that lines are dropped and counted while the edge
// does not read, and that only who writes waits for it.
func TestLogThatNobodyReads(t *testing.T) {
	edge, conn := net.Pipe()
	w := &writer{conn: conn}
	l := slog.New(&logHandler{out: w})
	held := make(chan struct{})
	go func() { defer close(held); l.Info("first") }()
	head := make([]byte, 1)
	if _, err := io.ReadFull(edge, head); err != nil { // Now somebody is writing.
		t.Fatal(err)
	}
	line, lines := strings.Repeat("a", 4000), 1000
	for range lines {
		l.Info("flood", "value", line)
	}
	if n := w.waiting(); n > logRoom+8192 {
		t.Errorf("%d bytes wait", n)
	}
	rest := make(chan []byte)
	go func() { b, _ := io.ReadAll(edge); rest <- b }()
	<-held
	l.Info("last")
	conn.Close()
	flood, dropped := 0, ""
	for b := append(head, <-rest...); len(b) > 0; {
		f, n, err := frame.Parse(b, frame.DefaultMax)
		if n == 0 || err != nil {
			t.Fatalf("%d bytes left, error %v", len(b), err)
		}
		body, err := frame.ParseLog(f.Body)
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case body.Message == "flood":
			flood++
		case body.Message == "last" && len(body.Attrs) == 1:
			dropped = body.Attrs[0].Value
		}
		b = b[n:]
	}
	if want := droppedLines(uint64(lines - flood)); dropped != want.Value || flood == 0 || flood == lines {
		t.Errorf("%d lines came, %q were said to be dropped, want %s", flood, dropped, want.Value)
	}
}

// TestWritersThatFail holds that nothing is gathered for an edge that is gone.
func TestWritersThatFail(t *testing.T) {
	edge, conn := net.Pipe()
	edge.Close()
	w := &writer{conn: conn}
	for range 3 {
		w.verdict(1, &frame.VerdictBody{}, 0)
		w.plain(frame.Pong, 1)
		w.invalidate(&frame.InvalidateBody{})
		w.log(&frame.LogBody{})
		w.flush()
	}
	if n := w.waiting(); n != 0 || w.err == nil {
		t.Errorf("%d bytes wait, error %v", n, w.err)
	}
}
