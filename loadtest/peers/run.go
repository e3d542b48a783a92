package peers

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/sallyport/sallyport/loadtest"
	"github.com/sallyport/sallyport/loadtest/benchmark"
)

// bench is one run: what it has made and started.
type bench struct {
	Options
	size   size
	dir    string // of all its files
	cores  cores
	target *benchmark.Process

	host            string // IP address of all that listen
	targetAddress   string
	authority       *authority
	fewDir, manyDir string            // the PKI's files, by entries of the CRL
	newClients      []tls.Certificate // for the scenario of that name

	scenarios []*scenario
	servers   []*server
	notes     []string
	machine   loadtest.Machine
	lengths   map[[2]string]time.Duration // of windows, by server and scenario
}

// server is one that is measured.
type server struct {
	*kind
	program
	proof
}

// Run measures, and returns what it found. It has ended all it started, and
// removed its files but for those in Options.Dir, when it returns. While it runs,
// the calling process has one core and one processor. The calling program has to
// call Child first; of several calls of Run at once, none measures anything.
func Run(ctx context.Context, o Options) (*Report, error) {
	kinds, scenarios, err := o.complete()
	if err != nil {
		return nil, err
	}
	report := &Report{Started: time.Now(), Load: readLoad(), Rounds: o.Rounds, Quick: o.Quick}
	b := &bench{Options: o, size: fullSize, host: newLoopback(), scenarios: scenarios, lengths: map[[2]string]time.Duration{}}
	if o.Quick {
		b.size = quickSize
	}
	if b.Profiles != "" {
		b.size.length = max(b.size.length, profileEach)
	}
	if err := b.size.fit(); err != nil {
		return nil, err
	}
	if err := b.find(ctx, kinds); err != nil {
		return nil, err
	}
	if b.Profiles != "" {
		if err := os.MkdirAll(b.Profiles, 0o700); err != nil {
			return nil, err
		}
	}
	// A short path, since Sallyport's socket is in it.
	if b.dir, err = os.MkdirTemp("", "peers-"); err != nil {
		return nil, err
	}
	defer os.RemoveAll(b.dir)
	if b.cores, err = splitCores(); err != nil {
		return nil, err
	}
	report.Cores = b.cores.String()
	unpin, err := b.cores.pinSelf()
	if err != nil {
		return nil, err
	}
	defer unpin()
	if err := b.makeFiles(); err != nil {
		return nil, err
	}
	if err := b.startTarget(ctx); err != nil {
		return nil, err
	}
	defer b.target.Stop()
	for _, s := range b.servers {
		fmt.Fprintf(b.Log, "checking what %s %s does\n", s.name, s.version)
		if s.proof, err = b.prove(ctx, s); err != nil {
			return nil, fmt.Errorf("check %s: %w", s.name, err)
		}
		report.Servers = append(report.Servers, Server{Name: s.name, Version: s.version, Suite: s.suite})
	}
	if report.Rows, err = b.measureAll(ctx); err != nil {
		return nil, err
	}
	report.Machine, report.Notes = b.machine, b.notes
	return report, nil
}

// find finds the servers. One that is missing is left out with a note, unless it
// was asked for by name.
func (b *bench) find(ctx context.Context, kinds []*kind) error {
	for _, k := range kinds {
		program, err := k.find(ctx, &b.Options)
		switch {
		case err == nil:
			b.servers = append(b.servers, &server{kind: k, program: program})
		case errors.Is(err, errMissing) && len(b.Peers) == 0:
			note := fmt.Sprintf("%s is left out: %v.", k.name, err)
			b.notes = append(b.notes, note)
			fmt.Fprintln(b.Log, note)
		default:
			return err
		}
	}
	return nil
}

// makeFiles makes the PKI, and writes what the servers read.
func (b *bench) makeFiles() error {
	fmt.Fprintln(b.Log, "making a PKI")
	var err error
	if b.authority, err = newAuthority(); err != nil {
		return err
	}
	b.fewDir, b.manyDir = filepath.Join(b.dir, "few"), filepath.Join(b.dir, "many")
	if err := b.authority.write(b.fewDir, fewEntries); err != nil {
		return err
	}
	if slices.ContainsFunc(b.scenarios, func(s *scenario) bool { return s.fresh }) {
		if b.newClients, err = b.authority.newClients(b.size.newClients); err != nil {
			return err
		}
	}
	if slices.ContainsFunc(b.scenarios, func(s *scenario) bool { return s.many }) {
		return b.authority.write(b.manyDir, b.size.many)
	}
	return nil
}

// startTarget starts the target beside the load.
func (b *bench) startTarget(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if b.targetAddress, err = benchmark.FreeAddress(b.host); err != nil {
		return err
	}
	dir := filepath.Join(b.dir, childTarget)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	b.target, err = startProcess(dir, b.cores, b.cores.client, childTarget, self, asChild, childTarget, b.targetAddress)
	if err != nil {
		return err
	}
	if err := awaitListening(ctx, b.target, b.targetAddress); err != nil {
		b.target.Stop()
		return err
	}
	return nil
}

// measureAll measures every server in every scenario, in every round. Who comes
// first changes from round to round, lest one always find the machine as another
// left it.
func (b *bench) measureAll(ctx context.Context) ([]Row, error) {
	samples := make([][][]float64, len(b.scenarios)) // by scenario, server, round
	leftOut := make([][]string, len(b.scenarios))
	for i, sc := range b.scenarios {
		samples[i], leftOut[i] = make([][]float64, len(b.servers)), make([]string, len(b.servers))
		for j, s := range b.servers {
			leftOut[i][j] = s.cannot(sc)
		}
	}
	for round := range b.Rounds {
		for i, sc := range b.scenarios {
			for turn := range b.servers {
				at := (round + turn) % len(b.servers)
				s := b.servers[at]
				if leftOut[i][at] != "" {
					continue
				}
				v, err := b.measure(ctx, s, sc)
				if err != nil {
					return nil, fmt.Errorf("measure %s of %s: %w", sc.name, s.name, err)
				}
				samples[i][at] = append(samples[i][at], v)
				fmt.Fprintf(b.Log, "round %d of %d: %-32s %-12s %9s %s\n", round+1, b.Rounds, sc.name, s.name, figure(v), sc.unit)
			}
		}
	}
	rows := make([]Row, len(b.scenarios))
	for i, sc := range b.scenarios {
		rows[i] = newRow(sc, samples[i], leftOut[i])
	}
	return rows, nil
}

// cannot says why a server has no place in a scenario; empty if it has.
func (s *server) cannot(sc *scenario) string {
	switch {
	case sc.crl && s.noCRL != "":
		return s.noCRL
	case sc.resume:
		return s.noResuming
	case sc.http2:
		return s.noHTTP2
	}
	return ""
}
