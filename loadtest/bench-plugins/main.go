// Command bench-plugins measures what it costs to have another process decide on
// every request: Sallyport with plugins in Go, Python and Node, called each time
// and with a kept verdict, beside a plugin of stock go-plugin, nginx's
// auth_request and HAProxy's SPOE. What a machine lacks is left out, and said to
// be.
//
//	go run ./loadtest/bench-plugins -sallyport out/sallyport -o out/bench/plugins.json
//
// All sides admit a client by an organizational unit of its certificate, and tell
// the target which one it was. The figure is CPU time for a request, of the server
// and the decider together, less that of the same server when nobody decides.
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
	output, markdown string
	sallyport        string // binary
	examples         string // directory of the plugins in Python and Node
	only             string
	rounds           int
	connections      int
	warmUp, length   time.Duration // of a window
}

func main() { benchmark.Main("bench-plugins", runChild, parseOptions, run) }

func parseOptions(args []string) (options, error) {
	o := options{warmUp: 300 * time.Millisecond, length: time.Second}
	flags := flag.NewFlagSet("bench-plugins", flag.ContinueOnError)
	flags.StringVar(&o.output, "o", "", "write the results to `file`, as JSON")
	flags.StringVar(&o.markdown, "markdown", "", "write the table to `file`, as Markdown")
	flags.StringVar(&o.sallyport, "sallyport", "out/sallyport", "Sallyport's `binary`")
	flags.StringVar(&o.examples, "examples", "plugins/examples", "`directory` of the plugins in Python and Node")
	flags.StringVar(&o.only, "only", "", "measure the sides whose names match `regexp`, and what they are compared to")
	flags.IntVar(&o.rounds, "rounds", 9, "how often each side is measured")
	flags.IntVar(&o.connections, "connections", 32, "how many clients there are, each with one request under way")
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
	if *quick {
		o.rounds = 1
	}
	return o, nil
}
