package ban

import (
	"context"
	"log/slog"
	"time"
)

// linesPerSecond is how many bans a second are logged one by one. An attack may
// make thousands, and what is wanted of the log then is that it stays readable.
const linesPerSecond = 100

// lines are what is to be logged when Keeper.mu is free again: a log that blocks
// must not stop who waits for it.
type lines struct {
	waiting []line
	second  int64
	said    int // in this second
	unsaid  int
}

type line struct {
	level   slog.Level
	message string
	args    []any
}

// say logs what happened to one ban, if that is not too much. k.mu is held.
func (k *Keeper) say(level slog.Level, now instant, message string, args ...any) {
	k.lines.turn(now)
	if k.lines.said++; k.lines.said > linesPerSecond {
		k.lines.unsaid++
		return
	}
	k.lines.waiting = append(k.lines.waiting, line{level, message, args})
}

// turn says how many lines were left out, once their second is over.
func (l *lines) turn(now instant) {
	second := now.ns / int64(time.Second)
	if second == l.second {
		return
	}
	if l.unsaid > 0 {
		l.waiting = append(l.waiting, line{slog.LevelWarn, "bans made and ended that are not logged one by one", []any{"number", l.unsaid}})
	}
	l.second, l.said, l.unsaid = second, 0, 0
}

// unlock frees k.mu, and logs what was said under it.
func (k *Keeper) unlock() {
	waiting := k.lines.waiting
	k.lines.waiting = nil
	k.mu.Unlock()
	for _, l := range waiting {
		k.log.Log(context.Background(), l.level, l.message, l.args...)
	}
}
