package pluginhost

import (
	"context"
	"log/slog"
	"os"
	"sync"
	"syscall"
	"time"
)

// Options are what a Host needs.
type Options struct {
	// Start starts the processes of plugins with a command. Needed.
	Start Starter
	// Prepare prepares the starts of plugins that have ended, while they wait for
	// their time. Nil prepares nothing.
	Prepare Preparer
	// Log gets what happens to plugins, and what they say. Needed.
	Log *slog.Logger
}

// Host has the plugins in force. Any number of goroutines may use it.
type Host struct {
	start   Starter
	prepare Preparer
	log     *slog.Logger
	base    time.Time

	life  context.Context // of the plugins in force
	end   context.CancelFunc
	group sync.WaitGroup

	mu      sync.Mutex
	plugins map[string]*Plugin
	chains  []*Chain
	stats   map[string]*stats
}

// New returns a Host without plugins. It starts nothing.
func New(o Options) *Host {
	h := &Host{start: o.Start, prepare: o.Prepare, log: o.Log, base: time.Now(), plugins: map[string]*Plugin{}, stats: map[string]*stats{}}
	h.life, h.end = context.WithCancel(context.Background())
	return h
}

// Run keeps the plugins that Commit puts in force running until ctx is done. Then
// it lets them answer what they are asked, ends them, and returns when nothing of
// them is left.
func (h *Host) Run(ctx context.Context) {
	<-ctx.Done()
	h.end()
	h.group.Wait()
}

// clock is the time since the Host was made: it never goes back.
func (h *Host) clock() time.Duration { return time.Since(h.base) }

func (h *Host) ctx() context.Context { return h.life }

// file is one that a command names, as it was when the plugin was started.
type file struct {
	name         string
	dev, ino     uint64
	size         int64
	mtime, ctime syscall.Timespec
}

// filesOf looks at the files among names.
func filesOf(names []string) []file {
	var list []file
	for _, name := range names {
		info, err := os.Stat(name)
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		f := file{name: name, size: info.Size()}
		if s, ok := info.Sys().(*syscall.Stat_t); ok {
			f.dev, f.ino, f.mtime, f.ctime = uint64(s.Dev), s.Ino, s.Mtim, s.Ctim
		}
		list = append(list, f)
	}
	return list
}
