package logfile

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
	"time"
)

const (
	// lookEvery is how often a file's name is looked at.
	lookEvery = time.Second
	// missing is how long a file may be without its name before it is taken for
	// moved away by somebody who does not say so. A rotation from outside tells by
	// a signal, and between its rename and its signal it must find the name as it
	// left it.
	missing = 5 * time.Second
)

// regular is an opened regular file.
type regular struct {
	name string
	file *os.File
	// size is the file's when it was last looked at or written.
	size int64
	// written is when something was last written to it, before it was opened.
	written time.Time

	looked  time.Time // at the name
	nameOff time.Time // when the name was first seen to be another file's, or nobody's
}

func (o *regular) write(lines []byte) (int, error) {
	n, err := o.file.Write(lines)
	o.size += int64(n)
	return n, err
}

// truncated says whether the file is shorter than it was: a rotation that copies
// and truncates. Appending goes on at its new end (O_APPEND).
func (o *regular) truncated() bool {
	info, err := o.file.Stat()
	if err != nil {
		return false
	}
	was := o.size
	o.size = info.Size()
	return o.size < was
}

// undo takes back what was written last, if nobody has written behind it.
func (o *regular) undo(n int) bool {
	info, err := o.file.Stat()
	if err != nil || info.Size() != o.size || int64(n) > o.size || o.file.Truncate(o.size-int64(n)) != nil {
		return false
	}
	o.size -= int64(n)
	return true
}

// moved says whether what is written now would be found by nobody under the
// file's name: at once if the file was removed, a while after it was renamed.
func (o *regular) moved(now time.Time) bool {
	if now.Sub(o.looked) < lookEvery && !now.Before(o.looked) {
		return false
	}
	o.looked = now
	own, err := o.file.Stat()
	if err != nil {
		return false
	}
	named, err := os.Stat(o.name)
	if err == nil && os.SameFile(own, named) || err != nil && !errors.Is(err, fs.ErrNotExist) {
		o.nameOff = time.Time{}
		return false
	}
	if stat, ok := own.Sys().(*syscall.Stat_t); ok && stat.Nlink == 0 {
		return true
	}
	if o.nameOff.IsZero() {
		o.nameOff = now
	}
	// A rename is the last change to a file that nobody writes.
	return now.Sub(o.nameOff) >= missing || now.Sub(changed(own)) >= missing
}

// A write to a regular file ends when the kernel ends it: there is no deadline.
func (o *regular) deadline(time.Time) {}

func (o *regular) close() error { return o.file.Close() }
