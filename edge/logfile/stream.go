package logfile

import (
	"bytes"
	"io/fs"
	"os"
	"syscall"
	"time"
)

// pipeBuf is Linux's PIPE_BUF: up to so many bytes, a write to a pipe is not
// interleaved with those of others (pipe(7)). The connection and the access log
// may well share standard output.
const pipeBuf = 4096

// stream is an opened pipe, terminal, device or standard stream.
type stream struct {
	file *os.File
	// borrowed is true for a stream that others write to and nobody closes.
	borrowed bool
}

// open opens name as Options say.
func open(name string) (sink, error) {
	switch name {
	case "/dev/stdout":
		return openStream(name, os.Stdout)
	case "/dev/stderr":
		return openStream(name, os.Stderr)
	}
	flag := os.O_WRONLY | os.O_APPEND | os.O_CREATE
	if info, err := os.Stat(name); err == nil && info.Mode()&fs.ModeNamedPipe != 0 {
		// Write-only, a pipe without a reader could not be opened, and one whose
		// reader leaves would break (fifo(7)).
		flag = os.O_RDWR
	}
	// O_NONBLOCK for the case that name has become a pipe since.
	file, err := os.OpenFile(name, flag|syscall.O_NONBLOCK, 0o600)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err != nil {
		file.Close()
		return nil, err
	}
	if info.Mode().IsRegular() {
		return &regular{name: name, file: file, size: info.Size(), written: info.ModTime()}, nil
	}
	return &stream{file: file}, nil
}

// openStream returns a standard stream. A pipe is opened a second time, so that
// it can be written without blocking while the rest of the process, and whoever
// else holds it, keep theirs as it is. Everything else is used as it is: a
// socket cannot be opened, and a regular file has one offset to share.
func openStream(name string, file *os.File) (sink, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if info.Mode()&fs.ModeNamedPipe != 0 {
		// Refused where the pipe belongs to another user.
		if file, err := os.OpenFile(name, os.O_WRONLY|syscall.O_NONBLOCK, 0); err == nil {
			return &stream{file: file}, nil
		}
	}
	return &stream{file: file, borrowed: true}, nil
}

func (o *stream) write(lines []byte) (int, error) {
	taken := 0
	for taken < len(lines) {
		n, err := o.file.Write(head(lines[taken:], pipeBuf))
		taken += n
		if err != nil {
			return taken, err
		}
	}
	return taken, nil
}

// head returns as many of the first whole lines as fit size, at least one.
func head(lines []byte, size int) []byte {
	if len(lines) <= size {
		return lines
	}
	if end := bytes.LastIndexByte(lines[:size], '\n'); end >= 0 {
		return lines[:end+1]
	}
	return lines[:bytes.IndexByte(lines, '\n')+1]
}

func (o *stream) truncated() bool { return false }
func (o *stream) undo(int) bool   { return false }

func (o *stream) deadline(t time.Time) {
	if !o.borrowed {
		_ = o.file.SetWriteDeadline(t) // a device knows none, and needs none
	}
}

func (o *stream) close() error {
	if o.borrowed {
		return nil
	}
	return o.file.Close()
}
