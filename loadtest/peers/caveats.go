package peers

import (
	"fmt"
	"slices"
	"strings"
)

// busyLoad is a load average from which on a machine is not quiet.
const busyLoad = 0.5

// preface says what was measured on what.
func (r *Report) preface() []string {
	how := "full windows"
	if r.Quick {
		how = "quick: short windows, an order of magnitude at best"
	}
	lines := []string{
		fmt.Sprintf("%s; rounds: %d; %s.", r.Started.UTC().Format("2006-01-02 15:04 UTC"), r.Rounds, how),
		fmt.Sprintf("%s, load average %.2f at the start; %s.", describe(r.Machine), r.Load, r.Cores),
	}
	for _, s := range r.Servers {
		lines = append(lines, fmt.Sprintf("%s %s, %s.", s.Name, s.Version, s.Suite))
	}
	return lines
}

// notes are the run's own, and what has to be said wherever the figures are
// quoted.
func (r *Report) notes() []string {
	notes := slices.Clone(r.Notes)
	if r.Load > busyLoad {
		notes = append(notes, fmt.Sprintf("Others were using this machine: its load average was %.2f before the run began. Do not quote these figures, and the latencies least of all.", r.Load))
	}
	notes = append(notes,
		"A figure is the median of the rounds, then the least and the most. Less is better. The ratio is Sallyport's figure by the server's, the median of the ratios within a round. Differences under 10 % are noise; on a machine that others use, so may be larger ones.",
		fmt.Sprintf("All: one worker on one core, TLS 1.3 with X25519, P-256 leaf and intermediate presented, CRLs of %d entries, identity headers, session tickets, connections to the target kept, and a log of every connection or request. Sallyport writes two: connections and requests.", fewEntries),
		fmt.Sprintf("A handshake is a connection: full handshake unless resumed, one request, close. A request is a GET that the target answers with %d bytes. A gigabyte is 10⁹ bytes in answers of 1 MiB. Idle memory is resident memory with connections that have had one request each, less that before, by connection. p99 is of the time from when a request was due, at %d a second on 16 connections, which the client sees.", len(plainBody), fixedRate),
		"CPU time is the server's, user and system, and on the loopback interface a part of the receiver's work too. Load and target share the other core, so a fast server is not saturated by keep-alive requests, and then pays for more wake-ups than it would under full load.",
	)
	if r.has("OpenSSL 3.0") {
		notes = append(notes, "nginx and HAProxy are Debian's, on OpenSSL 3.0, whose own overhead explains most of the gap in handshakes: on a faster library the same servers need about a third of it. What is left there is the chain cache, and CRLs whose signatures they verify anew at every handshake.")
	}
	if r.has("Caddy") {
		notes = append(notes, "Caddy checks no CRL, which is work that the others do, and tells the target no dates of the certificate.")
	}
	if r.has("HAProxy") || r.has("Caddy") {
		notes = append(notes, "HAProxy and Caddy tell the target the leaf as base64 of DER, the others as escaped PEM, which is longer.")
	}
	return notes
}

// has tells whether a server's name or version has text in it.
func (r *Report) has(text string) bool {
	return slices.ContainsFunc(r.Servers, func(s Server) bool { return strings.Contains(s.Name+" "+s.Version, text) })
}
