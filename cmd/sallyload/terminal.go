package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/vbauerster/mpb/v8/cwriter"
)

// isTerminal says whether somebody may be looking at w as it is written.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && cwriter.IsTerminal(int(f.Fd()))
}

// untilInterrupted returns a context that ends at the first SIGINT or SIGTERM;
// the second ends the process. stop frees what it holds.
func untilInterrupted() (ctx context.Context, stop func()) {
	ctx, stop = signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}
