package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/loadtest"
	"github.com/sallyport/sallyport/loadtest/benchmark"
)

// bench is one run: what it has made and started.
type bench struct {
	options
	dir     string // of all its files
	cores   benchmark.Cores
	pki     pkiFiles
	clients *clients

	target        *benchmark.Process
	targetAddress string
	started       int // servers so far
}

// run measures and publishes.
func run(ctx context.Context, o options) error {
	r, err := measureAll(ctx, o)
	if err != nil {
		return err
	}
	return r.publish(o)
}

// measureAll measures every side in every round. Who comes first changes from
// round to round, lest one always find the machine as another left it.
func measureAll(ctx context.Context, o options) (*report, error) {
	b := &bench{options: o}
	// Sallyport and its plugins run elsewhere.
	for _, path := range []*string{&b.sallyport, &b.examples} {
		abs, err := filepath.Abs(*path)
		if err != nil {
			return nil, err
		}
		*path = abs
	}
	r := &report{machine: benchmark.DescribeMachine()}
	chosen, notes, err := b.choose(sides())
	if err != nil {
		return nil, err
	}
	r.sides, r.notes = chosen, notes
	stop, err := b.prepare(ctx)
	if err != nil {
		return nil, err
	}
	defer stop()
	r.cores = b.cores.Text
	for round := range b.rounds {
		turn := slices.Clone(chosen)
		if round%2 == 1 {
			slices.Reverse(turn)
		}
		for _, s := range turn {
			v, err := b.measure(ctx, s)
			if err != nil {
				return nil, fmt.Errorf("measure %s: %w", s.name, err)
			}
			r.sheet.add(s.name, v)
			fmt.Fprintf(os.Stderr, "round %d of %d: %-26s %7.1f µs a request, %6.0f requests/s, server %3.0f%%, load %3.0f%% busy\n", round+1, b.rounds, s.name, v.each, v.rate, 100*v.busy, 100*v.load)
		}
	}
	r.machine.End()
	return r, nil
}

// choose leaves out what was not asked for, and, with a note, what the machine
// lacks.
func (b *bench) choose(all []*side) (chosen []*side, notes []string, err error) {
	only, err := regexp.Compile(b.only)
	if err != nil {
		return nil, nil, fmt.Errorf("-only: %w", err)
	}
	wanted := map[string]bool{}
	for _, s := range all {
		if only.MatchString(s.name) {
			wanted[s.name], wanted[s.base] = true, true
		}
	}
	for _, s := range all {
		if !wanted[s.name] {
			continue
		}
		if s.missing != nil {
			if lack := s.missing(b); lack != "" {
				notes = append(notes, fmt.Sprintf("%s is left out: %s.", s.name, lack))
				continue
			}
		}
		chosen = append(chosen, s)
	}
	if len(chosen) == 0 {
		return nil, nil, errors.Join(errors.New("nothing is left to measure"), errors.New(strings.Join(notes, " ")))
	}
	return chosen, notes, nil
}

// prepare makes the files, goes to the client's core and starts the target. stop
// undoes all of that.
func (b *bench) prepare(ctx context.Context) (stop func(), err error) {
	var undo []func()
	stop = func() {
		for _, f := range slices.Backward(undo) {
			f()
		}
	}
	defer func() {
		if err != nil {
			stop()
		}
	}()
	// A short path, since Sallyport's sockets are in it.
	if b.dir, err = os.MkdirTemp("", "bp-"); err != nil {
		return nil, err
	}
	undo = append(undo, func() { os.RemoveAll(b.dir) })
	b.pki.dir = filepath.Join(b.dir, "pki")
	if err := os.Mkdir(b.pki.dir, 0o700); err != nil {
		return nil, err
	}
	if b.clients, err = b.pki.write(); err != nil {
		return nil, fmt.Errorf("make PKI: %w", err)
	}
	if b.cores, err = benchmark.SplitCores("server, decider and target"); err != nil {
		return nil, err
	}
	unpin, err := b.cores.PinSelf()
	if err != nil {
		return nil, err
	}
	undo = append(undo, unpin)
	if err := b.startTarget(ctx); err != nil {
		return nil, err
	}
	undo = append(undo, b.target.Stop)
	return stop, nil
}

// value is what a window came to.
type value struct {
	each float64 // µs of CPU for a request, of the whole tree of processes
	rate float64 // requests a second
	busy float64 // share of the window in which the server and its decider ran
	load float64 // the same for the load: near 1, it was what held the server up
}

// measure starts a side, loads it, and stops it. A request that is not answered
// with 200 is an error.
func (b *bench) measure(ctx context.Context, s *side) (value, error) {
	r, err := b.start(ctx, s)
	if err != nil {
		return value{}, err
	}
	defer r.Stop()
	result, err := loadtest.Run(ctx, loadtest.Plan{
		Name:        s.name,
		Target:      "https://" + r.Address + plainPath,
		Scenario:    loadtest.Request,
		Protocol:    loadtest.HTTP1,
		Headers:     map[string]string{"Host": serverName},
		ServerName:  serverName,
		Clients:     []tls.Certificate{b.clients.good},
		Roots:       b.clients.roots,
		TLSVersion:  "1.3",
		Groups:      []string{"x25519"},
		Connections: b.connections,
		WarmUp:      b.warmUp,
		Duration:    b.length,
		Timeout:     2 * deadline,
		PID:         r.PID,
	}, nil)
	if ctx.Err() != nil {
		return value{}, ctx.Err() // which broke the run off: not the server's fault
	}
	if err == nil {
		err = check(result)
	}
	if err == nil && s.check != nil {
		err = s.check(ctx, b, r.site, result.Units.Done)
	}
	if err != nil {
		return value{}, fault(r.Process, err)
	}
	cpu := result.Server.User + result.Server.System
	return value{
		each: float64(cpu) / float64(time.Microsecond) / float64(result.Units.Done),
		rate: result.Units.Rate,
		busy: float64(cpu) / float64(result.Wall),
		load: float64(result.Generator.User+result.Generator.System) / float64(result.Wall),
	}, nil
}

// check says why a result is none to go by.
func check(r *loadtest.Result) error {
	switch {
	case r.Server == nil:
		return fmt.Errorf("account the server: %s", strings.Join(r.Warnings, "; "))
	case r.Units.Failed+r.Units.Refused > 0:
		var kinds []string
		for _, e := range r.Errors {
			kinds = append(kinds, fmt.Sprintf("%d %s (%s)", e.Count, e.Kind, e.Example))
		}
		return fmt.Errorf("of %d requests %d failed: %s", r.Units.Due, r.Units.Failed+r.Units.Refused, strings.Join(kinds, ", "))
	case r.Units.Done == 0 || r.Server.User+r.Server.System == 0:
		return fmt.Errorf("%d requests in %s, and no CPU time: want a longer window", r.Units.Done, r.Wall)
	}
	return nil
}
