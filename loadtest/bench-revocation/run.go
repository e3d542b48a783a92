package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/sallyport/sallyport/loadtest/benchmark"
	"github.com/sallyport/sallyport/loadtest/pki"
)

// bench is a run in progress.
type bench struct {
	options
	dir      string // of this run; on the file system of the CRLs
	ca       *pki.CA
	pki      pkiFiles
	clients  *clients
	self     string // this program
	crlpeer  string // empty: OpenSSL is left out
	sheet    *sheet
	machine  benchmark.Machine
	versions []string // of the libraries measured, each once
	notes    []string
}

// run measures and reports. It has ended all it started, and removed its files
// but for the CRLs, when it returns.
func run(ctx context.Context, o options) (err error) {
	b := &bench{options: o, sheet: new(sheet), machine: benchmark.DescribeMachine()}
	if b.cache, err = filepath.Abs(o.cache); err != nil {
		return err
	}
	if err := os.MkdirAll(b.cache, 0o755); err != nil {
		return err
	}
	if b.dir, err = os.MkdirTemp(b.cache, "run-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	if err := b.prepare(ctx); err != nil {
		return err
	}
	for _, n := range b.sizes {
		if err := b.measureList(ctx, n); err != nil {
			return err
		}
	}
	if b.handshake > 0 {
		if err := b.measureServers(ctx, b.handshake); err != nil {
			return err
		}
	}
	b.machine.End()
	r := report{machine: b.machine, versions: b.versions, notes: b.notes, sheet: b.sheet, bare: b.sallyport == ""}
	return r.publish(o)
}

func (b *bench) prepare(ctx context.Context) (err error) {
	if b.self, err = os.Executable(); err != nil {
		return err
	}
	if b.ca, err = newCA(); err != nil {
		return err
	}
	b.pki = pkiFiles{dir: filepath.Join(b.dir, "pki")}
	if b.clients, err = b.pki.write(b.ca); err != nil {
		return err
	}
	missing := ""
	b.crlpeer, missing, err = compilePeer(ctx, b.dir)
	if missing != "" {
		b.note("OpenSSL is left out: " + missing)
	}
	return err
}

// side is one of those that a list is measured on.
type side struct {
	name string
	// needs is the available memory, in bytes for each entry, without which it is
	// left out.
	needs  int64
	record metrics
	run    func(ctx context.Context) (*measurement, time.Duration, error)
}

// lack says why the side is left out at n entries, with so many bytes available;
// it is empty if the side is not.
func (s side) lack(n int, available int64) string {
	needed := s.needs * int64(n)
	if available >= needed {
		return ""
	}
	return fmt.Sprintf("%s is left out at %s: it needs %.1f GB of memory, and %.1f GB are available",
		s.name, benchmark.Count(n), float64(needed)/1e9, float64(available)/1e9)
}

// metrics says what of a measurement is of interest.
type metrics struct{ load, lookUps, start bool }

// sides are those of a list of n entries. Memory is what they take, and a quarter.
func (b *bench) sides(n int, crl string, q queries, kept string) []side {
	ca := b.pki.path(caFile)
	child := func(args ...string) func(context.Context) (*measurement, time.Duration, error) {
		return func(ctx context.Context) (*measurement, time.Duration, error) {
			return runMeasured(ctx, b.self, append([]string{benchmark.AsChild}, args...)...)
		}
	}
	sides := []side{
		{ours, 100, metrics{load: true, lookUps: true}, child(roleOurs, crl, ca, string(q), kept, b.least.String())},
		{ours, 100, metrics{start: true}, child(roleAgain, crl, ca, string(q), kept, b.least.String())},
	}
	if b.crlpeer != "" {
		// It keeps nothing: its start is its load.
		sides = append(sides, side{"OpenSSL", 420, metrics{true, true, true}, func(ctx context.Context) (*measurement, time.Duration, error) {
			return runMeasured(ctx, b.crlpeer, crl, ca, q.hits(), q.misses(), fmt.Sprint(b.least.Nanoseconds()))
		}})
	}
	return append(sides,
		side{"crypto/x509", 900, metrics{load: true}, child(roleX509, crl, ca)},
		side{"Go map", 80, metrics{lookUps: true}, child(roleMap, fmt.Sprint(n), string(q), b.least.String())},
	)
}

// measureList measures all sides on the list of n entries, in turn, as often as
// there are rounds.
func (b *bench) measureList(ctx context.Context, n int) error {
	crl, err := crlFile(b.ca, b.cache, n)
	if err != nil {
		return err
	}
	if err := awaitSettled(ctx, crl); err != nil {
		return err
	}
	q, kept := queries(filepath.Join(b.dir, "queries")), filepath.Join(b.dir, "kept")
	if err := q.write(n); err != nil {
		return err
	}
	rounds := b.rounds
	if n >= b.once {
		rounds = 1
	}
	left := map[string]bool{}
	for round := range rounds {
		if err := os.RemoveAll(kept); err != nil {
			return err
		}
		for _, s := range b.sides(n, crl, q, kept) {
			if left[s.name] {
				continue
			}
			if lack := s.lack(n, benchmark.AvailableMemory()); lack != "" {
				left[s.name] = true
				b.note(lack)
				continue
			}
			m, start, err := s.run(ctx)
			if err != nil {
				return fmt.Errorf("measure %s on %d entries: %w", s.name, n, err)
			}
			b.version(m.Library)
			b.record(s, n, m, start)
			fmt.Fprintf(os.Stderr, "%s, round %d of %d: %-12s answered after %6.2f s\n", benchmark.Count(n), round+1, rounds, s.name, start.Seconds())
		}
	}
	return os.RemoveAll(kept)
}

func (b *bench) record(s side, n int, m *measurement, start time.Duration) {
	if s.record.load {
		b.sheet.add("load", n, s.name, time.Duration(m.LoadWall).Seconds())
		b.sheet.add("load CPU", n, s.name, time.Duration(m.LoadCPU).Seconds())
		b.sheet.add("peak memory", n, s.name, float64(m.Peak)/(1<<20))
	}
	if s.record.lookUps {
		b.sheet.add("miss", n, s.name, m.Miss.each())
		b.sheet.add("hit", n, s.name, m.Hit.each())
	}
	if s.record.start {
		b.sheet.add("restart", n, s.name, start.Seconds())
	}
}

// measureServers measures handshakes with a CRL of n entries in force, and how
// long a server takes from its start until the first.
func (b *bench) measureServers(ctx context.Context, n int) error {
	crl, err := crlFile(b.ca, b.cache, n)
	if err != nil {
		return err
	}
	if err := awaitSettled(ctx, crl); err != nil {
		return err
	}
	nginx := findNginx()
	if nginx == "" {
		b.note("nginx is left out: it is not installed (Debian: nginx)")
	} else if err := b.pki.writePEM(crl); err != nil {
		return err
	}
	for round := range b.rounds {
		if err := b.measureOurs(ctx, crl, n); err != nil {
			return err
		}
		if nginx == "" {
			continue
		}
		s, err := b.startNginx(ctx, nginx)
		if err != nil {
			return err
		}
		b.version(s.name)
		b.sheet.add("first server start", n, "nginx", s.start.Seconds())
		b.sheet.add("server restart", n, "nginx", s.start.Seconds()) // it keeps nothing
		if err := b.measureServer(ctx, s, n, "nginx", b.proofs); err != nil {
			return err
		}
		fmt.Fprintf(os.Stderr, "%s, round %d of %d: handshakes measured\n", benchmark.Count(n), round+1, b.rounds)
	}
	return nil
}

// measureOurs starts our server twice: the second finds the list kept.
func (b *bench) measureOurs(ctx context.Context, crl string, n int) error {
	for _, name := range []string{"bare-server", "sallyport"} {
		if err := os.RemoveAll(filepath.Join(b.dir, name)); err != nil {
			return err
		}
	}
	s, err := b.startOurs(ctx, crl)
	if err != nil {
		return err
	}
	b.sheet.add("first server start", n, ours, s.start.Seconds())
	s.process.Stop()
	if s, err = b.startOurs(ctx, crl); err != nil {
		return err
	}
	b.sheet.add("server restart", n, ours, s.start.Seconds())
	return b.measureServer(ctx, s, n, ours, 10*b.proofs)
}

// measureServer measures handshakes, at least so many, and stops the server.
func (b *bench) measureServer(ctx context.Context, s *server, n int, name string, least int) error {
	defer s.process.Stop()
	each, err := s.measureHandshakes(ctx, b.clients, least)
	if err != nil {
		return fmt.Errorf("measure handshakes of %s: %w%s", s.name, err, s.process.Said())
	}
	b.sheet.add("handshake", n, name, float64(each.Nanoseconds())/1e3)
	return nil
}

func (b *bench) note(text string) { b.notes = appendNew(b.notes, text) }

func (b *bench) version(text string) { b.versions = appendNew(b.versions, text) }
