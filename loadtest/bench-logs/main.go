// Command bench-logs measures what logs, metrics and tracing cost: CPU time of
// Sallyport for a request on a connection that is there already, with one of them
// and with none. It checks that they did what they are measured for.
//
//	go run ./loadtest/bench-logs -sallyport out/sallyport -o out/bench/logs.json
//
// Linux only.
package main

import (
	"flag"
	"fmt"
	"time"

	"github.com/sallyport/sallyport/loadtest/benchmark"
)

// options are the command line.
type options struct {
	output      string
	sallyport   string // binary
	rounds      int
	connections int
	requests    int // of a window: as many however busy the machine is
	warmUp      time.Duration
}

func main() { benchmark.Main("bench-logs", runChild, parseOptions, run) }

func parseOptions(args []string) (options, error) {
	o := options{warmUp: 300 * time.Millisecond}
	flags := flag.NewFlagSet("bench-logs", flag.ContinueOnError)
	flags.StringVar(&o.output, "o", "", "write the results to `file`, as JSON")
	flags.StringVar(&o.sallyport, "sallyport", "out/sallyport", "Sallyport's `binary`")
	flags.IntVar(&o.rounds, "rounds", 9, "how often each side is measured")
	flags.IntVar(&o.connections, "connections", 32, "how many clients there are, each with one request under way")
	flags.IntVar(&o.requests, "requests", 20_000, "how many requests are measured at a time")
	quick := flags.Bool("quick", false, "one round")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("argument %q: want none", flags.Arg(0))
	}
	if o.rounds < 1 {
		return o, fmt.Errorf("-rounds %d: want 1 or more", o.rounds)
	}
	if o.connections < 1 || o.connections > 1000 {
		return o, fmt.Errorf("-connections %d: want 1 to 1000", o.connections)
	}
	if o.requests < 1000 {
		return o, fmt.Errorf("-requests %d: want 1000 or more", o.requests) // of which some are traced
	}
	if *quick {
		o.rounds = 1
	}
	return o, nil
}
