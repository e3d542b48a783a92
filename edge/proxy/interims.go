package proxy

import (
	"net/http"
	"net/textproto"
	"strings"
	"sync"

	"github.com/sallyport/sallyport/edge/http1"
)

// interims are the 1xx responses in front of a call's answer. They come on the
// goroutine that reads for all streams of a connection, which no client may hold
// up: another one passes them on.
type interims struct {
	call *call

	mu      sync.Mutex
	idle    sync.Cond
	seen    int
	queue   []*http1.Response
	writing bool // somebody passes them on
	closed  bool // the answer is here

	// send is held while something is sent to the client.
	send sync.Mutex
}

// got takes a 1xx response. An error ends the call: 101 does not exist in HTTP/2
// (RFC 9113, section 8.6), and some do not end.
func (i *interims) got(status int, header textproto.MIMEHeader) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.closed {
		return nil
	}
	if i.seen++; i.seen > maxInterim {
		return errInterim
	}
	if status == http.StatusSwitchingProtocols {
		return errSwitches
	}
	x := i.call.x
	if status == http.StatusContinue || x.req.Major == 1 && x.req.Minor == 0 {
		return nil
	}
	r := &http1.Response{Status: status, Minor: 1, Length: http1.None}
	if err := addFields(r, http.Header(header)); err != nil {
		return err
	}
	i.queue = append(i.queue, r)
	if !i.writing {
		i.writing = true
		go i.pass()
	}
	return nil
}

// pass passes on what is in the queue.
func (i *interims) pass() {
	x := i.call.x
	i.mu.Lock()
	defer i.mu.Unlock()
	x.shared = true
	for len(i.queue) > 0 {
		r := i.queue[0]
		i.queue = i.queue[1:]
		i.mu.Unlock()
		i.send.Lock()
		x.idle.writing.Store(true)
		x.moved()
		x.side.interim(r) // a client that is gone shows when it gets the answer
		x.idle.writing.Store(false)
		i.send.Unlock()
		i.mu.Lock()
	}
	i.writing = false
	i.idle.Broadcast()
}

// proceed has the client send the body that it holds back, unless the answer is
// here without it.
func (i *interims) proceed() bool {
	i.send.Lock()
	defer i.send.Unlock()
	i.mu.Lock()
	closed := i.closed
	i.mu.Unlock()
	if !closed {
		i.call.x.side.proceed()
	}
	return !closed
}

// close returns when all are passed on. Nothing is sent any more.
func (i *interims) close() {
	i.mu.Lock()
	for i.writing {
		i.idle.Wait()
	}
	i.closed = true
	i.mu.Unlock()
	i.send.Lock() // a proceed may be on its way
	defer i.send.Unlock()
}

// none says whether none came.
func (i *interims) none() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.seen == 0
}

// addFields adds the fields of a target's header to r: all but what frames it. A
// field that is about a connection makes a message malformed (RFC 9113, section
// 8.2.2).
func addFields(r *http1.Response, header http.Header) error {
	for name, values := range header {
		kind := http1.KindOf(name)
		switch {
		case kind == http1.Trailer || kind == http1.ContentLength:
			continue
		case kind == http1.Connection, kind == http1.KeepAlive, kind == http1.ProxyConnection,
			kind == http1.TransferEncoding, kind == http1.Upgrade:
			return &fieldError{name}
		case kind == http1.Other && http1.LooksFraming(name):
			continue
		}
		for _, value := range values {
			r.Fields = append(r.Fields, http1.Field{Name: name, Value: strings.Trim(value, " \t"), Kind: kind})
		}
	}
	return nil
}

// fieldError is a field that no response by HTTP/2 may have.
type fieldError struct{ name string }

func (e *fieldError) Error() string { return "read response: field " + e.name + " in HTTP/2" }
