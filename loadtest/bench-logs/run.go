package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sallyport/sallyport/loadtest"
	"github.com/sallyport/sallyport/loadtest/benchmark"
)

// patience bounds the start of a child, and what an edge still has to export.
const patience = 30 * time.Second

// longest is how long a window may take, on a machine that has little time for it.
const longest = 5 * time.Minute

// bench is one run: what it has made and started.
type bench struct {
	options
	dir               string
	cores             benchmark.Cores
	client            tls.Certificate
	roots             *x509.CertPool
	target, collector string
	started           int // edges so far
}

// run measures and publishes.
func run(ctx context.Context, o options) error {
	r, err := measureAll(ctx, o)
	if err != nil {
		return err
	}
	if err := r.print(os.Stdout); err != nil || o.output == "" {
		return err
	}
	return benchmark.WriteComparisons(o.output, r.rows())
}

// measureAll measures every side in every round. Who comes first changes from
// round to round, lest one always find the machine as another left it.
func measureAll(ctx context.Context, o options) (_ *report, err error) {
	b := &bench{options: o}
	if b.sallyport, err = filepath.Abs(o.sallyport); err != nil {
		return nil, err
	}
	r := &report{machine: benchmark.DescribeMachine(), values: map[string][]float64{}}
	// A short path, since the edge's socket is in it.
	if b.dir, err = os.MkdirTemp("", "bl-"); err != nil {
		return nil, err
	}
	defer os.RemoveAll(b.dir)
	if b.client, b.roots, err = writePKI(b.dir); err != nil {
		return nil, fmt.Errorf("make PKI: %w", err)
	}
	if b.cores, err = benchmark.SplitCores("edge and target"); err != nil {
		return nil, err
	}
	unpin, err := b.cores.PinSelf()
	if err != nil {
		return nil, err
	}
	defer unpin()
	target, err := b.startTarget(ctx)
	if err != nil {
		return nil, err
	}
	defer target.Stop()
	r.cores = b.cores.Text
	for round := range b.rounds {
		turn := sides()
		if round%2 == 1 {
			slices.Reverse(turn)
		}
		for _, s := range turn {
			each, err := b.measure(ctx, s)
			if err != nil {
				return nil, fmt.Errorf("measure %s: %w", s.name, err)
			}
			r.values[s.name] = append(r.values[s.name], each)
			fmt.Fprintf(os.Stderr, "round %d of %d: %-28s %6.2f µs a request\n", round+1, b.rounds, s.name, each)
		}
	}
	r.machine.End()
	return r, nil
}

// start starts a program on the core of the servers, with one processor for Go
// programs. What it writes goes to a file in dir.
func (b *bench) start(dir, name string, args ...string) (*benchmark.Process, error) {
	said, err := os.Create(filepath.Join(dir, "said"))
	if err != nil {
		return nil, err
	}
	defer said.Close() // the child has its own
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = said, said
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	return benchmark.Start(name, cmd, said.Name(), func(start func() error) error { return b.cores.On(&b.cores.Server, start) })
}

func (b *bench) startTarget(ctx context.Context) (*benchmark.Process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	for _, address := range []*string{&b.target, &b.collector} {
		if *address, err = benchmark.FreeAddress("127.0.0.1"); err != nil {
			return nil, err
		}
	}
	p, err := b.start(b.dir, roleTarget, self, benchmark.AsChild, roleTarget, b.target, b.collector)
	if err != nil {
		return nil, err
	}
	err = p.Await(ctx, patience, 20*time.Millisecond, func(ctx context.Context) error {
		for _, address := range []string{b.target, b.collector} {
			conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
			if err != nil {
				return err
			}
			conn.Close()
		}
		return nil
	})
	if err != nil {
		p.Stop()
		return nil, err
	}
	return p, nil
}

// measure starts a side, loads it, checks that it did what it is measured for, and
// stops it. It returns µs of CPU for a request. One that is not answered with 200 is
// an error.
func (b *bench) measure(ctx context.Context, one *side) (each float64, err error) {
	b.started++
	s := site{Target: b.target, Collector: b.collector, PKI: b.dir, Dir: filepath.Join(b.dir, fmt.Sprint(b.started))}
	if err := os.Mkdir(s.Dir, 0o700); err != nil {
		return 0, err
	}
	defer os.RemoveAll(s.Dir)
	for _, address := range []*string{&s.Address, &s.Metrics} {
		if *address, err = benchmark.FreeAddress("127.0.0.1"); err != nil {
			return 0, err
		}
	}
	file, err := s.write(one)
	if err != nil {
		return 0, err
	}
	p, err := b.start(s.Dir, one.name, b.sallyport, "run", "-c", file)
	if err != nil {
		return 0, err
	}
	defer p.Stop()
	scrape := func(ctx context.Context) error { _, err := metrics(ctx, s.Metrics); return err }
	if err := p.Await(ctx, patience, 20*time.Millisecond, scrape); err != nil {
		return 0, err
	}
	result, err := b.load(ctx, p, s, one)
	if err == nil {
		err = p.Await(ctx, patience, 100*time.Millisecond, func(ctx context.Context) error {
			text, err := metrics(ctx, s.Metrics)
			return errors.Join(err, accounted(one, text))
		})
	}
	p.Stop()
	if err == nil {
		err = s.logged(one, result.Units.Done)
	}
	if err != nil {
		return 0, fmt.Errorf("%w%s", err, p.Said())
	}
	return float64(result.Server.User+result.Server.System) / float64(time.Microsecond) / float64(result.Units.Done), nil
}

// load makes the requests, and scrapes meanwhile where the side is scraped.
func (b *bench) load(ctx context.Context, p *benchmark.Process, s site, one *side) (*loadtest.Result, error) {
	over, end := context.WithCancel(ctx)
	var scraping sync.WaitGroup
	defer scraping.Wait()
	defer end()
	if one.scrape > 0 {
		scraping.Go(func() {
			again := time.NewTicker(one.scrape)
			defer again.Stop()
			for {
				metrics(over, s.Metrics) // that it answers is checked before and after
				select {
				case <-over.Done():
					return
				case <-again.C:
				}
			}
		})
	}
	r, err := loadtest.Run(ctx, loadtest.Plan{
		Name:        one.name,
		Target:      "https://" + s.Address + "/",
		Scenario:    loadtest.Request,
		Protocol:    loadtest.HTTP1,
		Headers:     map[string]string{"Host": serverName},
		ServerName:  serverName,
		Clients:     []tls.Certificate{b.client},
		Roots:       b.roots,
		TLSVersion:  "1.3",
		Groups:      []string{"x25519"},
		Connections: b.connections,
		WarmUp:      b.warmUp,
		Count:       int64(b.requests),
		Duration:    longest,
		Timeout:     patience,
		PID:         p.PID,
	}, nil)
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err() // which broke the run off: not the edge's fault
	case err != nil:
		return nil, err
	case r.Server == nil:
		return nil, fmt.Errorf("account the edge: %s", strings.Join(r.Warnings, "; "))
	case r.Units.Failed+r.Units.Refused > 0:
		return nil, fmt.Errorf("of %d requests %d failed: %+v", r.Units.Due, r.Units.Failed+r.Units.Refused, r.Errors)
	case r.Units.Done == 0 || r.Server.User+r.Server.System == 0:
		return nil, fmt.Errorf("%d requests in %s, and no CPU time: want more of them", r.Units.Done, r.Wall)
	}
	return r, nil
}

// metrics is a scrape.
func metrics(ctx context.Context, address string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/metrics", nil)
	if err != nil {
		return "", err
	}
	response, err := (&http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}).Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, 16<<20))
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("scrape: %s", response.Status)
	}
	return string(text), err
}
