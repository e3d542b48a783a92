// Command bench-edge measures what Sallyport costs beside what it would replace:
// server CPU per full mutual-TLS handshake with one proxied request, and per
// keep-alive HTTP/1.1 request, for Sallyport, for net/http with
// httputil.ReverseProxy, and for nginx where it is installed. All have the same
// PKI, CRLs, backend, client and core.
//
//	go run ./loadtest/bench-edge -sallyport out/sallyport -o out/bench/edge.json
//
// The figure is utime+stime in /proc/PID/stat, which has a resolution of 10 ms,
// over a window, divided by what was done in it. CPU time drifts with what else
// the machine does, so servers are measured in turn, several times over, and
// ratios are taken within a pass. Linux only.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// options are the command line.
type options struct {
	sallyport  string
	output     string
	passes     int
	warmUp     time.Duration
	window     time.Duration
	handshakes int
	requests   int
	atOnce     int
	keepAlive  int
}

func main() {
	if isChild(os.Args) {
		if err := runChild(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	var o options
	flag.StringVar(&o.sallyport, "sallyport", "out/sallyport", "Sallyport's `binary`")
	flag.StringVar(&o.output, "o", "", "write the results to `file`, as JSON")
	flag.IntVar(&o.passes, "passes", 3, "how often each server is measured")
	flag.DurationVar(&o.warmUp, "warm-up", 500*time.Millisecond, "load before each window that is not counted")
	flag.DurationVar(&o.window, "window", 3*time.Second, "a window ends after this time, or")
	flag.IntVar(&o.handshakes, "handshakes", 5000, "after so many handshakes, or")
	flag.IntVar(&o.requests, "requests", 100000, "after so many keep-alive requests")
	flag.IntVar(&o.atOnce, "at-once", 8, "handshakes under way at once")
	flag.IntVar(&o.keepAlive, "keep-alive", 32, "keep-alive connections")
	flag.Parse()
	if err := o.validate(flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "bench-edge:", err)
		os.Exit(2)
	}

	// A second signal changes nothing: what is under way is the cleaning up,
	// which is bounded.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if err := run(ctx, o); err != nil {
		if ctx.Err() != nil {
			err = errors.New("interrupted")
		}
		fmt.Fprintln(os.Stderr, "bench-edge:", err)
		os.Exit(1)
	}
}

func (o options) validate(args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("argument %q: want none", args[0])
	}
	for name, n := range map[string]int{
		"-passes": o.passes, "-handshakes": o.handshakes, "-requests": o.requests,
		"-at-once": o.atOnce, "-keep-alive": o.keepAlive,
	} {
		if n < 1 {
			return fmt.Errorf("%s %d: want 1 or more", name, n)
		}
	}
	if o.warmUp <= 0 || o.window <= 0 {
		return fmt.Errorf("-warm-up %s, -window %s: want more than 0", o.warmUp, o.window)
	}
	return nil
}
