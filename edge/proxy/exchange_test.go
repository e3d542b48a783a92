package proxy

import (
	"net"
	"testing"
	"time"
)

// Once the client has gone, nothing makes the exchange wait for its target again: it
// may go between any two steps of sending a request.
func TestGoneStaysGone(t *testing.T) {
	for name, set := range map[string]func(x *exchange, c *targetConn){
		"both": func(x *exchange, c *targetConn) { x.setDeadline(c, time.Now().Add(time.Hour)) },
		"none": func(x *exchange, c *targetConn) { x.setDeadline(c, time.Time{}) },
		"read": func(x *exchange, c *targetConn) { x.setReadDeadline(c, time.Now().Add(time.Hour)) },
	} {
		here, there := net.Pipe()
		defer there.Close()
		x, c := &exchange{}, &targetConn{Conn: here}
		if !x.hold(c) {
			t.Fatal("not held")
		}
		x.clientGone()
		set(x, c)
		read := make(chan error, 1)
		go func() {
			_, err := here.Read(make([]byte, 1))
			read <- err
		}()
		if err := receive(t, read, "end of the wait"); !isTimeout(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
