package peers

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"github.com/sallyport/sallyport/loadtest/benchmark"
)

// How long a server may take to start: to read a CRL of a million entries takes
// some of them seconds.
const (
	startFew  = 20 * time.Second
	startMany = 2 * time.Minute
)

// running is a server that has been started.
type running struct {
	*benchmark.Process
	site site
}

// start starts a server on a core of its own, set up with the files in pkiDir,
// and returns once it has answered the good client. The caller stops it.
func (b *bench) start(ctx context.Context, s *server, pkiDir string) (_ *running, err error) {
	dir, err := os.MkdirTemp(b.dir, "server-")
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			os.RemoveAll(dir)
		}
	}()
	// Sallyport's socket wants a folder of its own.
	if err := os.Mkdir(filepath.Join(dir, "admin"), 0o700); err != nil {
		return nil, err
	}
	address, err := benchmark.FreeAddress(b.host)
	if err != nil {
		return nil, err
	}
	r := &running{site: site{Address: address, Target: b.targetAddress, PKI: pkiDir, Dir: dir, Root: os.Geteuid() == 0}}
	config, err := s.write(r.site)
	if err != nil {
		return nil, err
	}
	r.Process, err = startProcess(dir, b.cores, b.cores.server, s.name, s.args(s.binary, r.site, config)...)
	if err != nil {
		return nil, err
	}
	within := startFew
	if pkiDir == b.manyDir {
		within = startMany
	}
	client := newClient(b.authority.roots, b.authority.good)
	answers := func(ctx context.Context) error {
		_, _, err := client.get(ctx, r.site.Address, plainPath)
		return err
	}
	if err := await(ctx, r.Process, within, answers); err != nil {
		r.Process.Stop()
		return nil, err
	}
	return r, nil
}

// Stop ends the server and removes its files.
func (r *running) Stop() {
	r.Process.Stop()
	os.RemoveAll(r.site.Dir)
}
