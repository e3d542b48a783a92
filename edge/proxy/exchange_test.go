package proxy

import (
	"errors"
	"net"
	"testing"
	"time"

	"github.com/sallyport/sallyport/edge/http1"
)

// Once an exchange was cut off from its target, because the client has gone or
// somebody was idle, nothing makes it wait for the target again: that may come
// between any two steps.
func TestPartedStaysParted(t *testing.T) {
	ways := map[string]func(*exchange){
		"client gone": (*exchange).clientGone,
		"cut":         (*exchange).cutTarget,
	}
	for name, set := range map[string]func(x *exchange, c *targetConn){
		"both": func(x *exchange, c *targetConn) { x.setDeadline(c, time.Now().Add(time.Hour)) },
		"none": func(x *exchange, c *targetConn) { x.setDeadline(c, time.Time{}) },
		"read": func(x *exchange, c *targetConn) { x.setReadDeadline(c, time.Now().Add(time.Hour)) },
		"body": func(x *exchange, c *targetConn) { x.bodySent(&TargetGroup{answer: time.Hour}, c) },
		"end": func(x *exchange, c *targetConn) {
			x.body.done = make(chan struct{})
			close(x.body.done)
			x.finishBody()
		},
	} {
		for way, cut := range ways {
			here, there := net.Pipe()
			defer there.Close()
			x, c := &exchange{side: silentSide{}}, &targetConn{Conn: here}
			if !x.hold(c) {
				t.Fatal("not held")
			}
			cut(x)
			set(x, c)
			waits := make(chan error, 2)
			go func() {
				_, err := here.Read(make([]byte, 1))
				waits <- err
			}()
			go func() {
				_, err := here.Write(make([]byte, 1))
				waits <- err
			}()
			for range 2 {
				// What lasts for a moment only is no end.
				began := time.Now()
				if err := receive(t, waits, "end of the wait"); !isTimeout(err) || name == "end" && time.Since(began) > lingerTime {
					t.Errorf("%s, %s: %v after %v", name, way, err, time.Since(began))
				}
			}
			if x.letGo() != nil {
				t.Errorf("%s, %s: the connection is for another request", name, way)
			}
		}
	}
}

// A connection that was kept is not lost to a client that goes away before it is
// made use of.
func TestGoneBeforeItIsSent(t *testing.T) {
	here, there := net.Pipe()
	defer there.Close()
	p := &pool{limit: time.Hour}
	defer p.close()
	x := &exchange{}
	x.clientGone()
	if again, err := x.send(&TargetGroup{}, &targetConn{Conn: here, pool: p}, nil, false); again || err != errClientGone {
		t.Errorf("got %v, %v", again, err)
	}
	x.dropTarget()
	if len(p.idle) != 1 {
		t.Errorf("%d connections are kept", len(p.idle))
	}
	if err := here.SetDeadline(time.Time{}); err != nil {
		t.Errorf("it is closed: %v", err)
	}
}

// An idle timer is not started for an exchange that is over, and is for the next.
func TestIdleTimerAfterTheEnd(t *testing.T) {
	x := &exchange{started: time.Now()}
	x.idle.stop()
	x.watchIdle(time.Hour)
	if x.idle.timer != nil {
		t.Error("started")
	}
	x.renew()
	x.watchIdle(time.Hour)
	if x.idle.timer == nil {
		t.Fatal("not started for the next one")
	}
	x.idle.stop()
}

// silentSide is a client that takes nothing.
type silentSide struct{ side }

func (silentSide) watch(*exchange) {}
func (silentSide) hurry()          {}

func (silentSide) interim(*http1.Response) error { return errSilent }

var errSilent = errors.New("broken pipe")

// A client that takes no 1xx response is not its target's fault, and nobody to
// answer.
func TestInterimToNobody(t *testing.T) {
	here, there := net.Pipe()
	defer here.Close()
	go func() {
		defer there.Close()
		there.Write([]byte("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
	}()
	health := fitAre(0)
	g := &TargetGroup{targets: []*target{{}}, health: health}
	x := &exchange{side: silentSide{}, client: newClient(nil, &Conn{}), started: time.Now()}
	x.req.Method, x.req.Major, x.req.Minor = "GET", 1, 1
	m := message{buf: make([]byte, http1.MaxResponseHead)}
	err := x.readHead(g, &targetConn{Conn: here}, &m, false)
	if !errors.Is(err, errSilent) {
		t.Fatalf("got %v", err)
	}
	x.report(g, 0, err)
	if heard := health.hears(); heard != "" {
		t.Errorf("of the target's health: %s", heard)
	}
	x.fail(err)
	if r := &x.record; r.ELBStatusCode != statusClientClosed || r.ErrorReason != ReasonClientClosed || !x.aborted {
		t.Errorf("record %+v, aborted %v", r, x.aborted)
	}
}
