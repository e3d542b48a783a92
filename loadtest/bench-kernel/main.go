// Command bench-kernel measures what a ban in XDP saves. It has three parts:
//
//   - what the kernel spends on a packet of a banned address, dropped by XDP or
//     by an nftables set, or let through to a listener: receive CPU time per
//     packet of a flood of SYNs, and the program alone by BPF_PROG_TEST_RUN;
//   - what is left of an edge for a client that has done nothing, while 64
//     addresses flood it with handshakes and bans are off, in user space or in
//     XDP;
//   - the same client while all of a million bans are listed.
//
// It needs root, ip (iproute2), two cores and a built Sallyport; without nft
// (nftables) that peer is left out.
//
//	go run ./loadtest/bench-kernel -sallyport out/sallyport -o out/bench/kernel.json
//
// All happens between two network namespaces with a cable between them, which
// are gone when the program is, however it ends. The server's side is on one
// core, receiving included, the clients' on another. Linux only.
package main

import (
	"flag"
	"fmt"
	"time"

	"github.com/sallyport/sallyport/loadtest/benchmark"
)

// options are the command line, and what tests make smaller.
type options struct {
	sallyport string // empty: the parts with an edge are left out
	output    string
	passes    int
	sizes     []int         // numbers of bans that packets meet
	window    time.Duration // of a flood of packets
	calm      time.Duration // in which the good client shows what it can do
	flood     time.Duration // of handshakes
	failures  int           // that an attacker is banned for
	listed    int           // bans that are listed; 0: that part is left out
	atOnce    int           // connections that an attacker has under way
	yielding  bool          // to whatever else this machine does, rather than coming before it
}

func main() { benchmark.Main("bench-kernel", runChild, parseOptions, run) }

func parseOptions(args []string) (options, error) {
	o := options{
		sizes: []int{100_000, 1_000_000}, window: 1500 * time.Millisecond,
		calm: 5 * time.Second, flood: 20 * time.Second, failures: 10, listed: 1_000_000,
		atOnce: 16,
	}
	flags := flag.NewFlagSet("bench-kernel", flag.ContinueOnError)
	flags.StringVar(&o.sallyport, "sallyport", "out/sallyport", "flood this `binary`; empty leaves those parts out")
	flags.StringVar(&o.output, "o", "", "write the results to `file`, as JSON")
	flags.IntVar(&o.passes, "passes", 3, "how often everything is measured")
	quick := flags.Bool("quick", false, "one pass, short windows, fewer bans to list")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("argument %q: want none", flags.Arg(0))
	}
	if o.passes < 1 {
		return o, fmt.Errorf("-passes %d: want 1 or more", o.passes)
	}
	if *quick {
		o.passes, o.window, o.calm, o.flood, o.listed = 1, time.Second, 2*time.Second, 6*time.Second, 100_000
	}
	return o, nil
}
