package logfile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Rotate says when a file is cut off into a piece, and what becomes of pieces.
// They are kept in the file's folder, below AWSLogs, under ALB's names; the file
// itself is a plain one until it is cut.
type Rotate struct {
	// Size is how large a file becomes before it is cut, in bytes; what is written
	// at once is not divided. 0 for any.
	Size int64
	// Every is the length of the intervals after each of which a file with
	// something in it is cut; they end at multiples of it in UTC. 0 for any.
	Every time.Duration
	// Compress has pieces compressed with gzip.
	Compress bool
	// Keep is how long a piece is kept from the end of its interval. 0 for ever.
	Keep time.Duration
	// KeepSize is how many bytes all pieces together may have; beyond it the oldest
	// are removed. 0 for any.
	KeepSize int64
	// Naming is what the pieces are called.
	Naming Naming
}

func (r Rotate) on() bool { return r != Rotate{} }

func (r Rotate) check() error {
	switch {
	case !r.on():
		return nil
	case r.Size < 0 || r.Every < 0 || r.Keep < 0 || r.KeepSize < 0:
		return errors.New("rotate: a size or time is negative")
	case r.Size == 0 && r.Every == 0:
		return errors.New("rotate: want a size or a time after which to")
	}
	return r.Naming.check()
}

// restAfterFailure is how long a rotation that failed is not attempted again.
const restAfterFailure = time.Minute

// beginInterval finds the interval that the file's content belongs to: that of
// the last line in it, or else the present one.
func (f *File) beginInterval(now time.Time) {
	every := f.options.Rotate.Every
	if every == 0 {
		return
	}
	from := now
	if out, ok := f.rotatable(); ok && out.size > 0 && out.written.Before(now) {
		from = out.written
	}
	f.due = from.Truncate(every).Add(every)
}

// untilDue returns how long there is nothing to rotate for being old.
func (f *File) untilDue(now time.Time) time.Duration {
	const long = 24 * time.Hour // a file without intervals needs no waking
	if f.options.Rotate.Every == 0 {
		return long
	}
	return max(f.due.Sub(now), f.resting.Sub(now), 0)
}

// rotateIfDue cuts the file off if it has become old or large enough.
func (f *File) rotateIfDue(now time.Time) {
	r := f.options.Rotate
	if !r.on() || now.Before(f.resting) {
		return
	}
	over := r.Every > 0 && !now.Before(f.due)
	out, ok := f.rotatable()
	if !ok || !over && (r.Size == 0 || out.size < r.Size) {
		return
	}
	end := f.due
	if r.Every == 0 {
		end = now
	}
	if out.size > 0 {
		if err := f.rotate(out, end); err != nil {
			f.resting = now.Add(restAfterFailure)
			f.log().Error("log file not rotated; it grows on", "file", f.name, "cause", err)
			return
		}
		notify(f.cut)
	}
	if over {
		f.due = now.Truncate(r.Every).Add(r.Every)
	}
}

// rotatable returns the file that is being written, unless lines for one before
// it are still waiting.
func (f *File) rotatable() (*regular, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	out, ok := f.current.(*regular)
	return out, ok && len(f.sealed) == 0
}

// rotate gives the file a piece's name and opens a new one under its own. Nothing
// is lost if it ends anywhere in between: what has the name of a piece is found
// by the next Run.
func (f *File) rotate(out *regular, end time.Time) error {
	f.files.Lock()
	defer f.files.Unlock()
	own, err := out.file.Stat()
	if err != nil {
		return err
	}
	if named, err := os.Lstat(f.name); err != nil {
		return err
	} else if !os.SameFile(own, named) {
		return fmt.Errorf("%s is another file by now", f.name)
	}
	piece := f.options.Rotate.Naming.path(filepath.Dir(f.name), end)
	if err := os.MkdirAll(filepath.Dir(piece), 0o700); err != nil {
		return err
	}
	if err := os.Rename(f.name, piece); err != nil {
		return err
	}
	next, err := f.open()
	if err != nil {
		return errors.Join(err, os.Rename(piece, f.name))
	}
	if made, ok := next.(*regular); ok {
		_ = made.file.Chmod(own.Mode().Perm()) // as whoever made the first one wanted it
	}
	f.mu.Lock()
	if f.current != sink(out) {
		f.mu.Unlock()
		return errors.Join(errors.New("reopened meanwhile"), next.close())
	}
	f.current = next
	f.mu.Unlock()
	return out.close()
}
