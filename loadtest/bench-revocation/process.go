package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/sallyport/sallyport/loadtest/benchmark"
)

// runMeasured runs a child that measures, and returns what it found and how long
// it was from its start until it had answered.
func runMeasured(ctx context.Context, program string, args ...string) (*measurement, time.Duration, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, 0, err
	}
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, 0, err
	}
	lines := bufio.NewReader(out)
	first, readErr := lines.ReadString('\n')
	until := time.Since(start)
	var second []byte
	if readErr == nil {
		second, readErr = lines.ReadBytes('\n')
	}
	if err := cmd.Wait(); err != nil {
		return nil, 0, fmt.Errorf("%w: %s", err, bytes.TrimSpace(stderr.Bytes()))
	}
	if readErr != nil || first != answered+"\n" {
		return nil, 0, fmt.Errorf("it wrote %q and %q: want %q and a measurement", first, second, answered)
	}
	m, err := parseMeasurement(second)
	return m, until, err
}

// patience bounds how long a server may take to its first answer.
const patience = 5 * time.Minute

// startProcess starts a server. What it writes goes to a file in dir.
func startProcess(dir, name string, args ...string) (*benchmark.Process, error) {
	log, err := os.Create(filepath.Join(dir, name+".stderr"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = log, log
	return benchmark.Start(name, cmd, log.Name(), func(start func() error) error { return start() })
}

// awaitAnswer returns how long it was from the start of the server until it had
// answered the client, with an error if it ends before that.
func awaitAnswer(ctx context.Context, p *benchmark.Process, ask func(context.Context) error) (time.Duration, error) {
	err := p.Await(ctx, patience, time.Millisecond, ask)
	return time.Since(p.Started), err
}
