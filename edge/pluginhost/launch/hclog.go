package launch

import (
	"context"
	"io"
	"log"
	"log/slog"

	"github.com/hashicorp/go-hclog"
)

// outputLog is the logger that go-plugin is given. What go-plugin says of itself is
// Debug: whoever started the process is told the same in better words. Lines that
// the launcher has forwarded come by the logger that go-plugin gets from Named; they
// are the program's, and become records with a constant message.
type outputLog struct {
	log     *slog.Logger
	name    string
	program bool
}

var _ hclog.Logger = (*outputLog)(nil)

func (o *outputLog) Log(level hclog.Level, msg string, args ...any) {
	ctx := context.Background()
	to := slog.LevelDebug
	if o.program {
		to = slogLevel(level)
	}
	if !o.log.Enabled(ctx, to) {
		return
	}
	if !o.program {
		o.log.Log(ctx, to, "go-plugin", append([]any{slog.String("says", msg)}, args...)...)
		return
	}
	attrs := []slog.Attr{slog.String("text", msg)}
	for i := 0; i+1 < len(args); i += 2 {
		// The timestamp is of the launcher, a few microseconds ago.
		if key, ok := args[i].(string); ok && key != "timestamp" {
			attrs = append(attrs, slog.Any(key, args[i+1]))
		}
	}
	o.log.LogAttrs(ctx, to, "plugin output", attrs...)
}

func slogLevel(level hclog.Level) slog.Level {
	switch level {
	case hclog.Trace:
		return slog.LevelDebug - 4
	case hclog.Debug:
		return slog.LevelDebug
	case hclog.Warn:
		return slog.LevelWarn
	case hclog.Error:
		return slog.LevelError
	default:
		return slog.LevelInfo
	}
}

func (o *outputLog) Trace(msg string, args ...any) { o.Log(hclog.Trace, msg, args...) }
func (o *outputLog) Debug(msg string, args ...any) { o.Log(hclog.Debug, msg, args...) }
func (o *outputLog) Info(msg string, args ...any)  { o.Log(hclog.Info, msg, args...) }
func (o *outputLog) Warn(msg string, args ...any)  { o.Log(hclog.Warn, msg, args...) }
func (o *outputLog) Error(msg string, args ...any) { o.Log(hclog.Error, msg, args...) }

// GetLevel is Trace: the level is for slog to judge.
func (o *outputLog) GetLevel() hclog.Level { return hclog.Trace }
func (o *outputLog) SetLevel(hclog.Level)  {}
func (o *outputLog) IsTrace() bool         { return false } // go-plugin counts bytes if it is
func (o *outputLog) IsDebug() bool         { return true }
func (o *outputLog) IsInfo() bool          { return true }
func (o *outputLog) IsWarn() bool          { return true }
func (o *outputLog) IsError() bool         { return true }

func (o *outputLog) Name() string       { return o.name }
func (o *outputLog) ImpliedArgs() []any { return nil }

func (o *outputLog) With(args ...any) hclog.Logger {
	return &outputLog{log: o.log.With(args...), name: o.name, program: o.program}
}

// Named is asked for twice: for the lines on the launcher's standard error, by
// the name of its executable, and for what comes by way of gRPC.
func (o *outputLog) Named(name string) hclog.Logger {
	return &outputLog{log: o.log, name: name, program: name != stdioLogger}
}

func (o *outputLog) ResetNamed(name string) hclog.Logger { return o.Named(name) }

// stdioLogger is go-plugin's name for its own remarks on a plugin's output.
const stdioLogger = "stdio"

func (o *outputLog) StandardLogger(opts *hclog.StandardLoggerOptions) *log.Logger {
	return log.New(o.StandardWriter(opts), "", 0)
}

func (o *outputLog) StandardWriter(*hclog.StandardLoggerOptions) io.Writer {
	return slog.NewLogLogger(o.log.Handler(), slog.LevelDebug).Writer()
}
