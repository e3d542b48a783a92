// Package logfile appends whole lines to a file without ever holding up those
// who write them: a slow or full disk costs log lines, counted, never requests.
package logfile

import (
	"errors"
	"fmt"
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
	// retry is the pause between attempts at a file that takes nothing.
	retry = time.Second
	// grace is how long a pipe may take the last lines once Run is to end.
	grace = 5 * time.Second
	// maxSpare is the largest buffer kept for the next lines; what a burst has
	// made larger is given back.
	maxSpare = 1 << 20
)

// ErrClosed is what Reopen returns once Run is ending or has ended.
var ErrClosed = errors.New("log file is closed")

// File is an append-only log file, pipe or standard stream, opened by Open and
// written by Run. All methods may be called concurrently.
type File struct {
	name  string
	limit int
	grace time.Duration

	wake  chan struct{} // there is something to write
	alarm chan struct{} // dropping has begun or ended

	// Touched by Run's goroutine only.
	failing bool  // the last write failed
	lost    int   // lines lost while ending
	cause   error // why the last of them was

	mu      sync.Mutex
	state   state
	current *output // where pending goes
	writing *output // where Run is writing now, or nil
	pending []byte  // whole lines
	spare   []byte  // an empty buffer that pending takes turns with
	sealed  []batch // lines of outputs that Reopen has replaced, oldest first
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
	out   *output
	lines []byte
}

// Open opens name for appending and makes it with mode 0600 if it is missing;
// the folder must exist. A named pipe need not have a reader: lines wait in it.
// The names /dev/stdout and /dev/stderr are this process's own streams,
// whatever they are connected to. Open starts nothing: lines are queued until
// Run writes them, and only Run closes the file.
func Open(name string) (*File, error) {
	out, err := open(name)
	if err != nil {
		return nil, fmt.Errorf("open log file: %w", err)
	}
	return &File{
		name:    name,
		limit:   maxQueued,
		grace:   grace,
		wake:    make(chan struct{}, 1),
		alarm:   make(chan struct{}, 1),
		current: out,
	}, nil
}

// Name returns the name that the file was opened by.
func (f *File) Name() string { return f.name }

// Dropped returns how many lines have been lost so far: those that came while
// the queue was full, after Run's end, or that the file would not take when Run
// ended or Reopen had replaced it.
func (f *File) Dropped() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.drops.total
}

// Write queues a copy of one line, and ends it with a newline if it has none;
// a newline elsewhere in it is the caller's mistake. Write never waits for the
// file. A line that does not fit the 8 MiB queue is dropped and counted.
func (f *File) Write(line []byte) {
	size := len(line)
	ended := size > 0 && line[size-1] == '\n'
	if !ended {
		size++
	}

	f.mu.Lock()
	if f.state == closed || f.queued+size > f.limit {
		f.drop(1)
		f.mu.Unlock()
		return
	}
	first := len(f.pending) == 0
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
// the file. Lines written before Reopen go to the old file, which gets one more
// attempt if it has been failing; lines written after it go to the new one. On
// error the old file stays in use. Once Run is ending, the error is ErrClosed.
func (f *File) Reopen() error {
	out, err := open(f.name)
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
