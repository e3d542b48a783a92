package logfile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// Syslog is a receiver of messages of RFC 5424, each with one line.
type Syslog struct {
	// Network is unixgram, udp (RFC 5426) or tcp (RFC 6587, section 3.4.1: each
	// message behind its length).
	Network string
	// Address is a socket's path, or host:port.
	Address string
	// Facility is its number of RFC 5424, section 6.2.1: 16 is local0.
	Facility int
	// MessageID names the kind of message: access, say.
	MessageID string
}

// String returns the receiver's address as logs name it.
func (s Syslog) String() string { return "syslog " + s.Network + "://" + s.Address }

// patience bounds one attempt to reach the receiver, and one write.
const patience = 5 * time.Second

// syslog is a connection to a receiver, made when there is something to write
// and again when it has broken.
type syslog struct {
	to     Syslog
	lost   func(lines int) // what can never be sent
	frames []byte

	mu    sync.Mutex
	conn  net.Conn  // nil while there is none
	until time.Time // the deadline set from outside, or zero
}

// write sends every line as one message. What a receiver that goes away has not
// read by then is lost to both: TCP does not tell how much that was.
func (s *syslog) write(lines []byte) (int, error) {
	conn, err := s.connect()
	if err != nil {
		return 0, err
	}
	send := s.sendDatagrams
	if s.to.Network == "tcp" {
		send = s.sendStream
	}
	n, err := send(conn, lines)
	if err != nil {
		s.disconnect()
		return n, fmt.Errorf("send to %s: %w", s.to, err)
	}
	return n, nil
}

// connect returns the connection, with a deadline for what is done next.
func (s *syslog) connect() (net.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn != nil && s.to.Network == "tcp" && hungUp(s.conn) {
		s.conn.Close()
		s.conn = nil
	}
	by := time.Now().Add(patience)
	if !s.until.IsZero() && s.until.Before(by) {
		by = s.until
	}
	if s.conn == nil {
		s.mu.Unlock() // who ends the writer does not wait for the receiver
		ctx, cancel := context.WithDeadline(context.Background(), by)
		conn, err := (&net.Dialer{}).DialContext(ctx, s.to.Network, s.to.Address)
		cancel()
		s.mu.Lock()
		if err != nil {
			return nil, err
		}
		s.conn = conn
	}
	return s.conn, s.conn.SetWriteDeadline(by)
}

// hungUp says whether the receiver has closed its side: the kernel would take
// what is written all the same, and lose it.
func hungUp(conn net.Conn) bool {
	raw, err := conn.(syscall.Conn).SyscallConn()
	if err != nil {
		return true
	}
	gone := false
	err = raw.Read(func(fd uintptr) bool {
		var b [1]byte
		n, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		gone = n == 0 && err == nil || err != nil && !errors.Is(err, syscall.EAGAIN)
		return true
	})
	return gone || err != nil
}

func (s *syslog) sendDatagrams(conn net.Conn, lines []byte) (taken int, err error) {
	for len(lines) > 0 {
		line, rest := cutLine(lines)
		if _, err := conn.Write(line); errors.Is(err, syscall.EMSGSIZE) {
			s.lost(1)
		} else if err != nil {
			return taken, err
		}
		taken += len(line) + 1
		lines = rest
	}
	return taken, nil
}

func (s *syslog) sendStream(conn net.Conn, lines []byte) (taken int, err error) {
	s.frames = s.frames[:0]
	for rest := lines; len(rest) > 0; {
		var line []byte
		line, rest = cutLine(rest)
		s.frames = append(append(strconv.AppendInt(s.frames, int64(len(line)), 10), ' '), line...)
	}
	sent, err := conn.Write(s.frames)
	if cap(s.frames) > maxSpare {
		defer func() { s.frames = nil }()
	}
	if err == nil {
		return len(lines), nil
	}
	// Of a message that was begun the receiver makes nothing: it is sent again.
	for rest := lines; len(rest) > 0; {
		var line []byte
		line, rest = cutLine(rest)
		if sent -= len(strconv.Itoa(len(line))) + 1 + len(line); sent < 0 {
			break
		}
		taken += len(line) + 1
	}
	return taken, err
}

// cutLine returns the first line, without its newline, and the others.
func cutLine(lines []byte) (line, rest []byte) {
	line, rest, _ = bytes.Cut(lines, []byte{'\n'})
	return line, rest
}

func (s *syslog) disconnect() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn != nil {
		s.conn.Close()
		s.conn = nil
	}
}

func (s *syslog) truncated() bool { return false }
func (s *syslog) undo(int) bool   { return false }

func (s *syslog) deadline(t time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.until = t
	if s.conn != nil {
		_ = s.conn.SetWriteDeadline(t)
	}
}

func (s *syslog) close() error {
	s.disconnect()
	return nil
}
