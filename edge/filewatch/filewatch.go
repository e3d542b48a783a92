// Package filewatch reads the files that a configuration names, and says when they
// have changed.
//
// It asks for their metadata a few times a second. Notification by the kernel
// (inotify) would be quicker by milliseconds and wrong in the cases that matter
// here: it sees nothing of changes made by another host on a network file
// system, follows neither a symbolic link that is swapped (as the kubelet does
// with a mounted secret) nor a file that is renamed over, drops events when its
// queue is full, and tells of a write when it begins. A handful of stat calls
// costs microseconds.
package filewatch

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"syscall"
	"time"
)

// Interval is what the edge polls at: a change is acted on after two polls, so
// within 500 ms and the time that it takes to act.
const Interval = 250 * time.Millisecond

// Watcher remembers what files looked like. It is for one goroutine.
type Watcher struct {
	paths []string
	files []file
}

// file is what is known of one path.
type file struct {
	acted print // as it was when it was last acted on
	last  print // as the last poll found it
}

// print is what tells one content of a path from another, without reading it.
// Symbolic links are followed, so it is about the file that an open would get.
type print struct {
	dev, ino     uint64
	size         int64
	mtime, ctime int64
	errno        syscall.Errno // why there is nothing to see; not being there is a state too
}

// New takes the files' looks now. Make it before the first read of them: then a
// change after that read is noticed, however late Run is called. It starts
// nothing.
func New(paths ...string) *Watcher {
	w := &Watcher{paths: paths, files: make([]file, len(paths))}
	for i, path := range paths {
		p := look(path)
		w.files[i] = file{acted: p, last: p}
	}
	return w
}

// Run polls every interval and calls changed with those of the paths whose
// device, inode, size, modification or status-change time, or absence, differ
// from when they were last acted on, and have stayed as they are for one more
// poll: a file that is still being written is left alone. A path that appears
// twice is reported twice. Calls are made one at a time, from Run's goroutine; a
// change during a call is reported by a later one. Run returns ctx's error when
// ctx is done.
func (w *Watcher) Run(ctx context.Context, interval time.Duration, changed func(paths []string)) error {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
		if paths := w.poll(); len(paths) > 0 {
			changed(paths)
		}
	}
}

// poll returns the paths to act on now. What they look like is taken before
// they are read, so a change between this look and the read is reported again.
func (w *Watcher) poll() []string {
	var paths []string
	for i, path := range w.paths {
		f := &w.files[i]
		now := look(path)
		if now == f.last && now != f.acted {
			f.acted = now
			paths = append(paths, path)
		}
		f.last = now
	}
	return paths
}

func look(path string) print {
	info, err := os.Stat(path)
	if err != nil {
		var errno syscall.Errno
		if !errors.As(err, &errno) {
			errno = syscall.EIO
		}
		return print{errno: errno}
	}
	return lookOf(info)
}

func lookOf(info fs.FileInfo) print {
	p := print{size: info.Size(), mtime: info.ModTime().UnixNano()}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		p.dev, p.ino = uint64(st.Dev), uint64(st.Ino)
		p.ctime = st.Ctim.Nano()
	}
	return p
}
