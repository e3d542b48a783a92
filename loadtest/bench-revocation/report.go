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
	machine  benchmark.Machine
	versions []string
	notes    []string // what was left out
	sheet    *sheet
	bare     bool // handshakes are of the bare server
}

// caveats say how to read the figures.
func (r report) caveats() []string {
	all := []string{
		"CRLs have 16-octet random serial numbers, three in ten with a reason, and an ECDSA P-256 signature. All sides read the same files, which were in the page cache.",
		"load: read, verify, and answer once for a listed and once for an unlisted serial. Ours includes writing the list to disk, with fsync; OpenSSL's the sorting at its first look-up. crypto/x509 only parses and verifies: it has no look-up.",
		"peak memory: the most resident (VmHWM) up to then, of the whole process. Ours keeps the list in a file that is mapped: look-ups bring pages of it into memory, which the kernel can take back.",
		"miss and hit: CPU time, loop included, over random serials, up to two million of them, so that hardly one of a large list is asked about twice. Ours is a whole check, with issuer, key, scope and dates; OpenSSL's is X509_CRL_get0_by_serial, the map's the serial alone.",
		"restart: from the start of the process until it has answered. Ours finds its list kept, and checks it against checksums where it is used, not all of it; OpenSSL reads the CRL.",
		"× is how many times ours a figure is, of medians. The machine was not ours alone: CPU times suffer less from that than wall times, and ratios least.",
	}
	if _, measured := r.sheet.medianOfAny("handshake"); !measured {
		return all
	}
	text := "handshake: the server's CPU time for a full TLS 1.3 handshake with a client certificate and one small request. "
	if r.bare {
		text += "Ours is the library in a bare Go server, which verifies the chain and checks each link: not the edge, which is measured by bench-edge."
	} else {
		text += "Ours is the whole edge. It remembers chains that it has verified, and looks up every certificate each time."
	}
	return append(all, text, "first server start, server restart: until the first client was let in; the restart is the second start of ours, and any of nginx.")
}

// medianOfAny is our figure of a metric, of any list.
func (s *sheet) medianOfAny(metric string) (float64, bool) {
	for _, entries := range s.sizes {
		if v, measured := s.median(metric, entries, ours); measured {
			return v, true
		}
	}
	return 0, false
}

// publish prints the table and writes the files asked for.
func (r report) publish(o options) error {
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
	return benchmark.WriteComparisons(o.output, r.sheet.rows())
}

func (r report) print(w io.Writer) error {
	fmt.Fprintf(w, "%s\n%s\n", r.machine, strings.Join(r.versions, "; "))
	for _, note := range r.notes {
		fmt.Fprintln(w, note)
	}
	fmt.Fprintln(w)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, line := range r.sheet.table() {
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

func (r report) markdown() []byte {
	var out bytes.Buffer
	fmt.Fprintf(&out, "Measured on %s; %s.\n\n", r.machine, strings.Join(r.versions, "; "))
	for i, line := range r.sheet.table() {
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
