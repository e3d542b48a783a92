// Package logfile writes whole lines to where logs go without ever holding up
// those who write them: a slow or full disk and a receiver that is gone cost log
// lines, counted, never requests.
//
// The way of a line: file.go (the queue) → run.go (the writer) → one of the
// sinks: regular.go (files), stream.go (pipes and standard streams) or syslog.go.
// A file that has become large or old is cut off by rotate.go into a piece with a
// name of ALB's (piece.go), which keep.go has compressed (compress.go) and some
// day removed.
package logfile

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

const (
	// maxQueued bounds what waits to be written, in bytes: at 500 bytes a line,
	// about 16,000 lines.
	maxQueued = 8 << 20
	// gather is how long the writer lets lines come together after the first,
	// so that a busy log costs hundreds of write calls a second, not thousands.
	gather = 5 * time.Millisecond
	// retry is the pause between attempts at a sink that takes nothing.
	retry = time.Second
	// grace is how long a pipe or a receiver may take the last lines once Run is to
	// end.
	grace = 5 * time.Second
	// maxSpare is the largest buffer kept for the next lines; what a burst has
	// made larger is given back.
	maxSpare = 1 << 20
)

// ErrClosed is what Reopen returns once Run is ending or has ended.
var ErrClosed = errors.New("log file is closed")

// Options say where lines go. Two values that are equal are the same log.
type Options struct {
	// Name is a file's, appended to and made with mode 0600 if it is missing in a
	// folder that is there; or a named pipe's, which need not have a reader. The
	// names /dev/stdout and /dev/stderr are this process's own streams, whatever
	// they are connected to.
	Name string
	// Syslog is a receiver that takes the lines instead. Exactly one of the two is
	// given.
	Syslog Syslog
	// Rotate has a regular file cut into pieces. The zero value does not.
	Rotate Rotate
	// JSON says that the lines are JSON objects: then one of the log's own,
	// {"event":"dropped","timestamp":…,"lines":N}, stands where lines are missing.
	JSON bool
	// Log is told of trouble with the log. Nil: slog.Default().
	Log *slog.Logger
}

// File is a log: an append-only file, a pipe, a standard stream or a syslog
// receiver, made by New and written by Run. All methods may be called
// concurrently.
type File struct {
	options Options
	name    string
	limit   int
	grace   time.Duration
	settle  time.Duration // how long a piece is left alone before it is compressed
	header  *header       // stands before every line, nil for none

	wake  chan struct{} // there is something to write
	alarm chan struct{} // dropping has begun or ended
	cut   chan struct{} // a piece was cut off

	// Touched by Run's goroutine only.
	failing bool      // the last write failed
	lost    int       // lines lost while ending
	cause   error     // why the last of them was
	due     time.Time // the end of the interval that is being written
	resting time.Time // until then no rotation is attempted

	// files is held while names are changed, which Reopen and a rotation must not
	// do at once. It is taken before mu.
	files sync.Mutex

	mu      sync.Mutex
	state   state
	current sink // where pending goes
	writing sink // where Run is writing now, or nil
	pending []byte
	spare   []byte  // an empty buffer that pending takes turns with
	sealed  []batch // lines of sinks that Reopen has replaced, oldest first
	queued  int     // bytes waiting or being written, wherever they are
	drops   drops
}

type state uint8

const (
	opened state = iota
	running
	stopping // Run's context is done; what is queued is being written
	closed
)

// batch is whole lines and where they go.
type batch struct {
	out   sink
	lines []byte
}

// sink is what takes lines. Only deadline may be called while another method
// runs.
type sink interface {
	// write writes lines, which may begin in the middle of one that it has taken a
	// part of, and returns how many bytes it has taken, fewer than all of them only
	// with an error.
	write(lines []byte) (int, error)
	// truncated says whether somebody else has cut off what was written last.
	truncated() bool
	// undo takes the last n bytes back, where it can: a line that was begun.
	undo(n int) bool
	// deadline ends writes that block.
	deadline(time.Time)
	close() error
}

func (f *File) log() *slog.Logger {
	if f.options.Log != nil {
		return f.options.Log
	}
	return slog.Default()
}

// Open is New for a file that is not rotated.
func Open(name string) (*File, error) { return New(Options{Name: name}) }

// New opens a log. It starts nothing: lines are queued until Run writes them, and
// only Run closes the file. A syslog receiver need not be there yet.
func New(o Options) (*File, error) {
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("open log file: %w", err)
	}
	f := &File{
		options: o,
		name:    o.Name,
		limit:   maxQueued,
		grace:   grace,
		settle:  settle,
		wake:    make(chan struct{}, 1),
		alarm:   make(chan struct{}, 1),
		cut:     make(chan struct{}, 1),
	}
	if o.Name == "" {
		f.name, f.header = o.Syslog.String(), newHeader(o.Syslog)
	}
	out, err := f.open()
	if err != nil {
		return nil, fmt.Errorf("open log file: %w", err)
	}
	f.current = out
	return f, nil
}

func (o Options) check() error {
	switch {
	case (o.Name == "") == (o.Syslog == Syslog{}):
		return errors.New("want a name or a syslog receiver, and not both")
	case o.Name == "" && o.Rotate != Rotate{}:
		return errors.New("a syslog receiver has nothing to rotate")
	}
	return o.Rotate.check()
}

// open opens the sink that the options name.
func (f *File) open() (sink, error) {
	if f.options.Name == "" {
		return &syslog{to: f.options.Syslog, lost: func(lines int) { f.leave(0, lines) }}, nil
	}
	out, err := open(f.options.Name)
	if err != nil {
		return nil, err
	}
	if f.options.Rotate.on() {
		// A symbolic link would be renamed in the file's stead.
		if info, err := os.Lstat(f.options.Name); err != nil || !info.Mode().IsRegular() {
			return nil, errors.Join(fmt.Errorf("rotate %s: not a regular file", f.options.Name), err, out.close())
		}
	}
	return out, nil
}

// Options returns what the log was opened with.
func (f *File) Options() Options { return f.options }

// Name returns the name that the file was opened by, or the receiver's address.
func (f *File) Name() string { return f.name }

// Dropped returns how many lines have been lost so far: those that came while
// the queue was full or after Run's end, that did not fit the receiver, or that
// the sink would not take when Run ended.
func (f *File) Dropped() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.drops.total
}

// Write queues a copy of one line, and ends it with a newline if it has none;
// a newline elsewhere in it is the caller's mistake. Write never waits for the
// sink. A line that does not fit the 8 MiB queue is dropped and counted.
func (f *File) Write(line []byte) {
	size := len(line)
	ended := size > 0 && line[size-1] == '\n'
	if !ended {
		size++
	}
	var room [maxHeader]byte
	head := room[:0]
	if f.header != nil {
		head = f.header.append(head, time.Now())
		size += len(head)
	}

	f.mu.Lock()
	if f.state == closed || f.queued+size > f.limit {
		f.drop(1)
		f.mu.Unlock()
		return
	}
	first := len(f.pending) == 0
	f.tellGap(head)
	f.pending = append(f.pending, head...)
	f.pending = append(f.pending, line...)
	if !ended {
		f.pending = append(f.pending, '\n')
	}
	f.queued += size
	f.mu.Unlock()

	if first {
		notify(f.wake)
	}
}

// Reopen opens the same name anew, after something else has renamed or removed
// the file, or connects to the receiver anew. Lines written before Reopen go to
// the old file, unless that has been failing and fails once more, and lines
// written after it go to the new one. On error the old file stays in use. Once
// Run is ending, the error is ErrClosed.
func (f *File) Reopen() error {
	f.files.Lock()
	defer f.files.Unlock()
	out, err := f.open()
	if err != nil {
		return fmt.Errorf("reopen log file: %w", err)
	}
	f.mu.Lock()
	if f.state >= stopping {
		f.mu.Unlock()
		return errors.Join(fmt.Errorf("reopen log file %s: %w", f.name, ErrClosed), out.close())
	}
	f.sealed = append(f.sealed, batch{out: f.current, lines: f.pending})
	f.current, f.pending = out, nil
	f.mu.Unlock()

	notify(f.wake)
	return nil
}

// notify wakes the receiver of c, which has room for one signal; a second one
// before it has looked adds nothing.
func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
