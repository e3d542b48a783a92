package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
)

// bench is one run: what is started for it, and where its files are.
type bench struct {
	options
	dir     string
	cores   cores
	files   *files
	backend *process
	address string // the backend's
	servers []*server
	notes   []string
}

// server is one that is measured.
type server struct {
	name    string
	address string
	process *process
	suite   string // negotiated, for the record
}

// run measures and reports. It has ended all it started, and removed its files,
// when it returns.
func run(ctx context.Context, o options) (err error) {
	machine := describeMachine()
	b := &bench{options: o}
	if b.dir, err = os.MkdirTemp("", "bench-edge-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	if b.cores, err = splitCores(); err != nil {
		return err
	}
	// The client shares its core with the backend and must not get a second one.
	runtime.GOMAXPROCS(1)
	if err := b.cores.pinSelf(); err != nil {
		return err
	}
	if b.files, err = makeFiles(filepath.Join(b.dir, "pki")); err != nil {
		return err
	}
	defer b.stop()
	if err := b.start(ctx); err != nil {
		return err
	}
	client := newClient(b.files)
	for _, s := range b.servers {
		if err := prove(ctx, client, b.files, s); err != nil {
			return fmt.Errorf("check %s: %w%s", s.name, err, s.process.said())
		}
	}
	table, err := b.measureAll(ctx, client)
	if err != nil {
		return err
	}
	report := report{machine: machine, cores: b.cores, options: o, servers: b.servers, notes: b.notes, metrics: table}
	if err := report.print(os.Stdout); err != nil {
		return err
	}
	if o.output == "" {
		return nil
	}
	return report.write(o.output)
}

// start starts the backend and the servers, Sallyport first.
func (b *bench) start(ctx context.Context) error {
	var err error
	if b.address, b.backend, err = b.startSelf(ctx, "backend", b.cores.client); err != nil {
		return err
	}
	for _, start := range []func(context.Context) (*server, error){b.startSallyport, b.startGo, b.startNginx} {
		s, err := start(ctx)
		if err != nil {
			return err
		}
		if s != nil {
			b.servers = append(b.servers, s)
		}
	}
	return nil
}

func (b *bench) stop() {
	for _, s := range b.servers {
		s.process.stop()
	}
	if b.backend != nil {
		b.backend.stop()
	}
}

// measureAll measures every server in every pass. Who comes first changes from
// pass to pass, lest one always find the machine as another left it.
func (b *bench) measureAll(ctx context.Context, client *client) ([]metric, error) {
	metrics := []metric{
		{name: "full_handshake", title: fmt.Sprintf("full mutual-TLS handshake + one proxied GET + close, %d at once", b.atOnce)},
		{name: "keep_alive_request", title: fmt.Sprintf("keep-alive HTTP/1.1 request, %d connections", b.keepAlive)},
	}
	loads := []load{
		{units: b.handshakes, least: leastCPU, workers: b.atOnce, open: client.openHandshakes},
		{units: b.requests, least: leastCPU, workers: b.keepAlive, open: client.openKeepAlive},
	}
	for i := range metrics {
		metrics[i].windows = make([][]window, len(b.servers))
	}
	for pass := range b.passes {
		for turn := range b.servers {
			at := (pass + turn) % len(b.servers)
			s := b.servers[at]
			for i, load := range loads {
				w, err := measure(ctx, s, load, b.warmUp, b.window)
				if err != nil {
					return nil, fmt.Errorf("measure %s of %s: %w%s", metrics[i].name, s.name, err, s.process.said())
				}
				metrics[i].windows[at] = append(metrics[i].windows[at], w)
				fmt.Fprintf(os.Stderr, "pass %d of %d: %-32s %-18s %7.1f µs CPU, %d in %.1f s\n",
					pass+1, b.passes, s.name, metrics[i].name, w.perUnit(), w.units, w.wall.Seconds())
			}
		}
	}
	return metrics, nil
}
