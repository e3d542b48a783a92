package logfile

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	// settle is how long a piece is left alone before it is compressed: another
	// edge that had the same file open, one that hands over to this one say, has
	// noticed by then that it was moved (see missing).
	settle = 2 * missing
	// keepEvery is how often pieces are looked through when none is cut off.
	keepEvery = time.Hour
)

// keepPieces compresses and removes pieces until ctx is done.
func (f *File) keepPieces(ctx context.Context) {
	for {
		timer := time.NewTimer(f.tend(ctx, time.Now()))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-f.cut:
			timer.Stop()
		case <-timer.C:
		}
	}
}

// tend looks through all pieces, which are found by their names: so those that an
// earlier process has left are finished too. It returns when to look again.
func (f *File) tend(ctx context.Context, now time.Time) (next time.Duration) {
	next = keepEvery
	r, dir := f.options.Rotate, filepath.Dir(f.name)
	pieces, err := r.Naming.find(os.DirFS(dir))
	if err != nil {
		f.log().Warn("pieces of the log file not found", "file", f.name, "cause", err)
		return next
	}
	plainOnes := map[string]bool{}
	for _, p := range pieces {
		plainOnes[p.path] = p.state == plain
	}
	for i := range pieces {
		p := &pieces[i]
		name := filepath.Join(dir, filepath.FromSlash(p.path))
		switch {
		case p.state == partial && !plainOnes[strings.TrimSuffix(p.path, partSuffix)]:
			f.remove(name) // its piece is whole, or gone
		case p.state == plain && r.Compress && f.unsettled(p, now) > 0:
			next = min(next, f.unsettled(p, now))
		case p.state == plain && r.Compress:
			size, err := compress(ctx, name)
			switch {
			case ctx.Err() != nil:
				return next
			case err != nil:
				next = min(next, restAfterFailure)
				f.log().Warn("piece of the log file not compressed", "file", f.name, "piece", name, "cause", err)
			default:
				p.state, p.path, p.size = compressed, p.path+gzipSuffix, size
			}
		}
	}
	f.expire(pieces, now)
	return next
}

// unsettled returns how long a piece is to be left alone. One of the future says
// that the clock was set back, and nothing else.
func (f *File) unsettled(p *piece, now time.Time) time.Duration {
	age := now.Sub(p.changed)
	if age < 0 {
		return 0
	}
	return f.settle - age
}

// expire removes what is too old, and then the oldest of what is too much.
func (f *File) expire(pieces []piece, now time.Time) {
	r, dir := f.options.Rotate, filepath.Dir(f.name)
	total := int64(0)
	for _, p := range pieces {
		total += p.size
	}
	for _, p := range pieces {
		old := r.Keep > 0 && now.Sub(p.end) > r.Keep
		if p.state == partial || !old && (r.KeepSize == 0 || total <= r.KeepSize) {
			continue
		}
		name := filepath.Join(dir, filepath.FromSlash(p.path))
		if f.remove(name) {
			total -= p.size
		}
		f.removeEmpty(name)
	}
}

func (f *File) remove(name string) bool {
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		f.log().Warn("piece of the log file not removed", "file", f.name, "piece", name, "cause", err)
		return false
	}
	return true
}

// removeEmpty removes the folders of a piece's day, month and year that have
// become empty. A rotation must not find the folder gone that it has just made.
func (f *File) removeEmpty(name string) {
	f.files.Lock()
	defer f.files.Unlock()
	for range 3 {
		if name = filepath.Dir(name); os.Remove(name) != nil {
			return // there is something in it
		}
	}
}
