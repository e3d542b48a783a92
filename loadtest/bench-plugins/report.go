package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/sallyport/sallyport/loadtest/benchmark"
)

// report is what a run found.
type report struct {
	machine benchmark.Machine
	cores   string
	notes   []string // what was left out
	sides   []*side
	sheet   sheet
}

// caveats say how to read the figures.
func (r *report) caveats() []string {
	return []string{
		"A request is one by HTTP/1.1 on a connection that is there already, with a client certificate, passed on to a target. CPU time is of the server and of whoever decides, with all that they have started; added is that less what the same server takes when nobody decides, as the median of the rounds' differences.",
		"Each client has one request under way, so that a server has several to decide about at once. A server that is not busy has waited for its clients, and pays more for each wake-up: what is compared to it then looks a little cheaper than it is. With one client alone (-connections 1) nothing is shared: each call pays for the wake-ups of two processes, on every side several times what is said here, and the sides are closer together.",
		"All sides decide by the same rule, are told the client's organizational units and no more, and tell the target which one it was; that they do was checked before every window. All wait " + deadline.String() + " at most.",
		"Go plugin, Python plugin, Node plugin: called for every request, one after the other. Concurrent: a Go plugin that decides on up to 64 at once. Cached: the verdict is kept, and hardly a request is a call.",
		"gRPC (go-plugin): a plugin that go-plugin has started with its defaults, one unary call for each request. It is asked by a stand-in edge: Sallyport's own proxy behind crypto/tls, without the rest, since Sallyport speaks to its plugins otherwise.",
		"nginx asks a Go HTTP server at a unix socket, by connections that are kept; HAProxy a Go agent of SPOE at a unix socket, which answers all that one read has brought by one write. Neither tells the target of the certificate, as Sallyport does.",
		"The machine was not ours alone: CPU times suffer from that less than rates, and added CPU of a few µs is within what a repetition changes.",
	}
}

// publish prints the table and writes the files asked for.
func (r *report) publish(o options) error {
	if err := r.print(os.Stdout); err != nil {
		return err
	}
	if o.markdown != "" {
		if err := benchmark.WriteFile(o.markdown, r.markdown()); err != nil {
			return err
		}
	}
	if o.output == "" {
		return nil
	}
	return benchmark.WriteComparisons(o.output, r.sheet.rows(r.sides))
}

func (r *report) print(w io.Writer) error {
	fmt.Fprintf(w, "%s\n%s\n", r.machine, r.cores)
	for _, note := range r.notes {
		fmt.Fprintln(w, note)
	}
	fmt.Fprintln(w)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, line := range r.sheet.table(r.sides) {
		fmt.Fprintln(t, strings.Join(line, "\t"))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(w)
	for _, text := range r.caveats() {
		fmt.Fprintln(w, text)
	}
	return nil
}

func (r *report) markdown() []byte {
	var out bytes.Buffer
	fmt.Fprintf(&out, "Measured on %s; %s.\n\n", r.machine, r.cores)
	for i, line := range r.sheet.table(r.sides) {
		fmt.Fprintf(&out, "| %s |\n", strings.Join(line, " | "))
		if i == 0 {
			fmt.Fprintf(&out, "|---|%s\n", strings.Repeat("---:|", len(line)-1))
		}
	}
	out.WriteString("\n")
	for _, text := range append(r.notes, r.caveats()...) {
		fmt.Fprintf(&out, "- %s\n", text)
	}
	return out.Bytes()
}
