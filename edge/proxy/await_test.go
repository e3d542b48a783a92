package proxy

import (
	"bufio"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// quietConn is a connection whose Readable the test decides.
type quietConn struct {
	net.Conn
	more      chan struct{} // something is to be read
	deadlines chan time.Time
}

func (q *quietConn) SetReadDeadline(t time.Time) error {
	select { // the last counts
	case <-q.deadlines:
	default:
	}
	q.deadlines <- t
	return q.Conn.SetReadDeadline(t)
}

func (q *quietConn) Readable() error {
	var passed <-chan time.Time
	for {
		select {
		case t := <-q.deadlines:
			passed = time.After(time.Until(t))
		case <-passed:
			return os.ErrDeadlineExceeded
		case <-q.more:
			return nil
		}
	}
}

// served is a Session over a pipe, and how it is called.
type served struct {
	*quietConn
	client net.Conn
	answer *bufio.Reader
	conn   *Conn
	calls  chan returned
	began  time.Time
}

// returned is what a call of Serve or Wait has.
type returned struct {
	wait   bool
	result bool
	at     time.Duration // since the beginning
}

func serveQuiet(t *testing.T) *served { return serveSession(t, true) }

// serveSession serves one whose connection has a Readable, or not.
func serveSession(t *testing.T, readable bool) *served {
	client, server := net.Pipe()
	s := &served{
		quietConn: &quietConn{Conn: server, more: make(chan struct{}), deadlines: make(chan time.Time, 1)},
		client:    client,
		answer:    bufio.NewReader(client),
		calls:     make(chan returned, 100),
		began:     time.Now(),
	}
	l := newListener(false)
	l.Action = Action{fixed: &fixedResponse{status: 204}}
	s.conn = &Conn{Conn: s.quietConn, Listener: func() *Listener { return l }}
	if readable {
		s.conn.Readable = s.Readable
	}
	session := New(Options{Log: slog.New(slog.DiscardHandler)}).Begin(s.conn)
	report := func(wait, result bool) bool {
		s.calls <- returned{wait, result, time.Since(s.began)}
		return result
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for report(false, session.Serve()) && report(true, session.Wait()) {
		}
	}()
	t.Cleanup(func() {
		client.Close()
		<-done
	})
	return s
}

func (s *served) ask(t *testing.T) {
	t.Helper()
	if _, err := io.WriteString(s.client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if r, err := http.ReadResponse(s.answer, nil); err != nil || r.StatusCode != 204 {
		t.Fatalf("answer %v, %v", r, err)
	}
}

// want says what the next call has to return, and when, but for an eighth.
func (s *served) want(t *testing.T, wait, result bool, at time.Duration) {
	t.Helper()
	got := <-s.calls
	if got.wait != wait || got.result != result {
		t.Fatalf("call %+v, want wait %t to return %t", got, wait, result)
	}
	if got.at < at || got.at > at+quietAfter/8 {
		t.Errorf("returned after %s, want %s", got.at, at)
	}
}

func TestQuietConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serveQuiet(t)
		s.ask(t)
		time.Sleep(quietAfter / 2)
		s.ask(t) // it is not quiet yet
		s.want(t, false, true, quietAfter*3/2)
		woken := time.Since(s.began)
		s.more <- struct{}{}
		s.want(t, true, true, woken)
		s.ask(t)
		s.want(t, false, true, woken+quietAfter)
		s.want(t, true, false, woken+time.Minute)
		if _, err := s.answer.ReadByte(); err != io.EOF {
			t.Errorf("client reads %v, want the end", err)
		}
	})
}

// What comes of no request gets no more time for it, however often it comes.
func TestQuietConnectionWokenForNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serveQuiet(t)
		for range 3 {
			if got := <-s.calls; got.wait || !got.result {
				t.Fatalf("call %+v, want quiet", got)
			}
			time.Sleep(10 * time.Second)
			s.more <- struct{}{}
			if got := <-s.calls; !got.wait || !got.result {
				t.Fatalf("call %+v, want more", got)
			}
		}
		if got := <-s.calls; got.wait || !got.result {
			t.Fatalf("call %+v, want quiet", got)
		}
		s.want(t, true, false, time.Minute)
	})
}

// The last of its time a connection may spend reading: that is its end too.
func TestQuietConnectionWokenLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serveQuiet(t)
		<-s.calls
		time.Sleep(time.Minute - time.Since(s.began) - quietAfter/2)
		s.more <- struct{}{}
		s.want(t, true, true, time.Minute-quietAfter/2)
		s.want(t, false, false, time.Minute)
	})
}

func TestEndOfQuietConnection(t *testing.T) {
	for _, test := range []struct {
		name  string
		first func(s *served)
		calls []returned
	}{
		{"reading", func(*served) {}, []returned{{wait: false, result: false}}},
		{"waiting", func(s *served) { <-s.calls }, []returned{{wait: true, result: false}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := serveQuiet(t)
				test.first(s)
				synctest.Wait()
				before := time.Since(s.began)
				s.conn.End()
				s.conn.End()
				for _, want := range test.calls {
					s.want(t, want.wait, want.result, before)
				}
				if _, err := s.answer.ReadByte(); err != io.EOF {
					t.Errorf("client reads %v, want the end", err)
				}
			})
		})
	}
}

// A connection may be told to end before it is served.
func TestEndBeforeServe(t *testing.T) {
	client, server := net.Pipe()
	l := newListener(false)
	c := &Conn{Conn: server, Listener: func() *Listener { return l }}
	c.End()
	if New(Options{}).Begin(c).Serve() {
		t.Error("a connection that is to end is quiet")
	}
	if _, err := client.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("client reads %v, want the end", err)
	}
}
