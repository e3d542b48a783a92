package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/sallyport/sallyport/bpf"
	"github.com/sallyport/sallyport/loadtest/benchmark"
)

// bench is a run in progress.
type bench struct {
	options
	dir         string // of this run
	cores       cores
	cable       *cable
	credentials credentials
	nftables    bool    // the peer is there
	rate        float64 // of the good client, in handshakes a second; 0 until it is known
	sheet       *sheet
	machine     benchmark.Machine
	versions    []string
	notes       []string // what was left out
}

// run measures and reports. Nothing that it started or made is there when it
// returns.
func run(ctx context.Context, o options) (err error) {
	if err := require(o); err != nil {
		return err
	}
	b := &bench{options: o, sheet: &sheet{sizes: o.sizes, listed: o.listed}, machine: benchmark.DescribeMachine()}
	if b.dir, err = os.MkdirTemp("", "bench-kernel-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	if err := b.prepare(ctx); err != nil {
		return err
	}
	defer b.cable.close()
	for range b.passes {
		for _, n := range b.sizes {
			if err := b.measureReceiving(ctx, n); err != nil {
				return err
			}
		}
	}
	if b.sallyport != "" {
		for range b.passes {
			if err := b.measureEdge(ctx); err != nil {
				return err
			}
		}
	}
	b.machine.End()
	r := report{machine: b.machine, cores: b.cores, versions: b.versions, notes: b.notes, rate: b.rate, sheet: b.sheet, options: o}
	return r.publish(o.output)
}

func (b *bench) measureEdge(ctx context.Context) error {
	if err := b.measureHandshakes(ctx); err != nil {
		return err
	}
	if b.listed == 0 {
		return nil
	}
	return b.measureListing(ctx, b.listed)
}

// require says what must be there and is not.
func require(o options) error {
	var missing []error
	if os.Getuid() != 0 {
		missing = append(missing, errors.New("not root: want it, for network namespaces and XDP"))
	} else if err := bpf.Supported(); err != nil {
		missing = append(missing, err)
	}
	if _, err := exec.LookPath("ip"); err != nil {
		missing = append(missing, errors.New("ip is not installed (package iproute2)"))
	}
	if o.sallyport != "" {
		if _, err := os.Stat(o.sallyport); err != nil {
			missing = append(missing, fmt.Errorf("find Sallyport: %w: make build makes it", err))
		}
	}
	return errors.Join(missing...)
}

func (b *bench) prepare(ctx context.Context) (err error) {
	if why := lackOfNFT(); why != "" {
		b.notes = append(b.notes, "nftables is left out: "+why)
	} else {
		b.nftables = true
		b.versions = append(b.versions, nftVersion(ctx))
	}
	if b.sallyport == "" {
		b.notes = append(b.notes, "The good client is left out: no binary of Sallyport was given")
	} else if b.sallyport, err = filepath.Abs(b.sallyport); err != nil {
		return err
	}
	if b.credentials, err = makeCredentials(b.dir); err != nil {
		return err
	}
	if b.cores, err = splitCores(); err != nil {
		return err
	}
	b.cable, err = newCable(b.cores, b.nice(serverNice))
	return err
}
