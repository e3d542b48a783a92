// Package demo is a mutual-TLS edge to try: a throwaway PKI, an echo target, a
// verify and a passthrough listener, and a page that hands out client
// certificates. What it starts is the real edge, from a real configuration file.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"

	"github.com/sallyport/sallyport/edge"
	"github.com/sallyport/sallyport/edge/admin"
	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/loadtest/port"
)

// Options are the demo command's flags.
type Options struct {
	// Dir gets the PKI, the configuration and the logs. It is made with mode
	// 0700; one that holds something else's files is refused. Empty for a
	// temporary one that is removed at the end.
	Dir string
	// VerifyAddr, PassthroughAddr and PageAddr are what to listen on. Port 0
	// takes a free one.
	VerifyAddr, PassthroughAddr, PageAddr string
	// Once tries every kind of client, reports, and ends.
	Once bool
	// Out gets what people read; Log what the edge logs.
	Out     io.Writer
	Log     *slog.Logger
	Version string
}

// ErrDisagrees says that Once saw something other than it expected.
var ErrDisagrees = errors.New("the demo did not go as expected")

// demo is a running one.
type demo struct {
	options     Options
	dir         string
	pki         *pkiFiles
	echo        *echo
	verify      string // addresses as bound
	passthrough string
	page        *page
}

// Run sets the demo up and runs it until ctx is done, or with Once until
// everything has been tried. What it made in a temporary directory is gone when
// it returns.
func Run(ctx context.Context, o Options) error {
	d := &demo{options: o}
	return d.run(ctx)
}

func (d *demo) run(ctx context.Context) error {
	o := d.options
	cleanup, err := d.makeDir()
	if err != nil {
		return err
	}
	defer cleanup()

	var served sync.WaitGroup
	defer served.Wait()
	ctx, stop := context.WithCancel(ctx)
	defer stop()

	echoListener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen for the echo target: %w", err)
	}
	pageListener, err := net.Listen("tcp", o.PageAddr)
	if err != nil {
		echoListener.Close()
		return fmt.Errorf("listen for the page: %w", err)
	}
	d.echo = newEcho()
	served.Go(func() { d.echo.serve(ctx, echoListener) })

	// Ports are settled before the configuration is written, so that the file
	// says what is so.
	var releaseVerify, releasePassthrough func()
	if d.verify, releaseVerify, err = settle(o.VerifyAddr); err == nil {
		defer releaseVerify()
		if d.passthrough, releasePassthrough, err = settle(o.PassthroughAddr); err == nil {
			defer releasePassthrough()
		}
	}
	if err != nil {
		pageListener.Close()
		return err
	}
	if d.pki, err = makePKI(d.dir, d.verify, d.passthrough); err != nil {
		pageListener.Close()
		return fmt.Errorf("make the demo's PKI: %w", err)
	}
	if err := d.writeConfig(echoListener.Addr().String()); err != nil {
		pageListener.Close()
		return err
	}
	d.page = newPage(d, pageListener.Addr().String())
	served.Go(func() { d.page.serve(ctx, pageListener) })

	return d.runEdge(ctx)
}

// runEdge runs the edge from the file that has been written, as "sallyport run"
// would.
func (d *demo) runEdge(ctx context.Context) error {
	load := func() (*config.Config, config.Problems) { return config.Load(d.configFile()) }
	cfg, problems := load()
	if err := problems.Err(); err != nil {
		return fmt.Errorf("load the demo's own configuration: %w", err)
	}
	server, problems := edge.New(cfg, edge.Options{Log: d.options.Log, Load: load, Version: d.options.Version})
	if err := problems.Err(); err != nil {
		return fmt.Errorf("load the demo's own configuration: %w", err)
	}
	ended := make(chan error, 1)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go func() { ended <- server.Run(ctx) }()

	if err := d.awaitReady(ctx, ended); err != nil {
		stop()
		return errors.Join(err, <-ended)
	}
	var tried error
	if d.options.Once {
		tried = d.tryAll(ctx)
	} else {
		d.printWhatToTry()
		select {
		case <-ctx.Done():
		case err := <-ended:
			return err
		}
	}
	stop()
	return errors.Join(tried, <-ended)
}

// settle turns port 0 into a free port, which no other demo gets until release.
func settle(address string) (settled string, release func(), err error) {
	if host, number, err := net.SplitHostPort(address); err == nil && number == "0" {
		return port.ReserveAddress(host)
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return "", nil, fmt.Errorf("listen on %s: %w", address, err)
	}
	defer l.Close()
	return l.Addr().String(), func() {}, nil
}

// marker tells a demo's directory from anybody else's.
const marker = ".sallyport-demo"

// makeDir makes the directory, or takes one that an earlier demo made.
func (d *demo) makeDir() (cleanup func(), err error) {
	if d.options.Dir == "" {
		dir, err := os.MkdirTemp("", "sallyport-demo-")
		if err != nil {
			return nil, fmt.Errorf("make a temporary directory: %w", err)
		}
		d.dir = dir
		return func() { os.RemoveAll(dir) }, nil
	}
	if d.dir, err = filepath.Abs(d.options.Dir); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(d.dir, 0o700); err != nil {
		return nil, fmt.Errorf("make directory: %w", err)
	}
	entries, err := os.ReadDir(d.dir)
	if err != nil {
		return nil, fmt.Errorf("look into directory: %w", err)
	}
	if len(entries) > 0 {
		if _, err := os.Stat(filepath.Join(d.dir, marker)); err != nil {
			return nil, fmt.Errorf("use directory %s: it is not empty and no demo made it: want an empty or a new one", d.dir)
		}
	}
	var status admin.Status
	if admin.NewClient(d.file("admin.sock")).Get(context.Background(), "/status", &status) == nil {
		return nil, fmt.Errorf("use directory %s: the demo of process %d runs in it", d.dir, status.PID)
	}
	if err := os.Chmod(d.dir, 0o700); err != nil {
		return nil, fmt.Errorf("protect directory: %w", err)
	}
	return func() {}, os.WriteFile(filepath.Join(d.dir, marker), nil, 0o600)
}

func (d *demo) file(name string) string { return filepath.Join(d.dir, name) }

func (d *demo) configFile() string { return d.file("sallyport.yaml") }
