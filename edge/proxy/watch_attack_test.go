package proxy

import (
	"net"
	"testing"
	"time"
)

// A timer that has fired may get to run late: for the next request, whose own timer
// can be stopped in time. Whoever reads on must wait for that look all the same, or
// the first byte of a pipelined request is read by nobody.
func TestLateLookIsWaitedFor(t *testing.T) {
	here, there := net.Pipe()
	defer there.Close()
	late := make(chan struct{})
	defer func() { here.Close(); <-late }()
	s := New(Options{})
	l := newListener(false)
	cl := newClient(s, &Conn{Conn: here, Listener: func() *Listener { return l }})
	c := &conn1{client: cl, listener: l}
	c.watching.conn = c
	x := newExchange(cl)

	c.watch(x)
	c.watching.timer.Reset(time.Hour)              // this one will be stopped in time
	go func() { c.watching.look(); close(late) }() // and this is of the timer before
	for over := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		c.watching.mu.Lock()
		reading := c.watching.reading
		c.watching.mu.Unlock()
		if reading {
			break
		}
		if time.Now().After(over) {
			t.Fatal("nobody looks out")
		}
	}
	c.watching.stop()
	c.watching.mu.Lock()
	reading := c.watching.reading
	c.watching.mu.Unlock()
	if reading {
		t.Fatal("after stop somebody still reads the client's bytes")
	}
	// The byte is the next request's.
	go there.Write([]byte("G"))
	if c.watching.x != nil || c.await() != comes || c.first[0] != 'G' {
		t.Error("the byte that begins the next request is lost")
	}
}

// The same from outside: requests that come while others are answered, at the
// moment when the look-out begins, are all answered, in order and whole.
func TestPipelinedAtTheLook(t *testing.T) {
	target := startRecorder(t)
	release := make(chan struct{})
	target.answer = func(m *wireMessage) (string, bool) {
		<-release
		return "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n" + m.start[1][1:], false
	}
	e := startEdge(t, newListener(true).forwardTo(t, target.url))
	conn := e.dial("http/1.1")
	in := newResponses(conn)
	for i := range 20 {
		digit := string(rune('0' + i%10))
		send(t, conn, "GET /"+digit+" HTTP/1.1\r\nHost: a\r\n\r\n")
		// Before, about and after the time at which somebody looks.
		timer := time.NewTimer(watchDelay + time.Duration(i-10)*200*time.Microsecond)
		<-timer.C
		send(t, conn, "GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
		release <- struct{}{}
		release <- struct{}{}
		for _, want := range []string{digit, "x"} {
			if status, body, err := in.next(); status != 200 || body != want || err != nil {
				t.Fatalf("round %d: %d %q, %v, want %q", i, status, body, err, want)
			}
		}
	}
}
