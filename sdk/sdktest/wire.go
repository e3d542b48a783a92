package sdktest

import (
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/sallyport/sallyport/sdk/frame"
)

// reading takes frames off a connection. Their bodies are good until the next one.
type reading struct {
	conn net.Conn
	max  int
	buf  []byte
	used int
}

func (r *reading) next() (frame.Frame, error) {
	r.buf = r.buf[:copy(r.buf, r.buf[r.used:])]
	r.used = 0
	for {
		f, n, err := frame.Parse(r.buf, r.max)
		if err != nil {
			return f, err
		}
		if n > 0 {
			r.used = n
			return f, nil
		}
		if len(r.buf) == cap(r.buf) {
			r.buf = append(make([]byte, 0, 2*cap(r.buf)+64<<10), r.buf...)
		}
		read, err := r.conn.Read(r.buf[len(r.buf):cap(r.buf)])
		r.buf = r.buf[:len(r.buf)+read]
		if read == 0 && err != nil {
			return frame.Frame{}, err
		}
	}
}

// receive hands on what the plugin says until it says no more.
func (p *Plugin) receive(r *reading) {
	defer close(p.read)
	for {
		f, err := r.next()
		if err == nil {
			err = p.take(f)
		}
		if err == nil {
			continue
		}
		if errors.Is(err, frame.ErrMalformed) {
			p.t.Errorf("the plugin sent what is wrong: %v", err)
			p.conn.Close()
		}
		p.mu.Lock()
		p.readErr = err
		for _, answer := range p.waiting {
			close(answer)
		}
		p.waiting = nil
		close(p.changed)
		p.changed = make(chan struct{})
		p.mu.Unlock()
		return
	}
}

func (p *Plugin) take(f frame.Frame) error {
	if f.Type != frame.Verdict && f.Type != frame.Pong {
		return p.unasked(f)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	answer := p.waiting[f.ID]
	if answer == nil {
		return fmt.Errorf("%w: %v with id %d, which is not open", frame.ErrMalformed, f.Type, f.ID)
	}
	delete(p.waiting, f.ID)
	f.Body = append([]byte(nil), f.Body...)
	answer <- f
	return nil
}

// unasked takes a frame that is no answer.
func (p *Plugin) unasked(f frame.Frame) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch f.Type {
	case frame.Log:
		line, err := frame.ParseLog(f.Body)
		if err != nil {
			return err
		}
		p.lines = append(p.lines, line)
	case frame.Invalidate:
		body, err := frame.ParseInvalidate(f.Body)
		if err != nil {
			return err
		}
		p.invalidations = append(p.invalidations, body)
	default:
		return fmt.Errorf("%w: %v is not expected here", frame.ErrMalformed, f.Type)
	}
	close(p.changed)
	p.changed = make(chan struct{})
	return nil
}

// write sends bytes. That the plugin has gone is for the one who waits to notice.
func (p *Plugin) write(b []byte) {
	p.conn.SetWriteDeadline(time.Now().Add(patience))
	p.conn.Write(b)
}

// open gives an id, and where the answer to it will come. It is closed instead
// when the plugin has gone.
func (p *Plugin) open() (id uint32, answer chan frame.Frame) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lastID++
	answer = make(chan frame.Frame, 1)
	if p.waiting == nil {
		close(answer)
	} else {
		p.waiting[p.lastID] = answer
	}
	return p.lastID, answer
}

// call is a call whose verdict is awaited.
type call struct {
	id     uint32
	answer chan frame.Frame
}

// send sends a call whose body append makes.
func (p *Plugin) send(kind frame.Type, body []byte) call {
	if length := len(body) + frame.HeaderSize - 4; length > p.max {
		p.t.Fatalf("a call of %d bytes, where the plugin takes %d: the edge denies by itself", length, p.max)
	}
	id, answer := p.open()
	p.write(appendFrame(nil, kind, id, body))
	return call{id, answer}
}

func appendFrame(dst []byte, kind frame.Type, id uint32, body []byte) []byte {
	start := len(dst)
	return frame.End(append(frame.Begin(dst, kind, id), body...), start)
}

// receiveVerdict waits for the verdict on a call.
func (p *Plugin) receiveVerdict(c call) (Verdict, error) {
	f, err := p.receiveAnswer(c, frame.Verdict)
	if err != nil {
		return Verdict{}, err
	}
	body, err := frame.ParseVerdict(f.Body)
	if err != nil {
		return Verdict{}, err
	}
	return newVerdict(body), nil
}

func (p *Plugin) receiveAnswer(c call, kind frame.Type) (frame.Frame, error) {
	select {
	case f, ok := <-c.answer:
		if !ok {
			p.mu.Lock()
			defer p.mu.Unlock()
			return f, fmt.Errorf("the plugin has gone: %w", p.readErr)
		}
		if f.Type != kind {
			return f, fmt.Errorf("%v came: want %v", f.Type, kind)
		}
		return f, nil
	case <-time.After(patience):
		return frame.Frame{}, fmt.Errorf("no %v within %v", kind, patience)
	}
}

func (p *Plugin) ping() error {
	id, answer := p.open()
	p.write(frame.Append(nil, frame.Ping, id))
	_, err := p.receiveAnswer(call{id, answer}, frame.Pong)
	return err
}
