package handoff

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// Env is the environment variable that tells a successor which descriptor its end
// is.
const Env = "SALLYPORT_HANDOFF_FD"

// MaxBody is the longest body of a message, in bytes.
const MaxBody = 64 << 10

// Message is what one process tells the other.
type Message struct {
	Kind Kind
	Body []byte
	File *os.File // its descriptor, nil if it has none; the receiver's to close
}

// Conn is one end. Send and Receive may be used at the same time, each by one
// goroutine.
type Conn struct {
	unix   *net.UnixConn
	buffer [1 + MaxBody + 1]byte
}

// Pair returns the predecessor's end, and the successor's as a file to be
// inherited; both are the caller's to close. Neither is inherited by chance.
func Pair() (*Conn, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("make sockets to hand over by: %w", err)
	}
	theirs := os.NewFile(uintptr(fds[1]), "handoff")
	ours, err := newConn(os.NewFile(uintptr(fds[0]), "handoff"))
	if err != nil {
		theirs.Close()
		return nil, nil, err
	}
	return ours, theirs, nil
}

// Inherited returns the end that a predecessor has left to this process, nil if
// none has. It takes the variable out of the environment, so that no other process
// takes the descriptor for one.
func Inherited() (*Conn, error) {
	text, ok := os.LookupEnv(Env)
	if !ok {
		return nil, nil
	}
	os.Unsetenv(Env)
	fd, err := strconv.Atoi(text)
	if err != nil || fd < 3 {
		return nil, fmt.Errorf("%s %q: want the number of a descriptor beyond 2", Env, text)
	}
	unix.CloseOnExec(fd)
	return newConn(os.NewFile(uintptr(fd), "handoff"))
}

// newConn closes f in any case.
func newConn(f *os.File) (*Conn, error) {
	defer f.Close()
	conn, err := net.FileConn(f)
	if err != nil {
		return nil, fmt.Errorf("use descriptor %s to hand over by: %w", f.Name(), err)
	}
	u, ok := conn.(*net.UnixConn)
	if !ok || u.LocalAddr().Network() != "unixpacket" {
		conn.Close()
		return nil, fmt.Errorf("use descriptor to hand over by: it is %s: want a unix socket of packets", conn.LocalAddr().Network())
	}
	return &Conn{unix: u}, nil
}

// Close ends the connection; the other side sees it.
func (c *Conn) Close() error { return c.unix.Close() }

// longAgo is a deadline that is over.
var longAgo = time.Unix(1, 0)

// Send sends a message. Of body, bytes go as they are, nil is none, and anything
// else goes as JSON. With fd, a descriptor goes along, which stays the sender's
// as well; -1 is none. It returns early with the cause when ctx is done.
func (c *Conn) Send(ctx context.Context, kind Kind, body any, fd int) error {
	data := []byte{byte(kind)}
	switch body := body.(type) {
	case nil:
	case []byte:
		data = append(data, body...)
	default:
		text, err := json.Marshal(body)
		if err != nil {
			return fmt.Errorf("send %v: %w", kind, err)
		}
		data = append(data, text...)
	}
	if len(data) > 1+MaxBody {
		return fmt.Errorf("send %v: %d bytes: want at most %d", kind, len(data)-1, MaxBody)
	}
	var rights []byte
	if fd >= 0 {
		rights = unix.UnixRights(fd)
	}
	stop := c.until(ctx, c.unix.SetWriteDeadline)
	_, _, err := c.unix.WriteMsgUnix(data, rights, nil)
	if err = stop(err); err != nil {
		return fmt.Errorf("send %v: %w", kind, err)
	}
	return nil
}

// Receive returns the next message, and io.EOF when the other side has closed or
// is gone. Its body is valid until the next call. It returns early with the cause
// when ctx is done.
func (c *Conn) Receive(ctx context.Context) (Message, error) {
	rights := make([]byte, unix.CmsgSpace(4*maxFiles))
	stop := c.until(ctx, c.unix.SetReadDeadline)
	n, rn, flags, _, err := c.unix.ReadMsgUnix(c.buffer[:], rights)
	if err = stop(err); err != nil {
		if errors.Is(err, unix.ECONNRESET) { // it ended with something unread
			err = io.EOF
		}
		if !errors.Is(err, io.EOF) {
			err = fmt.Errorf("receive: %w", err)
		}
		return Message{}, err
	}
	files, err := parseRights(rights[:rn])
	if err == nil && (flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0 || n > 1+MaxBody || len(files) > 1) {
		err = fmt.Errorf("a message of more than %d bytes or one descriptor", MaxBody)
	}
	if err == nil && (n < 1 || Kind(c.buffer[0]) == 0 || Kind(c.buffer[0]) >= kinds) {
		err = fmt.Errorf("a message of unknown kind %d", c.buffer[0])
	}
	if err != nil {
		for _, f := range files {
			f.Close()
		}
		return Message{}, fmt.Errorf("receive: %w", err)
	}
	m := Message{Kind: Kind(c.buffer[0]), Body: c.buffer[1:n]}
	if len(files) == 1 {
		m.File = files[0]
	}
	return m, nil
}

// Expect is Receive where only one kind can come next. A Failed instead is an
// error with the other side's words.
func (c *Conn) Expect(ctx context.Context, kind Kind) (Message, error) {
	m, err := c.Receive(ctx)
	switch {
	case errors.Is(err, io.EOF):
		return m, fmt.Errorf("wait for %v: the other process has ended", kind)
	case err != nil:
		return m, fmt.Errorf("wait for %v: %w", kind, err)
	case m.Kind == kind:
		return m, nil
	}
	if m.File != nil {
		m.File.Close()
	}
	if m.Kind == Failed {
		var failed FailedBody
		if err := m.Decode(&failed); err != nil {
			return m, err
		}
		return m, errors.New(failed.Cause)
	}
	return m, fmt.Errorf("wait for %v: got %v", kind, m.Kind)
}

// until makes a call end when ctx is done. What it returns is to be called with
// the call's error behind it.
func (c *Conn) until(ctx context.Context, setDeadline func(time.Time) error) (done func(error) error) {
	setDeadline(time.Time{})
	over := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(over)
		setDeadline(longAgo)
	})
	return func(err error) error {
		if !stop() {
			<-over // or it would cut the next call short
		}
		if err != nil && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return err
	}
}

// maxFiles is how many descriptors fit into what is read; more than one is
// refused.
const maxFiles = 4

func parseRights(b []byte) ([]*os.File, error) {
	if len(b) == 0 {
		return nil, nil
	}
	messages, err := unix.ParseSocketControlMessage(b)
	if err != nil {
		return nil, fmt.Errorf("parse control message: %w", err)
	}
	var files []*os.File
	for i := range messages {
		fds, err := unix.ParseUnixRights(&messages[i])
		if err != nil {
			continue // of another kind
		}
		for _, fd := range fds {
			files = append(files, os.NewFile(uintptr(fd), "handed over"))
		}
	}
	return files, nil
}
