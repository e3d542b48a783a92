package servercert

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// What demandLog tells within demandLogTime, in lines.
const (
	demandLogLines = 20
	demandLogTime  = time.Minute
)

// demandLog tells of names that clients bring and that no CA is asked for. Whoever
// can connect can bring any number of them, before they have proved anything: beyond
// a few lines a minute they are only counted.
type demandLog struct {
	mu     sync.Mutex
	since  time.Time
	lines  int
	untold int
}

// take says whether another line may be written, and of how many names none was
// since the last.
func (d *demandLog) take(now time.Time) (untold int, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if now.Sub(d.since) >= demandLogTime {
		d.since, d.lines = now, 0
	}
	if d.lines >= demandLogLines {
		d.untold++
		return 0, false
	}
	d.lines++
	untold, d.untold = d.untold, 0
	return untold, true
}

func (d *demandLog) tell(log *slog.Logger, level slog.Level, cause any) {
	untold, ok := d.take(time.Now())
	if !ok {
		return
	}
	if untold > 0 {
		log = log.With("others_not_logged", untold)
	}
	log.Log(context.Background(), level, "certificate not asked for", "cause", cause)
}
