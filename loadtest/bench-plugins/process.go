package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sallyport/sallyport/loadtest/benchmark"
)

// patience bounds the start of a child.
const patience = 20 * time.Second

// startProcess starts a program on the cores given, with one processor for Go
// programs. What it writes goes to a file in dir.
func (b *bench) startProcess(cpus *unix.CPUSet, dir, name string, args ...string) (*benchmark.Process, error) {
	said, err := os.Create(filepath.Join(dir, "said"))
	if err != nil {
		return nil, err
	}
	defer said.Close() // the child has its own
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = said, said
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	return benchmark.Start(name, cmd, said.Name(), func(start func() error) error { return b.cores.On(cpus, start) })
}

// await tries until it does without an error.
func await(ctx context.Context, p *benchmark.Process, try func(context.Context) error) error {
	return p.Await(ctx, patience, 20*time.Millisecond, try)
}

// fault adds to an error what the child wrote last.
func fault(p *benchmark.Process, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w%s", err, p.Said())
}
