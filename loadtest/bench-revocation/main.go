// Command bench-revocation measures package revocation beside what it would
// replace: reading and verifying a CRL, the memory that takes, look-ups, the
// start with a list that was read before, and the CPU time of a mutual-TLS
// handshake that consults it. Peers are OpenSSL 3 (a small C program, compiled
// here), crypto/x509, a Go map and nginx. What a machine lacks is left out, and
// said to be.
//
//	go run ./loadtest/bench-revocation -o out/bench/revocation.json
//
// Every measurement has a process of its own, so that its CPU time and its peak
// of memory are its own. All sides read the same CRLs and are asked the same
// questions. CRLs are kept in a directory between runs: the largest takes 390 MB.
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
	output    string
	markdown  string
	cache     string
	sallyport string
	sizes     []int // numbers of entries, ascending
	rounds    int   // of sizes below once
	once      int   // lists of so many entries and more are measured in one round
	least     time.Duration
	handshake int // entries of the CRL in handshakes; 0: none
	proofs    int // handshakes of a window of nginx's
}

func main() { benchmark.Main("bench-revocation", runChild, parseOptions, run) }

func parseOptions(args []string) (options, error) {
	o := options{
		sizes: []int{10_000, 100_000, 1_000_000, 10_000_000}, once: 10_000_000,
		least: 300 * time.Millisecond, handshake: 1_000_000, proofs: 100,
	}
	flags := flag.NewFlagSet("bench-revocation", flag.ContinueOnError)
	flags.StringVar(&o.output, "o", "", "write the results to `file`, as JSON")
	flags.StringVar(&o.markdown, "markdown", "", "write the table to `file`, as Markdown")
	flags.StringVar(&o.cache, "crls", "out/bench/crl", "keep CRLs in `directory`")
	flags.StringVar(&o.sallyport, "sallyport", "", "measure handshakes with this `binary` instead of a bare server")
	flags.IntVar(&o.rounds, "rounds", 3, "how often each list below ten million entries is measured")
	quick := flags.Bool("quick", false, "lists up to a million entries, one round")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("argument %q: want none", flags.Arg(0))
	}
	if o.rounds < 1 {
		return o, fmt.Errorf("-rounds %d: want 1 or more", o.rounds)
	}
	if *quick {
		o.sizes, o.rounds = o.sizes[:3], 1
	}
	return o, nil
}
