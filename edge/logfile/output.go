package logfile

import (
	"bytes"
	"io/fs"
	"os"
	"syscall"
)

// pipeBuf is Linux's PIPE_BUF: up to so many bytes, a write to a pipe is not
// interleaved with those of others (pipe(7)). The connection and the access log
// may well share standard output.
const pipeBuf = 4096

// output is one opened file.
type output struct {
	file *os.File
	// chunk is the most that is written at once, 0 for any amount.
	chunk int
	// borrowed is true for a stream that others write to and nobody closes.
	borrowed bool
}

// open opens name as Open says.
func open(name string) (*output, error) {
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
	return newOutput(file, false)
}

// openStream returns a standard stream. A pipe is opened a second time, so that
// it can be written without blocking while the rest of the process, and whoever
// else holds it, keep theirs as it is. Everything else is used as it is: a
// socket cannot be opened, and a regular file has one offset to share.
func openStream(name string, stream *os.File) (*output, error) {
	info, err := stream.Stat()
	if err != nil {
		return nil, err
	}
	if info.Mode()&fs.ModeNamedPipe != 0 {
		// Refused where the pipe belongs to another user.
		if file, err := os.OpenFile(name, os.O_WRONLY|syscall.O_NONBLOCK, 0); err == nil {
			return newOutput(file, false)
		}
	}
	return newOutput(stream, true)
}

func newOutput(file *os.File, borrowed bool) (*output, error) {
	out := &output{file: file, borrowed: borrowed}
	info, err := file.Stat()
	if err != nil {
		out.close()
		return nil, err
	}
	if !info.Mode().IsRegular() {
		out.chunk = pipeBuf
	}
	return out, nil
}

// write writes lines and returns how many bytes the file has taken, fewer than
// all of them only with an error.
func (o *output) write(lines []byte) (int, error) {
	if o.chunk == 0 {
		return o.file.Write(lines)
	}
	taken := 0
	for taken < len(lines) {
		n, err := o.file.Write(head(lines[taken:], o.chunk))
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

func (o *output) close() error {
	if o.borrowed {
		return nil
	}
	return o.file.Close()
}
