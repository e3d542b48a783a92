package logfile

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Run writes what is queued until ctx is done, then writes the rest, closes the
// file and returns. What the sink does not take is attempted again every second,
// while later lines wait in the queue. The error, if any, says how many lines the
// last attempt lost. A pipe and a receiver get five seconds for the last lines; a
// write that the kernel itself does not end, on a hung disk or a halted terminal,
// holds Run up. A piece that is being compressed is left to the next Run of the
// same options, which finishes it. Run may be called once.
func (f *File) Run(ctx context.Context) error {
	f.mu.Lock()
	if f.state != opened {
		f.mu.Unlock()
		return fmt.Errorf("write log file %s: Run was called before", f.name)
	}
	f.state = running
	f.mu.Unlock()

	quit := make(chan struct{})
	var others sync.WaitGroup
	others.Go(func() { f.watch(ctx.Done(), quit) })
	if f.options.Rotate.on() {
		others.Go(func() { f.keepPieces(ctx) })
	}
	f.beginInterval(time.Now())
	f.rotateIfDue(time.Now()) // what an earlier Run left of an interval that is over
	boundary := time.NewTimer(f.untilDue(time.Now()))
	defer boundary.Stop()
	for ctx.Err() == nil {
		select {
		case <-f.wake:
			pause(ctx, gather)
		case <-boundary.C:
		case <-ctx.Done():
		}
		f.drain(ctx)
		boundary.Reset(f.untilDue(time.Now()))
	}
	f.stop()
	f.drain(ctx)

	close(quit)
	others.Wait()
	err := f.current.close()
	switch {
	case f.lost > 0:
		return fmt.Errorf("write log file %s: the last %d lines are lost: %w", f.name, f.lost, f.cause)
	case err != nil:
		return fmt.Errorf("close log file: %w", err)
	}
	return nil
}

// stop limits the time that the sinks may still take. It may be called twice.
func (f *File) stop() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.state != running {
		return
	}
	f.state = stopping
	deadline := time.Now().Add(f.grace)
	outs := []sink{f.current, f.writing}
	for _, b := range f.sealed {
		outs = append(outs, b.out)
	}
	for _, out := range outs {
		if out != nil {
			out.deadline(deadline)
		}
	}
}

// drain writes until nothing is queued.
func (f *File) drain(ctx context.Context) {
	for {
		if ctx.Err() == nil {
			f.follow(time.Now())
		}
		b, ok := f.take()
		if ok {
			f.flush(ctx, b)
		}
		if ctx.Err() == nil {
			f.rotateIfDue(time.Now())
		}
		if !ok {
			return
		}
	}
}

// follow opens the file anew, if lines are about to be written to one that nobody
// would find under its name.
func (f *File) follow(now time.Time) {
	f.mu.Lock()
	out, _ := f.current.(*regular)
	idle := len(f.pending) == 0
	f.mu.Unlock()
	if out == nil || idle || !out.moved(now) {
		return
	}
	f.files.Lock()
	defer f.files.Unlock()
	next, err := f.open()
	if err != nil {
		f.log().Warn("log file was moved away and cannot be opened anew; lines go to the one that was moved", "file", f.name, "cause", err)
		return
	}
	f.mu.Lock()
	late := f.current != sink(out) // Reopen was faster
	if !late {
		f.current = next
	}
	f.mu.Unlock()
	if late {
		_ = next.close()
		return
	}
	_ = out.close() // what was for it is written
	f.log().Warn("log file was moved away; opened anew", "file", f.name)
}

// take returns the oldest lines. While stopping, it closes the queue as it
// finds it empty, so that no line can come between the last look and the close.
func (f *File) take() (batch, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.state == stopping && f.drops.untold > 0 && !f.drops.last {
		f.drops.last = true
		var room [maxHeader]byte
		f.tellGap(f.header.append(room[:0], time.Now()))
	}
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

// flush writes one batch. A failing sink is attempted again until it takes the
// rest, which also completes a line that it has taken a part of. One that Reopen
// has replaced gets one attempt that began after that was known; what it does not
// take goes to its successor. At the end there is one last attempt.
func (f *File) flush(ctx context.Context, b batch) {
	for done := 0; done < len(b.lines); {
		ending, left := ctx.Err() != nil, f.replaced(b.out)
		begun := done - (bytes.LastIndexByte(b.lines[:done], '\n') + 1)
		if b.out.truncated() {
			f.log().Info("log file was truncated by somebody else; lines go on at its new end", "file", f.name)
			f.leave(-begun, 0)
			done -= begun
		}
		n, err := b.out.write(b.lines[done:])
		f.leave(n, 0)
		done += n
		if err == nil {
			f.recovered()
			break
		}
		f.failed(err)
		if !left && !ending {
			pause(ctx, retry)
			continue
		}
		begun = done - (bytes.LastIndexByte(b.lines[:done], '\n') + 1)
		if b.out.undo(begun) {
			f.leave(-begun, 0)
			done -= begun
		}
		if left {
			old := b.out
			b.out = f.successor(old)
			f.release(old)
			continue
		}
		lines := bytes.Count(b.lines[done:], []byte{'\n'})
		f.leave(len(b.lines)-done, lines)
		f.lost, f.cause = f.lost+lines, err
		break
	}
	f.release(b.out)
	f.reuse(b.lines)
}

// failed and recovered tell of a sink that takes no lines, and of its end.
func (f *File) failed(err error) {
	if !f.failing {
		f.failing = true
		f.log().Warn("log file takes no lines", "file", f.name, "error", err)
	}
}

func (f *File) recovered() {
	if f.failing {
		f.failing = false
		f.log().Warn("log file takes lines again", "file", f.name)
	}
}

// replaced reports whether Reopen has put another sink in out's place.
func (f *File) replaced(out sink) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.current != out
}

// successor returns the sink that was opened after out, which was replaced, and
// makes it the one being written.
func (f *File) successor(out sink) sink {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.writing = f.current
	for _, b := range f.sealed {
		if b.out != out {
			f.writing = b.out
			break
		}
	}
	return f.writing
}

// release closes out, if Reopen has replaced it and no lines wait for it.
func (f *File) release(out sink) {
	f.mu.Lock()
	waits := f.current == out || slices.ContainsFunc(f.sealed, func(b batch) bool { return b.out == out })
	f.mu.Unlock()
	if waits {
		return
	}
	if err := out.close(); err != nil {
		f.log().Warn("log file not closed cleanly", "file", f.name, "error", err)
	}
}

// leave takes bytes off the queue, written or, for a number of lines, lost.
func (f *File) leave(size, lost int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.queued -= size
	if lost > 0 {
		f.drop(lost)
	}
	f.settleDrops()
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
