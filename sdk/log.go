package sdk

import (
	"context"
	"log/slog"
	"strconv"
	"strings"

	"github.com/sallyport/sallyport/sdk/frame"
)

type loggerKey struct{}

// Logger gives the logger whose lines go to the edge's log, from the context of a
// hook or of Run; from any other context, slog's default one, which [Serve] makes
// the same.
func Logger(ctx context.Context) *slog.Logger {
	if l, ok := ctx.Value(loggerKey{}).(*slog.Logger); ok {
		return l
	}
	return slog.Default()
}

// logHandler sends records as LOG frames. The edge adds the time and the plugin's
// name, and writes them to its own log.
type logHandler struct {
	out    *writer
	level  slog.Level
	prefix string // of keys: the open groups
	attrs  []frame.Attr
}

// Enabled implements slog.Handler.
func (h *logHandler) Enabled(_ context.Context, level slog.Level) bool { return level >= h.level }

// Handle implements slog.Handler. What is over the bounds of a LOG is cut.
func (h *logHandler) Handle(_ context.Context, r slog.Record) error {
	body := frame.LogBody{Level: levelOf(r.Level), Message: r.Message}
	body.Attrs = append(make([]frame.Attr, 0, len(h.attrs)+r.NumAttrs()+1), h.attrs...)
	r.Attrs(func(a slog.Attr) bool {
		body.Attrs = appendAttr(body.Attrs, h.prefix, a)
		return true
	})
	// One fact is kept free for the number of lines that were dropped.
	if most := frame.MaxAttrs - 1; len(body.Attrs) > most {
		body.Attrs = body.Attrs[:most]
	}
	room := frame.MaxMessage - reservedForLog
	body.Message = take(body.Message, &room)
	for i := range body.Attrs {
		a := &body.Attrs[i]
		if room--; room <= len(a.Key) {
			body.Attrs = body.Attrs[:i]
			break
		}
		a.Key = take(a.Key, &room)
		a.Value = take(a.Value, &room)
	}
	h.out.log(&body)
	return nil
}

// reservedForLog is what a LOG's level and the count of dropped lines take.
const reservedForLog = 64

func take(s string, room *int) string {
	if len(s) > *room {
		s = s[:*room]
	}
	*room -= len(s)
	return s
}

func droppedLines(n uint64) frame.Attr {
	return frame.Attr{Key: "dropped_lines", Value: strconv.FormatUint(n, 10)}
}

// WithAttrs implements slog.Handler.
func (h *logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	clone := *h
	clone.attrs = clone.attrs[:len(clone.attrs):len(clone.attrs)]
	for _, a := range attrs {
		clone.attrs = appendAttr(clone.attrs, h.prefix, a)
	}
	return &clone
}

// WithGroup implements slog.Handler.
func (h *logHandler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	clone := *h
	clone.prefix += name + "."
	return &clone
}

func appendAttr(to []frame.Attr, prefix string, a slog.Attr) []frame.Attr {
	value := a.Value.Resolve()
	if value.Kind() == slog.KindGroup {
		if a.Key != "" {
			prefix += a.Key + "."
		}
		for _, member := range value.Group() {
			to = appendAttr(to, prefix, member)
		}
		return to
	}
	if a.Key == "" {
		return to
	}
	// A zero byte would end the key on the wire.
	key := strings.ReplaceAll(prefix+a.Key, "\x00", "?")
	return append(to, frame.Attr{Key: key, Value: value.String()})
}

func levelOf(l slog.Level) frame.Level {
	switch {
	case l < slog.LevelInfo:
		return frame.Debug
	case l < slog.LevelWarn:
		return frame.Info
	case l < slog.LevelError:
		return frame.Warn
	}
	return frame.Error
}
