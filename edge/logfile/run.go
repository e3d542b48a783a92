package logfile

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// Run writes what is queued until ctx is done, then writes the rest, closes the
// file and returns. What the file does not take is attempted again every
// second, while later lines wait in the queue. The error, if any, says how many
// lines the last attempt lost. A pipe gets five seconds for the last lines; a
// write that the kernel itself does not end, on a hung disk or a halted
// terminal, holds Run up. Run may be called once.
func (f *File) Run(ctx context.Context) error {
	f.mu.Lock()
	if f.state != opened {
		f.mu.Unlock()
		return fmt.Errorf("write log file %s: Run was called before", f.name)
	}
	f.state = running
	f.mu.Unlock()

	quit := make(chan struct{})
	var watcher sync.WaitGroup
	watcher.Go(func() { f.watch(ctx.Done(), quit) })

	for ctx.Err() == nil {
		select {
		case <-f.wake:
			pause(ctx, gather)
		case <-ctx.Done():
		}
		f.drain(ctx)
	}
	f.stop()
	f.drain(ctx)

	close(quit)
	watcher.Wait()
	err := f.current.close()
	switch {
	case f.lost > 0:
		return fmt.Errorf("write log file %s: the last %d lines are lost: %w", f.name, f.lost, f.cause)
	case err != nil:
		return fmt.Errorf("close log file: %w", err)
	}
	return nil
}

// stop limits the time that pipes may still take. It may be called twice.
func (f *File) stop() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.state != running {
		return
	}
	f.state = stopping
	deadline := time.Now().Add(f.grace)
	outs := []*output{f.current, f.writing}
	for _, b := range f.sealed {
		outs = append(outs, b.out)
	}
	for _, out := range outs {
		if out != nil && !out.borrowed {
			// Regular files know no deadline, and need none.
			_ = out.file.SetWriteDeadline(deadline)
		}
	}
}

// drain writes until nothing is queued.
func (f *File) drain(ctx context.Context) {
	for {
		b, ok := f.take()
		if !ok {
			return
		}
		f.flush(ctx, b)
	}
}

// take returns the oldest lines. While stopping, it closes the queue as it
// finds it empty, so that no line can come between the last look and the close.
func (f *File) take() (batch, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case len(f.sealed) > 0:
		b := f.sealed[0]
		f.sealed = slices.Delete(f.sealed, 0, 1)
		f.writing = b.out
		return b, true
	case len(f.pending) > 0:
		b := batch{out: f.current, lines: f.pending}
		f.pending, f.spare = f.spare, nil
		f.writing = b.out
		return b, true
	}
	f.writing = nil
	if f.state == stopping {
		f.state = closed
	}
	return batch{}, false
}

// flush writes one batch. A failing file is attempted again until it takes the
// rest, which also completes a line that it has taken a part of. A file that is
// being left gets one attempt that began after that was known.
func (f *File) flush(ctx context.Context, b batch) {
	rest := b.lines
	for len(rest) > 0 {
		ending := ctx.Err() != nil
		last := ending || f.replaced(b.out)
		n, err := b.out.write(rest)
		rest = rest[n:]
		f.leave(n, 0)
		if err == nil {
			if f.failing {
				f.failing = false
				slog.Warn("log file takes lines again", "file", f.name)
			}
			break
		}
		if !f.failing {
			f.failing = true
			slog.Warn("log file takes no lines", "file", f.name, "error", err)
		}
		if last {
			lines := bytes.Count(rest, []byte{'\n'})
			f.leave(len(rest), lines)
			if ending {
				f.lost, f.cause = f.lost+lines, err
			}
			break
		}
		pause(ctx, retry)
	}
	if f.replaced(b.out) && !f.awaited(b.out) {
		if err := b.out.close(); err != nil {
			slog.Warn("log file not closed cleanly", "file", f.name, "error", err)
		}
	}
	f.reuse(b.lines)
}

// replaced reports whether Reopen has put another output in out's place.
func (f *File) replaced(out *output) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.current != out
}

// awaited reports whether lines for out are still sealed.
func (f *File) awaited(out *output) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, b := range f.sealed {
		if b.out == out {
			return true
		}
	}
	return false
}

// leave takes bytes off the queue, written or, for a number of lines, lost.
func (f *File) leave(size, lost int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.queued -= size
	if lost > 0 {
		f.drop(lost)
	}
	f.settle()
}

// reuse keeps an emptied buffer for the next lines.
func (f *File) reuse(buffer []byte) {
	if cap(buffer) > maxSpare {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.spare == nil {
		f.spare = buffer[:0]
	}
}

// pause waits for d, or until ctx is done.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
