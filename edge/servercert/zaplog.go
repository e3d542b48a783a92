package servercert

import (
	"context"
	"log/slog"
	"maps"
	"slices"

	"go.uber.org/zap/zapcore"
)

// zapCore hands what certmagic logs to slog. What it does is of interest to whoever
// looks for a fault; what came of it this package says itself: so everything up to
// a warning is at level debug, and errors are warnings.
type zapCore struct {
	log    *slog.Logger
	fields []zapcore.Field
}

var _ zapcore.Core = zapCore{}

func (z zapCore) level(l zapcore.Level) slog.Level {
	if l >= zapcore.ErrorLevel {
		return slog.LevelWarn
	}
	return slog.LevelDebug
}

func (z zapCore) Enabled(l zapcore.Level) bool {
	return z.log.Enabled(context.Background(), z.level(l))
}

func (z zapCore) With(fields []zapcore.Field) zapcore.Core {
	return zapCore{z.log, slices.Concat(z.fields, fields)}
}

func (z zapCore) Check(e zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if z.Enabled(e.Level) {
		return checked.AddCore(e, z)
	}
	return checked
}

func (z zapCore) Write(e zapcore.Entry, fields []zapcore.Field) error {
	encoder := zapcore.NewMapObjectEncoder()
	for _, f := range slices.Concat(z.fields, fields) {
		f.AddTo(encoder)
	}
	attrs := []slog.Attr{slog.String("from", "certmagic")}
	for _, key := range slices.Sorted(maps.Keys(encoder.Fields)) {
		attrs = append(attrs, slog.Any(key, encoder.Fields[key]))
	}
	z.log.LogAttrs(context.Background(), z.level(e.Level), e.Message, attrs...)
	return nil
}

func (z zapCore) Sync() error { return nil }

// quieter is a slog.Handler for what acmez logs, by the rule of zapCore.
type quieter struct{ slog.Handler }

func (q quieter) level(l slog.Level) slog.Level {
	if l >= slog.LevelError {
		return slog.LevelWarn
	}
	return slog.LevelDebug
}

func (q quieter) Enabled(ctx context.Context, l slog.Level) bool {
	return q.Handler.Enabled(ctx, q.level(l))
}

func (q quieter) Handle(ctx context.Context, r slog.Record) error {
	r.Level = q.level(r.Level)
	return q.Handler.Handle(ctx, r)
}

func (q quieter) WithAttrs(attrs []slog.Attr) slog.Handler {
	return quieter{q.Handler.WithAttrs(attrs)}
}

func (q quieter) WithGroup(name string) slog.Handler { return quieter{q.Handler.WithGroup(name)} }
