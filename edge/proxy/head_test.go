package proxy

import (
	"io"
	"log/slog"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// A client that sends the first byte of a request has request_head for the rest,
// from then on, whenever in its idle time it comes.
func TestRequestHeadInTime(t *testing.T) {
	for _, readable := range []bool{false, true} {
		for _, after := range []time.Duration{0, time.Millisecond, quietAfter - time.Millisecond, quietAfter + quietAfter/8 - time.Millisecond} {
			for _, pieces := range [][]string{{"G"}, {"G", "E", "T"}} {
				synctest.Test(t, func(t *testing.T) {
					s := serveSession(t, readable)
					s.ask(t)
					time.Sleep(after)
					begun := time.Now()
					for _, piece := range pieces {
						if _, err := io.WriteString(s.client, piece); err != nil {
							t.Fatalf("after %s: %v", after, err)
						}
						time.Sleep(3 * time.Second)
					}
					if _, err := s.answer.ReadByte(); err != io.EOF {
						t.Errorf("after %s: client reads %v, want the end", after, err)
					}
					if took := time.Since(begun); took != 10*time.Second {
						t.Errorf("after %s, %q of a request were waited on for %s, want 10s", after, pieces, took)
					}
				})
			}
		}
	}
}

// So has one whose first byte was read by the look-out for its end, which knows no
// deadline.
func TestRequestHeadBehindLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		defer client.Close()
		l := newListener(false)
		c := newConn1(newClient(New(Options{Log: slog.New(slog.DiscardHandler)}), &Conn{
			Conn: server, Listener: func() *Listener { return l }, Readable: func() error { return nil },
		}))
		c.reading.due(time.Now(), quietAfter) // as after an earlier request
		c.watch(newExchange(c.client))
		time.Sleep(2 * watchDelay)
		if _, err := client.Write([]byte("G")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		c.watching.stop()
		begun := time.Now()
		if quiet := c.burst(); quiet || time.Since(begun) != 10*time.Second {
			t.Errorf("quiet %t, and ended after %s, want 10s", quiet, time.Since(begun))
		}
	})
}

// A slow request that comes in time is one.
func TestRequestHeadInPieces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serveQuiet(t)
		for range 2 {
			for _, piece := range []string{"G", "ET / HTTP/1.1\r\nHo"} {
				if _, err := io.WriteString(s.client, piece); err != nil {
					t.Fatal(err)
				}
				time.Sleep(4 * time.Second)
			}
			if _, err := io.WriteString(s.client, "st: a\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			status := make([]byte, 12)
			if _, err := io.ReadFull(s.answer, status); err != nil || string(status) != "HTTP/1.1 204" {
				t.Fatalf("answer %q, %v", status, err)
			}
			for line := ""; line != "\r\n"; {
				line, _ = s.answer.ReadString('\n')
			}
		}
	})
}
